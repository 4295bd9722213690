"""Columns of the row that shows a mail to people: a letter, or a case for somebody."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from services.kep_relay.inbound import texts
from services.kep_relay.inbound.classify import MailKind
from services.kep_relay.inbound.letter import Letter
from services.kep_relay.inbound.reading import MailReading
from services.kep_relay.reverifying import IN_HAND
from services.kep_relay.tables import MailboxRow, RawMailRow
from shared.blobs import BlobRef
from shared.domain.identifiers import bare_message_id, new_id
from shared.domain.message import InboundState

REASON_OF_KIND = {MailKind.OTHER: "unrecognised", MailKind.DETSIS_VERIFICATION: "detsis-verification"}
"""``reason_code`` of mails that are always a case for a person."""


@dataclass(frozen=True)
class Stored:
    """Digests and sizes of what was taken out of a mail."""

    original: BlobRef | None
    parts: tuple[BlobRef, ...]
    evidence: tuple[BlobRef, ...]


def unread_values(raw: RawMailRow, mailbox: MailboxRow, now: datetime) -> dict[str, object]:
    """Columns of the letter row of a mail that nothing more is known about."""
    return {
        "message_id": new_id(),
        "institution_no": raw.institution_no,
        "mailbox_id": raw.mailbox_id,
        "mailbox_address": mailbox.address,
        "raw_mail_id": raw.raw_mail_id,
        "raw_sha256": raw.sha256,
        "raw_size": raw.size,
        "kind": MailKind.OTHER.value,
        "state": InboundState.QUARANTINED,
        "reason_code": raw.reason_code,
        "reason": raw.reason,
        "message_key": f"raw:{raw.raw_mail_id}",
        "original_sha256": "",
        "original_size": 0,
        "received_at": raw.received_at,
        "updated_at": now,
    }


def message_values(
    raw: RawMailRow, mailbox: MailboxRow, reading: MailReading, stored: Stored, now: datetime
) -> dict[str, object]:
    """Columns of the letter row of a mail that was read; what is under threat is quarantined.

    It is judged all the same: whose it is decides about its period, and its degree whether anybody may see its subject.
    """
    values = _as_read(raw, mailbox, reading, stored, now)
    if reading.threat is None:
        return values
    return values | {
        "state": InboundState.QUARANTINED,
        "reason_code": reading.threat.reason_code,
        "reason": reading.threat.detail,
    }


def _as_read(
    raw: RawMailRow, mailbox: MailboxRow, reading: MailReading, stored: Stored, now: datetime
) -> dict[str, object]:
    values = unread_values(raw, mailbox, now) | {
        "kind": reading.kind.value,
        "dispatch_id": reading.dispatch_id,
        "provider_acknowledged_at": raw.seen_at,
        "acknowledge_at": None,
    }
    letter = reading.letter
    if letter is None or stored.original is None:
        return values | {
            "sender_address": reading.sender,
            "subject": reading.subject,
            "message_id_header": reading.message_id_header,
            "message_key": texts.index_key(bare_message_id(reading.message_id_header or "")),
            "original_sha256": raw.sha256,
            "original_size": raw.size,
            "rem_id": reading.rem_id,
            "reason_code": REASON_OF_KIND[MailKind.OTHER],
            "reason": _sentence(reading),
        }
    values |= {
        "sender_address": letter.sender,
        "subject": letter.subject,
        "message_id_header": letter.message_id_header,
        "message_key": texts.index_key(letter.message_key),
        "original_sha256": stored.original.sha256,
        "original_size": stored.original.size,
        "rem_id": letter.rem_id,
    }
    if reading.kind is MailKind.DETSIS_VERIFICATION:
        return values | {
            "reason_code": REASON_OF_KIND[reading.kind],
            "reason": "a person has to confirm the address in DETSİS",
            # For the person who is to open its link; whatever the verdict, it stays where it is.
            "verify_at": now + IN_HAND,
        }
    if reading.mail.defects and not letter.parts:
        return values | {"reason_code": "unreadable", "reason": _sentence(reading)}
    return values | _ready(letter, stored, now)


def _ready(letter: Letter, stored: Stored, now: datetime) -> dict[str, object]:
    package = letter.package
    values: dict[str, object] = {
        "state": InboundState.PARSED,
        "reason_code": letter.reason_code,
        "reason": ", ".join(letter.defects) or None,
        "verify_at": now + IN_HAND,
    }
    if package is not None:
        blob = stored.parts[package.number - 1]
        values |= {
            "package_sha256": blob.sha256, "package_size": blob.size, "package_filename": package.filename,
        }  # fmt: skip
    return values


def _sentence(reading: MailReading) -> str:
    found = ", ".join(reading.defects)
    return f"not a KEP letter and no evidence{f' ({found})' if found else ''}"
