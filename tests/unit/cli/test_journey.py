"""Where a letter's journey stops, its error says so; what the user did and what broke are told apart."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from services.cli.api import Api
from services.cli.journey import Correspondents, JourneyError, Package, play
from tests.support.ports import free_port
from tests.unit.cli.conftest import Answers

UNIT = {"detsis_no": 10000002, "name": "DENEME VALİLİĞİ", "kep_addresses": [{"address": "b@hs99.kep.tr"}]}
INSPECTION: dict[str, Any] = {"kind": "plain", "version": "2.0", "findings": [], "signatures": []}
LETTER = {
    "message_id": "m1",
    "state": "undelivered",
    "recipients": [{"reason": "mailbox full", "evidence_codes": [41], "kep_address": None, "message_id_header": "<x>"}],
}


@pytest.fixture
def package(tmp_path: Path) -> Package:
    path = tmp_path / "letter.eyp"
    path.write_bytes(b"PK\x03\x04 letter")
    return Package(path, "Ğüzel yazı.eyp")


def journey_at(url: str, package: Package, seconds: float = 5) -> None:
    api = Api(url, "k")
    play(Correspondents(api, 10000001, api, 10000002, "DENEME VALİLİĞİ"), package, lambda _text: None, seconds=seconds)


def test_a_file_that_is_not_there_is_the_users(tmp_path: Path) -> None:
    with pytest.raises(JourneyError, match=r"cannot read .*nothing\.eyp: No such file") as caught:
        journey_at("http://127.0.0.1:1", Package(tmp_path / "nothing.eyp", "x"))
    assert caught.value.refused


def test_a_refusal_is_the_users_and_names_the_reason(answers: Answers, package: Package) -> None:
    answers.say("GET", "/v1/directory/units", {"units": [UNIT]})
    answers.say("POST", "/v1/package-inspections", {"title": "Not a package", "detail": "no ZIP"}, 422)
    with pytest.raises(JourneyError, match=r"^Not a package: no ZIP$") as caught:
        journey_at(answers.url, package)
    assert caught.value.refused


def test_a_gateway_that_is_away_is_not_the_users(package: Package) -> None:
    with pytest.raises(JourneyError, match="no answer from the gateway") as caught:
        journey_at(f"http://127.0.0.1:{free_port()}", package)
    assert not caught.value.refused


def test_a_directory_without_the_recipient_is_named(answers: Answers, package: Package) -> None:
    answers.say("GET", "/v1/directory/units", {"units": []})
    with pytest.raises(JourneyError, match="the directory does not find 'DENEME VALİLİĞİ'"):
        journey_at(answers.url, package)


def test_a_letter_that_ends_badly_is_not_waited_for(answers: Answers, package: Package) -> None:
    answers.say("GET", "/v1/directory/units", {"units": [UNIT]})
    answers.say("POST", "/v1/package-inspections", INSPECTION)
    answers.say("POST", "/v1/outbound-messages", LETTER, 202)
    answers.say("GET", "/v1/outbound-messages/m1", LETTER)
    with pytest.raises(JourneyError, match="A's letter is 'undelivered': mailbox full"):
        journey_at(answers.url, package, seconds=60)


def test_a_letter_that_stands_still_is_given_up_with_its_reason(answers: Answers, package: Package) -> None:
    waiting = LETTER | {"state": "blocked"}
    answers.say("GET", "/v1/directory/units", {"units": [UNIT]})
    answers.say("POST", "/v1/package-inspections", INSPECTION)
    answers.say("POST", "/v1/outbound-messages", waiting, 202)
    answers.say("GET", "/v1/outbound-messages/m1", waiting)
    with pytest.raises(JourneyError, match="A's letter is 'blocked': mailbox full"):
        journey_at(answers.url, package, seconds=0.2)


def test_the_package_travels_under_its_own_name_with_its_digest(answers: Answers, package: Package) -> None:
    answers.say("GET", "/v1/directory/units", {"units": [UNIT]})
    answers.say("POST", "/v1/package-inspections", INSPECTION)
    answers.say("POST", "/v1/outbound-messages", LETTER, 200)
    with pytest.raises(JourneyError, match="expected 202, got 200"):
        journey_at(answers.url, package)
    form = answers.bodies[-1]
    assert 'filename="Ğüzel yazı.eyp"'.encode() in form
    assert package.path.read_bytes() in form
    assert hashlib.sha256(package.path.read_bytes()).hexdigest().encode() in form
