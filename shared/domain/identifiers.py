"""Identifiers of the field, checked once at the border and then trusted as types."""

from __future__ import annotations

import re
from typing import NewType
from uuid import UUID

from uuid6 import uuid7

DetsisNumber = NewType("DetsisNumber", int)
"""Eight digits, first one not zero; names one unit of the Turkish state for ever (DETSİS No)."""

KepAddress = NewType("KepAddress", str)
"""A registered e-mail address in ASCII lower case."""

Sha256 = NewType("Sha256", str)
"""A SHA-256 digest as 64 lower-case hex digits."""

_KEP_ADDRESS = re.compile(r"[a-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}@[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_ASCII_LOWER = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz")


def detsis_number(value: int | str) -> DetsisNumber:
    """Return ``value`` as a DETSİS number; raise ``ValueError`` unless it has eight digits."""
    text = str(value).strip()
    if not (len(text) == 8 and text.isascii() and text.isdigit() and text[0] != "0"):
        raise ValueError("a DETSİS number has exactly eight digits and does not start with zero")
    return DetsisNumber(int(text))


def ascii_lower(text: str) -> str:
    """Lower-case A-Z only: the Turkish locale would turn I into ı and change an address."""
    return text.translate(_ASCII_LOWER)


def kep_address(value: str) -> KepAddress:
    """Return ``value`` as a normalised KEP address; raise ``ValueError`` if it is not an address.

    The domain is not judged here: which domains are acceptable differs by environment.
    """
    address = ascii_lower(value.strip())
    if not _KEP_ADDRESS.fullmatch(address) or ".." in address:
        raise ValueError("not a KEP address")
    return KepAddress(address)


def sha256_hex(value: str) -> Sha256:
    """Return ``value`` as a lower-case digest; raise ``ValueError`` unless it is 64 hex digits."""
    digest = ascii_lower(value.strip())
    if not _SHA256.fullmatch(digest):
        raise ValueError("a SHA-256 digest has 64 hex digits")
    return Sha256(digest)


def new_id() -> UUID:
    """A time-ordered UUID (RFC 9562, version 7)."""
    return UUID(int=uuid7().int)


def bare_message_id(message_id: str) -> str:
    """The Message-ID without angle brackets: evidence quotes it both ways (kep.md 3.6)."""
    return message_id.strip().removeprefix("<").removesuffix(">").strip()
