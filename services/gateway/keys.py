"""API keys as strings: how they look, how they are made, what is stored of them.

A key is ``kepgw_<prefix>_<secret>``: the prefix finds the row, the secret has 256 random bits, so a
plain SHA-256 is as good as a slow hash and costs nothing per request.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from dataclasses import dataclass, field

_FORM = re.compile(r"kepgw_([A-Za-z0-9]{8,16})_([A-Za-z0-9]{32,64})")
_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789"
_SECRET_LENGTH = 44  # of 57 letters: 256 bits


@dataclass(frozen=True)
class PresentedKey:
    """A key that has the right form; whether it is anyone's is not known yet."""

    prefix: str
    text: str = field(repr=False)

    @property
    def sha256(self) -> bytes:
        """What the database holds of it."""
        return hashlib.sha256(self.text.encode()).digest()


def read_key(text: str) -> PresentedKey:
    """Check the form of a key; raise ``ValueError`` if it is not one of ours."""
    match = _FORM.fullmatch(text)
    if not match:
        raise ValueError("an API key looks like kepgw_<8-16 letters or digits>_<32-64 letters or digits>")
    return PresentedKey(match[1], text)


def mint_key() -> PresentedKey:
    """A new random key."""
    prefix = "".join(secrets.choice(_LETTERS) for _ in range(12))
    secret = "".join(secrets.choice(_LETTERS) for _ in range(_SECRET_LENGTH))
    return PresentedKey(prefix, f"kepgw_{prefix}_{secret}")
