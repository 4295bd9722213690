"""Everything one raw mail says, read in one go: pure, blocking, bounded."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

from services.kep_relay.inbound import texts, wire
from services.kep_relay.inbound.classify import MailKind, classify
from services.kep_relay.inbound.envelope import OpenedMail, open_mail, unwrap
from services.kep_relay.inbound.letter import Letter, read_letter
from services.kep_relay.inbound.mime import parse_mail
from services.kep_relay.inbound.scanning import Threat
from services.kep_relay.inbound.verification_links import FoundLinks, find_links, is_expected
from shared.contracts.verification_mails import RecognisedBy


@dataclass(frozen=True)
class VerificationRules:
    """How mails are recognised with which DETSİS asks whether a mailbox is read; all of it is configuration."""

    senders: Collection[str] = ()
    """KEP addresses (ASCII lower case) that DETSİS writes from."""
    link_hosts: Collection[str] = ()
    """Hosts of DETSİS: a link to one of them, or below, is a hint."""


@dataclass(frozen=True)
class VerificationTraits:
    """Why a mail is, or may be, a verification mail."""

    recognised_by: RecognisedBy
    links: FoundLinks
    sender_disagrees: bool
    """The evidence inside names another sender."""


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
    verification: VerificationTraits | None = None
    threat: Threat | None = None
    """What a virus scanner found, or why it would not look."""

    def under(self, threat: Threat | None) -> MailReading:
        """The same mail after it was scanned. Evidence is nobody's letter, but a threat beside it is somebody's case."""
        if threat is None:
            return self
        kind = MailKind.OTHER if self.kind is MailKind.EVIDENCE else self.kind
        return replace(self, kind=kind, threat=threat)


def read_mail(raw: bytes | memoryview, rules: VerificationRules | None = None) -> MailReading:
    """Read a mail. Never raises for content; run it in a thread, it may take a second for a large one."""
    rules = rules or VerificationRules()
    mail = open_mail(raw)
    kind = classify(mail, rules.senders)
    letter = read_letter(mail) if kind in {MailKind.LETTER, MailKind.DETSIS_VERIFICATION} else None
    asked = kind is MailKind.DETSIS_VERIFICATION
    if asked and letter is not None and any(part.is_package for part in letter.parts):
        # Whoever runs DETSİS may write official letters from the same address: those are never withheld.
        kind = MailKind.LETTER
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
        verification=None if kind is MailKind.EVIDENCE else _traits(mail, letter, rules, kind, hinted=asked),
    )


def _traits(
    mail: OpenedMail, letter: Letter | None, rules: VerificationRules, kind: MailKind, *, hinted: bool
) -> VerificationTraits | None:
    content = mail.content if mail.original is None else unwrap(parse_mail(mail.original), [])[0]
    links = find_links(content, rules.link_hosts)
    hinted = hinted or any(is_expected(link.host, rules.link_hosts) for link in links.links)
    by: RecognisedBy = "sender" if kind is MailKind.DETSIS_VERIFICATION else "hint"
    if by == "hint" and not hinted:
        return None
    named = {item.facts.sender for item in mail.evidence if item.facts.sender is not None}
    sender = None if letter is None else letter.sender
    return VerificationTraits(by, links, sender_disagrees=bool(named) and sender not in named)
