"""What a notice says, and what no sender can make it say."""

from __future__ import annotations

import unicodedata
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.kep_relay.acceptance.rules import ACCEPTANCE
from services.kep_relay.notices import wire
from services.kep_relay.notices.text import NoticeFacts, Quoted, notice_text, reply_header
from shared.contracts.acceptance import RefusalReason

MOMENT = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
FACTS = NoticeFacts(
    notice_id=UUID("01a223f0-f78a-78b1-9f5c-accf3896fd77"), message_id_header="<a@hs98.kep.tr>", rem_id="rem-1",
    sender="a@hs98.kep.tr", receiver="b@hs99.kep.tr", delivered_at=MOMENT, by_evidence=False,
    quoted=Quoted("E-1", datetime(2026, 3, 1, 22, 30, tzinfo=UTC), "0D1E2F30", "ab" * 32),
    reasons=[RefusalReason(rule="R.30", text="Ek yok."), RefusalReason(rule="other", text="Okunamıyor.")],
    rule=ACCEPTANCE[-1], refused_by="F. Örnek", refused_at=MOMENT, sent_by="G. Deneme", remark=None,
)  # fmt: skip


def test_it_says_everything_in_turkish_time() -> None:
    said = notice_text(FACTS)
    assert said.startswith(wire.OPENING)
    assert said.endswith("\r\n")
    assert "Belge tarihi: 02.03.2026" in said, "the day in Türkiye"
    assert "20.11.2026 12:00:00 (Türkiye saati)" in said
    assert "1. Kural R.30 - Ek yok.\r\n2. Kural other - Okunamıyor.\r\n" in said
    assert ACCEPTANCE[-1].basis_for_senders in said
    assert wire.REMARK not in said


def test_every_rule_names_its_source_for_senders() -> None:
    assert all("Resmî Gazete" in rule.basis_for_senders for rule in ACCEPTANCE)


def test_what_is_not_known_is_said_to_be_unknown() -> None:
    said = notice_text(replace(FACTS, message_id_header=None, rem_id=None, quoted=Quoted(None, None, None, None)))
    assert said.count(f": {wire.UNKNOWN}") == 6


def test_of_a_guarded_letter_only_ids_are_told() -> None:
    said = notice_text(replace(FACTS, quoted=None))
    assert "1. Kural R.30\r\n2. Kural other\r\n" in said
    assert wire.WITHHELD in said
    assert not any(word in said for word in ("E-1", "0D1E2F30", "Ek yok", "Okunamıyor", "02.03.2026", "abab"))


@given(st.text(max_size=300), st.text(max_size=300), st.text(max_size=300), st.text(max_size=300))
def test_hostile_texts_add_no_line_and_hide_nothing(header: str, rem_id: str, number: str, reason: str) -> None:
    assert FACTS.quoted is not None
    facts = replace(
        FACTS, message_id_header=header, rem_id=rem_id, quoted=replace(FACTS.quoted, document_no=number),
        reasons=[RefusalReason.model_construct(rule="R.30", text=reason)],
    )  # fmt: skip
    said = notice_text(facts)
    usual = notice_text(replace(FACTS, reasons=FACTS.reasons[:1]))
    assert said.count("\r\n") == usual.count("\r\n")
    said.encode()
    assert {unicodedata.category(char) for char in said.replace("\r\n", "")} & {"Cc", "Cf", "Cs", "Zl", "Zp"} == set()
    assert max(map(len, said.split("\r\n"))) < 1200


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("<a@b>", "<a@b>"),
        (" <EYWS{0-1}.01.pttkepMimeyap@hs01.kep.tr> ", "<EYWS{0-1}.01.pttkepMimeyap@hs01.kep.tr>"),
        (None, None),
        ("", None),
        ("a@b", None),
        ("<a b@c>", None),
        ("<a@b>\r\nBcc: <x@y>", None),
        ("<a@b> <c@d>", None),
        ("<ğ@b>", None),
        (f"<{'a' * 900}@b>", None),
        ("<without-a-domain>", None),
    ],
)
def test_only_a_proper_message_id_becomes_a_header(header: str | None, expected: str | None) -> None:
    assert reply_header(header) == expected
