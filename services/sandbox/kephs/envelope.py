"""REM envelopes (ETSI TS 102 640, layout of kep.md 3.3): composing them around raw bytes and opening them again."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime
from html import escape

from services.sandbox.kephs import wire
from services.sandbox.kephs.evidence import LetterFacts
from services.sandbox.kephs.smime import (
    Entity,
    MailRejectedError,
    SignedMail,
    compose_headers,
    compose_multipart,
    compose_part,
    compose_signed,
    parse_entity,
    parse_signed,
    split_parts,
)

CRLF = b"\r\n"
Sign = Callable[[bytes], bytes]
"""Turns the bytes of an entity into a detached CMS signature, DER."""


@dataclass(frozen=True)
class EnvelopeStamp:
    """Who sends an envelope, to whom, and when."""

    message_id: str
    sender: str
    sender_name: str
    recipient: str
    moment: datetime


@dataclass(frozen=True)
class OpenedEnvelope:
    """An envelope taken apart; its signature is not judged yet."""

    signed: SignedMail
    kind: str
    """``wire.DISPATCH`` or ``wire.EVIDENCE_ONLY``."""
    message_id: str
    dispatch_id: str
    recipient: str
    original: bytes | None
    """The sender's own message, byte for byte (dispatch only)."""
    evidence: tuple[bytes, ...]

    def letter(self) -> LetterFacts:
        """What evidence about the enclosed letter has to say. Raises ``MailRejectedError`` if none is enclosed."""
        if self.original is None:
            raise MailRejectedError("the envelope carries no message")
        return letter_facts(self.original, dispatch_id=self.dispatch_id, recipients=(self.recipient,))


def letter_facts(original: bytes, *, dispatch_id: str, recipients: tuple[str, ...]) -> LetterFacts:
    """Read what evidence needs from a sender's own message."""
    headers = parse_entity(original)
    senders = headers.addresses("From")
    return LetterFacts(
        message_id=headers.text("Message-ID"),
        dispatch_id=dispatch_id,
        subject=headers.text("Subject"),
        sender=senders[0] if senders else "",
        recipients=recipients,
        digest=hashlib.sha256(original).digest(),
    )


def compose_dispatch(
    original: bytes, letter: LetterFacts, acceptance: bytes, acceptance_id: str, stamp: EnvelopeStamp, sign: Sign
) -> bytes:
    """The signed envelope that carries ``original`` and the evidence of its acceptance to one recipient."""
    inner = compose_part(
        [("Content-Type", "message/rfc822"), ("Content-Disposition", 'attachment; filename="orijinal.eml"')],
        original,
        encode=False,
    )
    content = _content(wire.DISPATCH_SENTENCE, letter, [_evidence_part(acceptance, acceptance_id), inner])
    fields = [
        ("Reply-To", letter.sender),
        (wire.ENVELOPE_KIND, wire.DISPATCH),
        *_common_fields(letter),
    ]
    return compose_signed(_stamp_fields(stamp, wire.DISPATCH_SUBJECT, letter, fields), content, sign)


def compose_evidence_mail(
    code: int, identifier: str, document: bytes, letter: LetterFacts, stamp: EnvelopeStamp, sign: Sign
) -> bytes:
    """The signed envelope that carries one piece of evidence back to the letter's sender."""
    kind = wire.EVIDENCE_KINDS[code]
    content = _content(kind.sentence, letter, [_evidence_part(document, identifier)])
    fields = [
        ("In-Reply-To", letter.message_id),
        ("References", letter.message_id),
        (wire.ENVELOPE_KIND, wire.EVIDENCE_ONLY),
        (wire.EVIDENCE_TYPE, kind.evidence_type),
        (wire.EVENT, kind.event_text),
        (wire.EVIDENCE_IDENTIFIER, identifier),
        *_common_fields(letter),
    ]
    return compose_signed(_stamp_fields(stamp, kind.subject, letter, fields), content, sign)


def open_envelope(raw: bytes) -> OpenedEnvelope:
    """Take an envelope apart. Raises ``MailRejectedError``."""
    signed = parse_signed(raw)
    outer = signed.headers
    original: bytes | None = None
    evidence: list[bytes] = []
    for part in map(parse_entity, split_parts(parse_entity(signed.content))):
        if part.content_type == "message/rfc822" and original is None:
            original = part.body
        elif part.content_type in {"application/xml", "text/xml"}:
            evidence.append(part.decoded())
    kind = outer.text(wire.ENVELOPE_KIND)
    if kind not in {wire.DISPATCH, wire.EVIDENCE_ONLY}:
        raise MailRejectedError(f"{wire.ENVELOPE_KIND} is missing or unknown")
    return OpenedEnvelope(
        signed=signed,
        kind=kind,
        message_id=outer.text("Message-ID"),
        dispatch_id=outer.text(wire.DISPATCH_IDENTIFIER),
        recipient=_first(outer, "To"),
        original=original,
        evidence=tuple(evidence),
    )


def _first(entity: Entity, name: str) -> str:
    addresses = entity.addresses(name)
    if not addresses:
        raise MailRejectedError(f"{name} is missing")
    return addresses[0]


def _common_fields(letter: LetterFacts) -> list[tuple[str, str]]:
    return [
        (wire.DISPATCH_IDENTIFIER, letter.dispatch_id),
        (wire.DIGEST_METHOD, wire.SHA256_URI),
        (wire.DIGEST_VALUE, base64.b64encode(letter.digest).decode()),
    ]


def _stamp_fields(
    stamp: EnvelopeStamp, subject: str, letter: LetterFacts, fields: list[tuple[str, str]]
) -> list[tuple[str, str]]:
    return [
        ("From", f'"{stamp.sender_name}" <{stamp.sender}>'),
        ("To", stamp.recipient),
        ("Subject", f"{subject}: {letter.subject}"),
        ("Message-ID", stamp.message_id),
        ("Date", format_datetime(stamp.moment)),
        *fields,
    ]


def _content(sentence: str, letter: LetterFacts, parts: list[bytes]) -> bytes:
    lines = [sentence, "", f"Gönderen: {letter.sender}", *(f"Alıcı: {recipient}" for recipient in letter.recipients)]
    lines += [f"Konu: {letter.subject}", f"Message-ID: {letter.message_id}"]
    markup = "<html><body>" + "".join(f"<p>{escape(line)}</p>" for line in lines if line) + "</body></html>"
    introduction_type, introduction = compose_multipart(
        "alternative",
        [
            compose_part([("Content-Type", "text/plain; charset=utf-8")], "\r\n".join(lines).encode()),
            compose_part([("Content-Type", "text/html; charset=utf-8")], markup.encode()),
        ],
    )
    introduction_fields = [("Content-Type", introduction_type), (wire.SECTION_KIND, "Introduction")]
    content_type, body = compose_multipart(
        "mixed", [compose_part(introduction_fields, introduction, encode=False), *parts]
    )
    return compose_headers([("Content-Type", content_type)]) + CRLF + body


def _evidence_part(document: bytes, identifier: str) -> bytes:
    name = f"Delil-{identifier}.xml"
    return compose_part(
        [
            ("Content-Type", f'application/xml; name="{name}"'),
            ("Content-Disposition", f'attachment; filename="{name}"'),
            (wire.SECTION_KIND, "Evidence"),
        ],
        document,
    )
