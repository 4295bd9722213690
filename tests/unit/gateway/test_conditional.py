from __future__ import annotations

import pytest
from pydantic import BaseModel
from starlette.requests import Request

from services.gateway.conditional import Span, attachment, digest_headers, json_answer, matches, wanted_span
from services.gateway.problems import RangeRefusedError

ETAG = '"abc"'


def request(**headers: str) -> Request:
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return Request({"type": "http", "method": "GET", "path": "/", "headers": raw})


@pytest.mark.parametrize(
    ("header", "span"),
    [
        ("bytes=0-0", (0, 1)),
        ("bytes=0-", (0, 100)),
        ("bytes=10-19", (10, 20)),
        ("bytes=90-1000", (90, 100)),
        ("bytes=-10", (90, 100)),
        ("bytes=-1000", (0, 100)),
        ("BYTES=5-6", (5, 7)),
    ],
)
def test_a_range_is_cut_to_the_content(header: str, span: tuple[int, int]) -> None:
    assert wanted_span(request(range=header), 100, ETAG) == Span(*span, 100)


@pytest.mark.parametrize("header", ["", "bytes=", "bytes=-", "bytes=a-b", "lines=1-2", "bytes=0-1,5-6", "bytes=9-3",
                                    "bytes=0-" + "9" * 400])  # fmt: skip
def test_what_is_not_understood_is_answered_whole(header: str) -> None:
    assert wanted_span(request(range=header), 100, ETAG) is None


@pytest.mark.parametrize("header", ["bytes=100-", "bytes=100-200", "bytes=-0"])
def test_a_range_beyond_the_end_is_refused_with_the_size(header: str) -> None:
    with pytest.raises(RangeRefusedError) as caught:
        wanted_span(request(range=header), 100, ETAG)
    assert caught.value.size == 100


def test_if_range_with_another_etag_means_all_of_it() -> None:
    assert wanted_span(request(range="bytes=1-2", if_range='"old"'), 100, ETAG) is None
    assert wanted_span(request(range="bytes=1-2", if_range=ETAG), 100, ETAG) == Span(1, 3, 100)


@pytest.mark.parametrize(
    ("header", "held"),
    [
        (None, False),
        ("", False),
        (ETAG, True),
        (f"W/{ETAG}", True),
        (f'"x", {ETAG}', True),
        ("*", True),
        ('"x"', False),
    ],
)
def test_if_none_match(header: str | None, held: bool) -> None:
    assert matches(header, ETAG) is held


@pytest.mark.parametrize("name", ['a".eyp\r\nX: y', "../../x", "yazı Şöğü.eyp", "", "...", "x" * 999, "a\ud800.eyp"])
def test_a_file_name_cannot_break_out_of_its_header(name: str) -> None:
    header = attachment(name)
    header.encode("ascii")
    assert "\r" not in header
    assert "\n" not in header
    assert header.count('"') == 2
    assert "/" not in header
    assert len(header) < 1200


def test_turkish_file_names_survive_in_the_extended_form() -> None:
    assert attachment("yazı.eyp").endswith("filename*=UTF-8''yaz%C4%B1.eyp")


def test_digest_headers_hold_the_digest_in_base64() -> None:
    headers = digest_headers("00" * 32)
    assert headers == {"Repr-Digest": f"sha-256=:{'A' * 43}=:", "Digest": f"sha-256={'A' * 43}="}


class _Timed(BaseModel):
    value: int
    at: int


def test_what_changes_each_time_does_not_change_a_weak_etag() -> None:
    first = json_answer(request(), _Timed(value=1, at=1), volatile={"at": True})
    assert first.headers["etag"].startswith('W/"')
    held = {"if_none_match": first.headers["etag"]}
    assert json_answer(request(**held), _Timed(value=1, at=2), volatile={"at": True}).status_code == 304
    assert json_answer(request(**held), _Timed(value=2, at=1), volatile={"at": True}).status_code == 200
