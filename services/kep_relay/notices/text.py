"""Writes the text of a notice (kep.md 5: it quotes Message-ID, iletiID and document number; legal.md L.11). Pure.

Whatever the sender of the letter wrote is hostile here: it goes into one line each, without control or format
characters, and bounded.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from services.kep_relay.acceptance.rules import AcceptanceRule
from services.kep_relay.notices import wire
from shared.clock import ISTANBUL
from shared.contracts.acceptance import RefusalReason

_UNSAFE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_REPLY = re.compile(r"<[!-;=?-~]{1,450}@[!-;=?-~]{1,448}>")
_LONGEST = 1000


@dataclass(frozen=True)
class Quoted:
    """What the notice says of the letter itself; None of a letter whose content nobody on the way may read."""

    document_no: str | None
    document_date: datetime | None
    document_id: str | None
    package_sha256: str | None


@dataclass(frozen=True)
class NoticeFacts:
    """Everything a notice tells."""

    notice_id: UUID
    message_id_header: str | None
    rem_id: str | None
    sender: str
    receiver: str
    delivered_at: datetime
    by_evidence: bool
    """Whether that time stands in delivery evidence; else it is when the letter was first seen in the mailbox."""
    quoted: Quoted | None
    reasons: Sequence[RefusalReason]
    rule: AcceptanceRule
    refused_by: str
    refused_at: datetime
    sent_by: str
    remark: str | None


def reply_header(message_id_header: str | None) -> str | None:
    """The Message-ID as In-Reply-To may carry it; None when it is no proper one."""
    text = (message_id_header or "").strip()
    return text if _REPLY.fullmatch(text) else None


def notice_text(facts: NoticeFacts) -> str:
    """The notice, in lines that end with CRLF."""
    return "\r\n".join(_lines(facts)) + "\r\n"


def _lines(facts: NoticeFacts) -> Iterator[str]:
    yield wire.OPENING
    yield from _section(wire.LETTER, _letter(facts))
    yield from _section(wire.REASONS, _reasons(facts))
    rule = facts.rule
    yield from _section(
        wire.BASIS, [f"{rule.rule} ({wire.IN_FORCE} {rule.in_force_since:%d.%m.%Y}): {rule.basis_for_senders}"]
    )
    decision = [
        (wire.DECIDED_BY, facts.refused_by),
        (wire.DECIDED_AT, _moment(facts.refused_at)),
        (wire.SENT_BY, facts.sent_by),
        (wire.NOTICE_ID, str(facts.notice_id)),
    ]
    yield from _section(wire.DECISION, [f"{name}: {_line(value)}" for name, value in decision])
    if facts.remark is not None:
        yield from _section(wire.REMARK, [_line(part, 2000) for part in facts.remark.splitlines()])


def _letter(facts: NoticeFacts) -> Iterator[str]:
    told: list[tuple[str, str | None]] = [
        (wire.MESSAGE_ID, facts.message_id_header), (wire.REM_ID, facts.rem_id), (wire.FROM, facts.sender),
        (wire.TO, facts.receiver),
    ]  # fmt: skip
    if facts.quoted is not None:
        day = facts.quoted.document_date
        told += [
            (wire.DOCUMENT_NO, facts.quoted.document_no),
            (wire.DOCUMENT_DATE, None if day is None else f"{_local(day):%d.%m.%Y}"),
            (wire.DOCUMENT_ID, facts.quoted.document_id),
            (wire.PACKAGE, facts.quoted.package_sha256),
        ]
    by = wire.DELIVERED_BY_EVIDENCE if facts.by_evidence else wire.DELIVERED_BY_SIGHT
    told.append((by, _moment(facts.delivered_at)))
    for name, value in told:
        yield f"{name}: {_line(value or '') or wire.UNKNOWN}"


def _reasons(facts: NoticeFacts) -> Iterator[str]:
    for number, reason in enumerate(facts.reasons, 1):
        text = "" if facts.quoted is None else f" - {_line(reason.text)}"
        yield f"{number}. {wire.RULE} {_line(reason.rule, 100)}{text}"
    if facts.quoted is None:
        yield wire.WITHHELD


def _section(title: str, lines: Iterator[str] | list[str]) -> Iterator[str]:
    yield from ("", title, *lines)


def _local(moment: datetime) -> datetime:
    return moment if moment.tzinfo is None else moment.astimezone(ISTANBUL)


def _moment(moment: datetime) -> str:
    return f"{moment.astimezone(ISTANBUL):%d.%m.%Y %H:%M:%S} ({wire.LOCAL_TIME})"


def _line(text: str, limit: int = _LONGEST) -> str:
    visible = (" " if unicodedata.category(char) in _UNSAFE else char for char in text[: 4 * limit])
    return " ".join("".join(visible).split())[:limit]
