"""The keys file: a JSON list, each entry a key in a PKCS#12 file or on a token (deploy/HSM.md)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, TypeAdapter, ValidationError, model_validator

from shared.contracts.signatures import SignatureLevel, SigningPurpose

_Text = Annotated[str, Field(min_length=1, max_length=1024)]


class KeysUnreadable(Exception):  # noqa: N818 - names the state of the file
    """The keys cannot be used as configured; the message names the entry, never its password, PIN or content."""


class _Entry(BaseModel):
    """What all entries have; relative paths are relative to the keys file."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    key_id: str = Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")
    institution_no: int = Field(ge=10_000_000, le=99_999_999)
    purposes: list[SigningPurpose] = Field(min_length=1)
    rsa_padding: Literal["pkcs1v15", "pss"] = "pkcs1v15"
    """Of signatures; PSS only where every recipient's software is known to read it."""

    seal_level: SignatureLevel = SignatureLevel.B
    """Above B with a time-stamp of the authority in the settings."""

    @property
    def decrypts(self) -> bool:
        """Whether the key opens envelopes."""
        return SigningPurpose.PACKAGE_DECRYPTION in self.purposes


class SoftwareEntry(_Entry):
    """A key in a PKCS#12 file."""

    pkcs12: _Text
    password_file: _Text


class TokenKey(BaseModel):
    """Where a key lies in a hardware module; names as in PKCS#11 (OASIS, 2.40)."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    module: _Text
    """The vendor's shared library."""
    token_label: _Text | None = None
    token_serial: _Text | None = None
    key_label: _Text | None = None
    key_id_hex: str | None = Field(default=None, pattern=r"^(?:[0-9A-Fa-f]{2}){1,64}$")
    certificate: _Text | None = None
    """File with the certificate (PEM or DER); None: the one on the token that fits the key."""
    chain: _Text | None = None
    """File with the certificates between it and the root, to be sent along."""

    @model_validator(mode="after")
    def _named_once(self) -> Self:
        if (self.token_label is None) == (self.token_serial is None):
            raise ValueError("one of token_label and token_serial")
        if self.key_label is None and self.key_id_hex is None:
            raise ValueError("key_label or key_id_hex")
        return self


class HardwareEntry(_Entry):
    """A key on a token."""

    pkcs11: TokenKey
    pin_file: _Text


def _kind(entry: Any) -> str:
    return "pkcs11" if isinstance(entry, dict) and "pkcs11" in entry else "pkcs12"


KeyEntry = Annotated[
    Annotated[SoftwareEntry, Tag("pkcs12")] | Annotated[HardwareEntry, Tag("pkcs11")], Discriminator(_kind)
]
_ENTRIES: TypeAdapter[list[SoftwareEntry | HardwareEntry]] = TypeAdapter(list[KeyEntry])


def read_entries(keys_file: Path) -> list[SoftwareEntry | HardwareEntry]:
    """The entries of the keys file; raises ``KeysUnreadable`` naming what is wrong, without its values."""
    try:
        listed = json.loads(keys_file.read_text(encoding="utf-8"))
        entries = _ENTRIES.validate_python(listed)
    except ValidationError as error:
        faults = "; ".join(_fault(listed, item) for item in error.errors(include_input=False, include_url=False)[:5])
        raise KeysUnreadable(f"{keys_file}: {faults}") from None
    except (OSError, ValueError, RecursionError) as error:
        raise KeysUnreadable(f"{keys_file}: not a readable list of keys ({type(error).__name__})") from error
    if len({entry.key_id for entry in entries}) != len(entries):
        raise KeysUnreadable(f"{keys_file}: the same key_id twice")
    for entry in entries:
        if entry.decrypts and len(set(entry.purposes)) > 1:
            raise KeysUnreadable(f"key {entry.key_id}: a key that decrypts must not sign")
        if entry.seal_level is not SignatureLevel.B and SigningPurpose.PACKAGE_SEAL not in entry.purposes:
            raise KeysUnreadable(f"key {entry.key_id}: seal_level is for keys that seal packages")
    return entries


def _fault(listed: Any, error: Any) -> str:
    """``key seal-1: pkcs11.module: Field required``; the entry by its key_id where it has one."""
    place = list(error["loc"])
    number = place[0] if place else None
    entry = listed[number] if isinstance(listed, list) and isinstance(number, int) else None
    key_id = entry.get("key_id") if isinstance(entry, dict) else None
    name = f"key {key_id}" if isinstance(key_id, str) and len(key_id) <= 64 else f"entry {number}"
    field = ".".join(str(step) for step in place[2:])
    return f"{name}: {field + ': ' if field else ''}{error['msg']}"
