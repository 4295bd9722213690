"""What a letter's original message holds: sender, identifiers, parts, and which part is the package."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from typing import BinaryIO, cast

from services.kep_relay.inbound import texts, wire
from services.kep_relay.inbound.envelope import OpenedMail, embedded_message, leaves, unwrap
from services.kep_relay.inbound.mime import Entity, parse_mail
from services.kep_relay.inbound.transfer import Content, plain
from shared import eyp
from shared.domain.identifiers import KepAddress, bare_message_id
from shared.errors import DomainError, ErrorCode

PACKAGE_ENCRYPTED = "package-encrypted"
"""By its name; until somebody has tried to open it."""
_ZIP = b"PK\x03\x04"
_IN_MEMORY = 1024 * 1024


@dataclass(frozen=True)
class LetterPart:
    """One leaf part."""

    number: int
    filename: str | None
    media_type: str
    content: Content
    is_package: bool


@dataclass(frozen=True)
class Letter:
    """An original message, read."""

    original: memoryview
    """Its exact bytes: a slice of the mail, not a copy."""
    sender: KepAddress | None
    subject: str | None
    message_id_header: str | None
    rem_id: str | None
    parts: tuple[LetterPart, ...]
    signed: bool
    defects: tuple[str, ...]

    @property
    def message_key(self) -> str:
        """The Message-ID without angle brackets; empty if there is none."""
        return bare_message_id(self.message_id_header) if self.message_id_header else ""

    @property
    def package(self) -> LetterPart | None:
        """The package, if there is exactly one."""
        packages = [part for part in self.parts if part.is_package]
        return packages[0] if len(packages) == 1 else None

    @property
    def reason_code(self) -> str | None:
        """As ``reason_by_packages``."""
        return reason_by_packages([part.filename for part in self.parts if part.is_package])


def reason_by_packages(names: Sequence[str | None]) -> str | None:
    """Why a person should look at a letter with packages of these names, as far as the mail alone tells; or None."""
    if not names:
        return "no-package"
    if len(names) > 1:
        return "several-packages"
    return PACKAGE_ENCRYPTED if (names[0] or "").lower().endswith(wire.ENCRYPTED_EXTENSION) else None


def read_letter(mail: OpenedMail) -> Letter | None:
    """Read the original message inside ``mail``; None if it carries none. Blocking: run it in a thread."""
    if mail.original is None:
        return None
    parsed = parse_mail(mail.original)
    defects = list(mail.defects) + list(parsed.defects)
    content, signed = unwrap(parsed, defects)
    headers = parsed.root.headers
    senders = texts.addresses(headers, "From") or texts.addresses(mail.outer.headers, "Reply-To")
    return Letter(
        original=mail.original,
        sender=senders[0] if senders else None,
        subject=texts.header_text(headers, "Subject"),
        message_id_header=texts.message_id(headers),
        rem_id=texts.header_text(headers, wire.MESSAGE_REFERENCE, 200),
        parts=_parts(list(leaves(content)), defects),
        signed=signed,
        defects=tuple(dict.fromkeys(defects)),
    )


def _parts(entities: Sequence[Entity], defects: list[str]) -> tuple[LetterPart, ...]:
    parts = []
    for number, entity in enumerate(entities, 1):
        if entity.media_type == "message/rfc822":
            content = plain(embedded_message(entity, defects))
        else:
            content = entity.content()
        name = texts.filename(entity.headers)
        is_package = _is_package(entity.media_type, name, content)
        parts.append(LetterPart(number, name, entity.media_type, content, is_package))
    return tuple(parts)


def _is_package(media_type: str, filename: str | None, content: Content) -> bool:
    """By extension, by the official media type, or by what the ZIP holds: senders' media types mislead (kep.md 5)."""
    if media_type == wire.PACKAGE_MEDIA_TYPE or (filename or "").lower().endswith(wire.PACKAGE_EXTENSIONS):
        return True
    if not content.starts_with(_ZIP):
        return False
    with tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY) as file:
        for piece in content.pieces():
            file.write(piece)
        try:
            eyp.inspect(cast("BinaryIO", file))
        except DomainError as error:
            # Office files are ZIP containers too; a damaged one that cannot be told apart is no proven package.
            return error.code not in {ErrorCode.NOT_A_PACKAGE, ErrorCode.PACKAGE_INVALID, ErrorCode.TOO_LARGE}
    return True
