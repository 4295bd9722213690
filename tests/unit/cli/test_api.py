"""However the other side misbehaves, the command line says one readable thing."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from services.cli.api import Api, ApiError
from tests.support.ports import free_port
from tests.unit.cli.conftest import Answers

PROBLEM = {
    "title": "Validation failed", "detail": "the form", "code": "validation-failed",
    "errors": [{"pointer": "/a", "detail": "wrong"}, {"pointer": "/b", "detail": "missing"}],
}  # fmt: skip


def test_a_problem_becomes_one_sentence_with_its_places(answers: Answers) -> None:
    answers.say("GET", "/v1/x", PROBLEM, 422)
    with pytest.raises(ApiError) as caught:
        Api(answers.url, "k").json("GET", "/x")
    assert str(caught.value) == "Validation failed: the form (/a: wrong; /b: missing)"
    assert (caught.value.status, caught.value.problem["code"]) == (422, "validation-failed")


@pytest.mark.parametrize(("status", "content"), [(502, b"<html>Bad Gateway</html>"), (500, b"[1]"), (302, b"")])
def test_an_answer_that_is_no_problem_is_shown_as_it_is(answers: Answers, status: int, content: bytes) -> None:
    answers.say("GET", "/v1/x", content, status)
    with pytest.raises(ApiError, match=f"HTTP {status}") as caught:
        Api(answers.url, None).json("GET", "/x")
    assert caught.value.status == status


def test_something_else_on_the_port_is_recognised(answers: Answers) -> None:
    answers.say("GET", "/v1/x", b"<html>hello</html>")
    with pytest.raises(ApiError, match="this is no gateway"):
        Api(answers.url, None).json("GET", "/x")


@pytest.mark.parametrize("url", ["nonsense", "ftp://127.0.0.1", "http://[", "http://127.0.0.1:99999", "http://"])
def test_an_address_that_cannot_be_called_is_no_answer(url: str) -> None:
    with pytest.raises(ApiError, match="no answer from the gateway"):
        Api(url, None).json("GET", "/x")


def test_nobody_listening_is_no_answer_and_names_the_address() -> None:
    url = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(ApiError, match=url) as caught:
        Api(url, None).json("GET", "/x")
    assert caught.value.status is None


@pytest.mark.parametrize("key", ["kepgw_ş_x", "a\nb", "a\x00"])
def test_a_key_that_no_header_can_carry_is_refused_without_showing_it(key: str) -> None:
    with pytest.raises(ApiError, match="the API key cannot be right") as caught:
        Api("http://127.0.0.1", key)
    assert key not in str(caught.value)


def test_a_download_appears_whole(answers: Answers, tmp_path: Path) -> None:
    content = bytes(range(256)) * 1000
    answers.say("GET", "/v1/x", content)
    found = Api(answers.url, None).download("/x", tmp_path / "letter.eyp")
    assert found == (hashlib.sha256(content).hexdigest(), len(content))
    assert [file.name for file in tmp_path.iterdir()] == ["letter.eyp"]
    assert (tmp_path / "letter.eyp").read_bytes() == content


def test_a_download_that_fails_leaves_what_was_there(answers: Answers, tmp_path: Path) -> None:
    target = tmp_path / "letter.eyp"
    target.write_bytes(b"before")
    with pytest.raises(ApiError):
        Api(answers.url, None).download("/x", target)
    assert [file.read_bytes() for file in tmp_path.iterdir()] == [b"before"]


def test_a_disk_that_refuses_leaves_nothing_half(answers: Answers) -> None:
    answers.say("GET", "/v1/x", b"x" * 100_000)
    with pytest.raises(OSError, match=r"Permission|No such|Operation"):
        Api(answers.url, None).download("/x", Path("/proc/letter.eyp"))
