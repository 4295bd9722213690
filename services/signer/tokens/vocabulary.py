"""What signer and its token processes say to each other: one JSON object a line, bytes in hex.

Only the standard library is imported here, because the process that loads a vendor's module reads it too.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

LONGEST_LINE = 256 * 1024
"""More than any answer needs: a few certificates and numbers."""


class Operation(StrEnum):
    """What a token process is asked for."""

    FIND = "find"
    """Load the module and find the token."""
    OPEN = "open"
    """Open the session; logs in when a PIN is given."""
    CERTIFICATES = "certificates"
    DESCRIBE = "describe"
    """Kind, permissions and public numbers of a private key."""
    SIGN = "sign"
    DECRYPT = "decrypt"
    DERIVE = "derive"
    CHECK = "check"
    """Whether the token is there and the session holds."""


class Transform(StrEnum):
    """What the private key does, by the mechanism that does it."""

    SIGN_PKCS1 = "CKM_RSA_PKCS"
    SIGN_PSS = "CKM_RSA_PKCS_PSS"
    SIGN_ECDSA = "CKM_ECDSA"
    DECRYPT_RAW = "CKM_RSA_X_509"
    DECRYPT_PKCS1 = "CKM_RSA_PKCS"
    DECRYPT_OAEP = "CKM_RSA_PKCS_OAEP"
    DERIVE_ECDH = "CKM_ECDH1_DERIVE"


class FaultKind(StrEnum):
    """Why something was not done."""

    PIN_REFUSED = "pin-refused"
    PIN_LAST_TRY = "pin-last-try"
    """The token allows one more attempt, or none: that one is left to a person."""
    PIN_UNANSWERED = "pin-unanswered"
    """Logins ended without saying whether the PIN was right: no more of them."""
    TOKEN_ABSENT = "token-absent"  # noqa: S105 - a hardware token, not a secret
    TOKEN_AMBIGUOUS = "token-ambiguous"  # noqa: S105
    MODULE_UNUSABLE = "module-unusable"
    KEY_ABSENT = "key-absent"
    KEY_AMBIGUOUS = "key-ambiguous"
    INPUT_REFUSED = "input-refused"
    """The token says that what it was given is not what it can decrypt."""
    UNCLEAR = "unclear"
    """An error while decrypting that is a bad padding for some modules, a broken token for others."""
    NOT_POSSIBLE = "not-possible"
    """The key or the module does not do this."""
    LOST = "lost"
    """The session or the token went away under the call."""
    NO_ANSWER = "no-answer"
    DIED = "died"
    BUSY = "busy"
    CLOSED = "closed"


@dataclass(frozen=True)
class TokenAddress:
    """A token: the vendor's module and one of label and serial number."""

    module: str
    label: str | None = None
    serial: str | None = None

    def __str__(self) -> str:
        return f"token {self.label!r}" if self.label is not None else f"token with serial {self.serial!r}"


@dataclass(frozen=True)
class KeySelector:
    """A key on a token by CKA_LABEL, CKA_ID (hex), or both."""

    label: str | None = None
    id_hex: str | None = None


class TokenFault(Exception):  # noqa: N818 - named as in PKCS#11 texts
    """Something a token did not do; ``name`` is the module's own word for it, never what it was given."""

    def __init__(self, kind: FaultKind, name: str = "") -> None:
        super().__init__(f"{kind.value} ({name})" if name else kind.value)
        self.kind = kind
        self.name = name
