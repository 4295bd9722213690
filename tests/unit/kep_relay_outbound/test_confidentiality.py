"""What a letter's history says about its confidentiality."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

from services.kep_relay.outbound.confidentiality import confidentiality_event, recorded_confidentiality
from services.kep_relay.outbound.content import letter_filename
from services.kep_relay.outbound.history import MAX_DETAIL, EventKind
from services.kep_relay.tables import OutboundMessageRow
from shared.contracts.outbound import (
    EncryptionCertificate,
    LetterConfidentiality,
    LetterEncryption,
    UnencryptedDecision,
)
from shared.eyp import SecurityCode

OUTSIDE, INSIDE = "a" * 64, "b" * 64


def of(**changes: Any) -> LetterConfidentiality:
    fields: dict[str, Any] = {
        "degree": SecurityCode.RESTRICTED, "declared": False, "rule": "L.26", "rules_of": date(2022, 4, 26),
        "encryption": LetterEncryption.NONE,
    }  # fmt: skip
    return LetterConfidentiality(**(fields | changes))


def test_nothing_to_tell_of_a_letter_that_travels_as_it_is() -> None:
    assert confidentiality_event(of(), OUTSIDE) is None


def test_an_encrypted_letter_names_both_digests_before_its_many_certificates() -> None:
    many = [EncryptionCertificate(recipient_nos=[n], holder_no=n, serial="f" * 40, sha256="c" * 64) for n in range(16)]
    event = confidentiality_event(
        of(encryption=LetterEncryption.GATEWAY, certificates=many, inner_sha256=INSIDE), OUTSIDE
    )
    assert event is not None
    kind, detail = event
    assert kind is EventKind.ENCRYPTED
    assert len(detail) > MAX_DETAIL, "it is cut; the letter's record has all certificates"
    assert f"inside {INSIDE}, outside {OUTSIDE}" in detail[:MAX_DETAIL]


def test_a_decision_is_told_with_who_when_and_why() -> None:
    decided = UnencryptedDecision(
        decided_by="Deneme BAŞKAN", reason="r" * 500, decided_at=datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
    )  # fmt: skip
    event = confidentiality_event(of(decision=decided), OUTSIDE)
    assert event is not None
    kind, detail = event
    assert kind is EventKind.UNENCRYPTED_DECISION
    assert len(detail) <= MAX_DETAIL
    for told in ("L.26 (rules of 2022-04-26)", "Deneme BAŞKAN", "2026-03-02T09:00:00+00:00", "r" * 500):
        assert told in detail


def test_what_the_sender_encrypted_is_told_as_declared() -> None:
    named = [EncryptionCertificate(serial="1a2b")]
    event = confidentiality_event(
        of(encryption=LetterEncryption.SENDER, declared=True, certificates=named), OUTSIDE
    )  # fmt: skip
    assert event is not None
    assert "as the sender declared" in event[1]
    assert "certificate 1a2b" in event[1]


def test_the_mail_names_the_document_unless_the_gateway_encrypted_it() -> None:
    for encryption, named in (
        (None, "X.eyp"),
        (LetterEncryption.NONE, "X.eyp"),
        (LetterEncryption.SENDER, "X.eyp"),
        (LetterEncryption.GATEWAY, f"{OUTSIDE[:32]}.eyp"),
    ):
        stored = None if encryption is None else of(encryption=encryption)
        row = OutboundMessageRow(
            document_id="X", confidentiality=None if stored is None else stored.model_dump(mode="json")
        )  # fmt: skip
        assert letter_filename("X", recorded_confidentiality(row), "a.eyp", OUTSIDE) == named
        assert recorded_confidentiality(row) == stored
