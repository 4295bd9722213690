"""Where a letter's journey stops, its error says so; what the user did and what broke are told apart."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from services.cli.api import Api
from services.cli.composing import Composition
from services.cli.journey import Correspondents, JourneyError, Package, play
from shared.clock import SystemClock
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


def test_a_letter_written_here_must_arrive_without_a_finding(answers: Answers, tmp_path: Path) -> None:
    content = b"PK\x03\x04 finished"
    sealed = {"step": "seal", "conclusion": "passed"}
    begun: dict[str, Any] = {
        "package_id": "p1", "document_id": "D1", "version": "2.0", "version_reason": "asked for", "filled": [{"origin": "live"}],
        "files": [{"name": "annex", "annex_id": "a1"}], "signatures": [sealed], "findings": [],
        "package": {"file_name": "X.eyp"},
    }  # fmt: skip
    answers.say("GET", "/v1/directory/units", {"units": [UNIT]})
    answers.say("POST", "/v1/packages", begun, 201)
    for step in ("cover-letter", "annexes/a1/content", "signature", "final-metadata"):
        answers.say("PUT", f"/v1/packages/p1/{step}", begun)
    answers.say("GET", "/v1/packages/p1/to-be-signed", b"these bytes")
    answers.say("POST", "/v1/packages/p1/seal", begun)
    answers.say("GET", "/v1/packages/p1/content", content)
    finding = {"rule": "R.19", "severity": "warning", "message_en": "x"}
    answers.say("POST", "/v1/package-inspections", INSPECTION | {"findings": [finding], "conclusion": "passed"})
    letter = LETTER | {"state": "delivered"}
    answers.say("POST", "/v1/outbound-messages", letter, 202)
    answers.say("GET", "/v1/outbound-messages/m1", letter)
    taken = {"message_id": "i1", "message_id_header": "<x>", "conclusion": "passed", "package_filename": "X.eyp"}
    answers.say("POST", "/v1/inbound-messages/leases", {"messages": [taken], "lease_token": "t"})
    answers.say("GET", "/v1/inbound-messages/i1/package", content)
    signed: list[bytes] = []

    def sign(manifest: bytes) -> bytes:
        signed.append(manifest)
        return b"signature"

    api = Api(answers.url, "k")
    who = Correspondents(api, 10000001, api, 10000002, "DENEME VALİLİĞİ", "Örnek Belediyesi")
    with pytest.raises(JourneyError, match=r"B inspects in strict: findings R\.19"):
        play(who, Composition(sign, SystemClock(), tmp_path / "letter.eyp"), lambda _text: None, seconds=5)
    assert signed == [b"these bytes"]
    assert (tmp_path / "letter.eyp").read_bytes() == content
    assert any(b'"package_id": "p1"' in body for body in answers.bodies)
