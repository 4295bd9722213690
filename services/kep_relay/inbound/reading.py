"""Everything one raw mail says, read in one go: pure, blocking, bounded."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from services.kep_relay.inbound import texts, wire
from services.kep_relay.inbound.classify import MailKind, classify
from services.kep_relay.inbound.envelope import OpenedMail, open_mail
from services.kep_relay.inbound.letter import Letter, read_letter


@dataclass(frozen=True)
class MailReading:
    """A classified mail; ``letter`` is there for letters and DETSİS verifications."""

    kind: MailKind
    mail: OpenedMail
    letter: Letter | None
    sender: str | None
    subject: str | None
    message_id_header: str | None
    dispatch_id: str | None
    rem_id: str | None
    references: tuple[str, ...]
    defects: tuple[str, ...]


def read_mail(raw: bytes | memoryview, verification_senders: Collection[str] = ()) -> MailReading:
    """Read a mail. Never raises for content; run it in a thread, it may take a second for a large one."""
    mail = open_mail(raw)
    kind = classify(mail, verification_senders)
    letter = read_letter(mail) if kind in {MailKind.LETTER, MailKind.DETSIS_VERIFICATION} else None
    headers = mail.outer.headers
    senders = texts.addresses(headers, "From")
    return MailReading(
        kind=kind,
        mail=mail,
        letter=letter,
        sender=senders[0] if senders else None,
        subject=texts.header_text(headers, "Subject"),
        message_id_header=texts.message_id(headers),
        dispatch_id=texts.header_text(headers, wire.DISPATCH_IDENTIFIER, 998),
        rem_id=texts.header_text(headers, wire.MESSAGE_REFERENCE, 200),
        references=tuple(texts.message_ids(headers, "In-Reply-To", wire.PEC_REFERENCE, "References")),
        defects=letter.defects if letter is not None else tuple(mail.defects),
    )
