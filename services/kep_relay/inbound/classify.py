"""What a mail is. By headers and content in the order of kep.md 3.6; never by its subject."""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum

from services.kep_relay.inbound import texts, wire
from services.kep_relay.inbound.envelope import OpenedMail, unwrap
from services.kep_relay.inbound.mime import header_token, parse_mail
from shared.domain.evidence import EvidenceCode

_ON_THE_WAY = frozenset({EvidenceCode.ACCEPTED, EvidenceCode.RELAYED})


class MailKind(StrEnum):
    """The four things a mail in a KEP mailbox can be."""

    LETTER = "letter"
    EVIDENCE = "evidence"
    DETSIS_VERIFICATION = "detsis_verification"
    """Asks authorised staff to confirm the mailbox in DETSİS: for a person, never for an EBYS (EK-2/2)."""
    OTHER = "other"


def classify(mail: OpenedMail, verification_senders: Collection[str]) -> MailKind:
    """Tell what a mail is.

    1. X-REM-Msg-Type and X-REM-Evidence-Type, as far as the content bears them out: a Dispatch
       without a message inside is not a letter. 2. Root element of an XML part. 3. PEC headers.
       4. A message inside makes it a letter. 5. Anything else is for a person.

    ``verification_senders``: KEP addresses (ASCII lower case) that DETSİS writes from.
    """
    kind = _kind(mail)
    if kind is MailKind.LETTER and mail.original is not None and _is_verification(mail.original, verification_senders):
        return MailKind.DETSIS_VERIFICATION
    return kind


def _kind(mail: OpenedMail) -> MailKind:
    headers = mail.outer.headers
    stated = header_token(headers, wire.ENVELOPE_KIND)
    carries_message = mail.original is not None
    if stated == wire.DISPATCH and carries_message:
        return MailKind.LETTER
    if mail.evidence and (stated == wire.EVIDENCE_ONLY or not carries_message):
        return MailKind.EVIDENCE
    if mail.evidence:
        return MailKind.EVIDENCE if _is_receipt(mail) else MailKind.LETTER
    if wire.PEC_RECEIPT in headers:
        # A receipt of the Italian system encloses the message it is about; its form of proof is not ours.
        return MailKind.OTHER
    return MailKind.LETTER if carries_message else MailKind.OTHER


def _is_receipt(mail: OpenedMail) -> bool:
    """Whether a mail that encloses a letter reports on it to its sender.

    A letter on its way brings at most acceptances, or it goes to the one they name as recipient. In
    doubt it is a letter: a receipt taken for one is seen by somebody, a letter taken for a receipt is lost.
    """
    facts = [part.facts for part in mail.evidence]
    to = set(texts.addresses(mail.outer.headers, "To"))
    return (
        any(item.code not in _ON_THE_WAY for item in facts)
        and any(item.sender in to for item in facts)
        and not any(recipient in to for item in facts for recipient in item.recipients)
    )


def _is_verification(original: memoryview, senders: Collection[str]) -> bool:
    if not senders:
        return False
    parsed = parse_mail(original)
    content, _signed = unwrap(parsed, [])
    found = texts.addresses(parsed.root.headers, "From") or texts.addresses(content.headers, "From")
    return bool(found) and found[0] in senders
