"""What signer is asked about encrypted content (CMS envelopes) and what it answers."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from shared.contracts.base import Contract

MOST_RECIPIENTS = 16
"""Certificates one envelope is made for."""


class EnvelopeRefusal(StrEnum):
    """Why an envelope was not read or not opened; a failure with ``envelope-invalid`` has it as fault of ``/envelope``."""

    NOT_AN_ENVELOPE = "not-an-envelope"
    """Something else than CMS EnvelopedData or AuthEnvelopedData, for example a plain package."""
    MALFORMED = "malformed"
    """Broken, or larger than a limit allows."""
    ALGORITHM_REFUSED = "algorithm-refused"
    """A cipher or a way of key delivery that is weak or not supported."""
    NOT_A_RECIPIENT = "not-a-recipient"
    """It is encrypted for others; no key at hand is named in it."""
    CANNOT_BE_OPENED = "cannot-be-opened"
    """Wrong key, changed bytes or content that is no package: which of them is not told on purpose."""


class PackageOpening(StrEnum):
    """What became of the envelope of an encrypted package that was to be opened with an institution's key."""

    OPENED = "opened"
    NO_KEY = "no-key"
    """The institution has no decryption key."""
    NOT_A_RECIPIENT = "not-a-recipient"
    CANNOT_BE_OPENED = "cannot-be-opened"
    ALGORITHM_REFUSED = "algorithm-refused"
    MALFORMED = "malformed"
    """No envelope, a broken one, or larger than a limit allows."""


class RecipientFault(StrEnum):
    """Why nothing is encrypted for a certificate; a failure with ``certificate-unfit`` has it before the colon."""

    UNREADABLE = "unreadable"
    NOT_IN_FORCE = "not-in-force"
    KEY_USAGE = "key-usage"
    KEY_KIND = "key-kind"
    KEY_SIZE = "key-size"


class EnvelopeRequest(Contract):
    """The JSON part of ``POST /internal/v1/envelopes`` (multipart: request, file)."""

    certificates: list[str] = Field(min_length=1, max_length=MOST_RECIPIENTS)
    """The recipients', DER in base64. Chain and revocation are the caller's question (certificate-verifications)."""


class CipherStrength(StrEnum):
    """What a cipher is worth today."""

    STRONG = "strong"
    WEAK = "weak"
    UNKNOWN = "unknown"


class EnvelopeCipher(Contract):
    """The algorithm the content is encrypted with."""

    oid: str
    name: str
    """For example ``aes256-cbc``; the OID again when it is not known."""
    bits: int | None = None
    strength: CipherStrength
    accepted: bool
    """Whether signer opens what is encrypted so."""


class RecipientKind(StrEnum):
    """How a recipient gets the content key (RFC 5652, 6.2)."""

    KEY_TRANSPORT = "key-transport"
    KEY_AGREEMENT = "key-agreement"
    OTHER = "other"


class EnvelopeRecipient(Contract):
    """One recipient as the envelope names it: by issuer and serial number, or by key identifier."""

    kind: RecipientKind
    issuer: str | None = None
    serial_number: str | None = None
    """Hexadecimal."""
    key_identifier: str | None = None
    """Hexadecimal."""
    algorithm: str
    """For example ``rsaes-oaep-sha256-mgf1-sha256`` or ``ecdh-sha256kdf-aes256-wrap``; an OID when it is not known."""
    accepted: bool
    """Whether signer would take the content key delivered so."""


class EnvelopeFacts(Contract):
    """What an envelope says about itself without any key."""

    sha256: str
    """Of the whole envelope."""
    authenticated: bool
    """True for AuthEnvelopedData: changed content is noticed. Otherwise only the inner package's seal can tell."""
    content_type: str
    """Object identifier of what is inside; id-data is 1.2.840.113549.1.7.1."""
    encrypted_bytes: int
    cipher: EnvelopeCipher
    recipients: list[EnvelopeRecipient]
