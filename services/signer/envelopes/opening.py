"""Opening an envelope with a key behind ``DecryptionPort``.

Nothing here says why an envelope could not be opened: a wrong key, a broken padding and a wrong check value
are one failure. An RSA padding of PKCS#1 v1.5 that does not fit is not reported at all: a random content
key takes its place (RFC 3218, 2.3.2), and the failure comes, if at all, from the content.

CBC does not authenticate. Changed bytes give changed plaintext, and with a chance of 1 in 256 even a wrong
key gives bytes. So what comes out of EnvelopedData is not yet the letter: the inner package decides, by
being a readable package and by its seal. GCM gives nothing unless its tag holds.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7

from services.signer.certificates import Certificate
from services.signer.envelopes.agreement import unwrap_key
from services.signer.envelopes.algorithms import (
    CURVES,
    ContentCipher,
    Mode,
    TransportPadding,
    agreement_scheme,
    content_cipher,
    transport_padding,
)
from services.signer.envelopes.reading import Envelope
from services.signer.envelopes.recipients import KeyAgreement, KeyTransport
from services.signer.envelopes.refusals import EnvelopeRefused, reading
from services.signer.limits import Readable
from shared.contracts.envelopes import EnvelopeRefusal


class KeyRefused(Exception):  # noqa: N818 - reads as what happened
    """The private key did not accept what it was given; says nothing about why."""


class DecryptionPort(Protocol):
    """The two uses of a private key that opening needs; the key stays behind it.

    Narrow enough for a hardware module (PKCS#11): C_Decrypt for the one, C_DeriveKey without key derivation
    function for the other. ``KeyRefused`` speaks about what was given to the key. A module that is away is no
    verdict on an envelope: that raises ``DomainError`` (SERVICE_UNAVAILABLE, or SIGNING_KEY_UNAVAILABLE when
    somebody must act), which is let through.
    """

    @property
    def curve(self) -> str | None:
        """OpenSSL's name of the key's curve; None for RSA."""
        ...

    def unwrap(self, scheme: TransportPadding, encrypted: bytes) -> bytes:
        """What was encrypted with the RSA key; raises ``KeyRefused``."""
        ...

    def agree(self, point: bytes) -> bytes:
        """The ECDH secret with a public point (SEC 1) on the key's curve; raises ``KeyRefused``."""
        ...


class OpeningKey(Protocol):
    """A key with the certificate that envelopes name it by."""

    @property
    def certificate(self) -> Certificate:
        """The certificate of the key."""
        ...

    @property
    def port(self) -> DecryptionPort:
        """The private key."""
        ...


KeyT = TypeVar("KeyT", bound=OpeningKey)
_Deliverable = KeyTransport | KeyAgreement


@dataclass(frozen=True)
class Delivery:
    """How the content key of one envelope reaches one of our keys; made before the key is used."""

    recipient: _Deliverable
    cipher: ContentCipher


def choose_delivery(envelope: Envelope, keys: Sequence[KeyT]) -> tuple[KeyT, Delivery]:
    """The key to open with and how, by what the envelope says.

    One is chosen and only that one is tried, so that an envelope cannot make us compute more. OAEP and key
    agreement come before PKCS#1 v1.5. Raises ``EnvelopeRefused``: ALGORITHM_REFUSED, MALFORMED,
    NOT_A_RECIPIENT.
    """
    with reading("content cipher"):
        cipher = content_cipher(envelope.cipher, authenticated=envelope.authenticated)
    refused: EnvelopeRefused | None = None
    fallback: tuple[KeyT, Delivery] | None = None
    for recipient in envelope.recipients:
        if not isinstance(recipient, KeyTransport | KeyAgreement):
            continue
        for key in keys:
            if not recipient.identifier.names(key.certificate):
                continue
            try:
                weak = _is_weak(recipient, key.port.curve)
            except EnvelopeRefused as error:
                refused = refused or error
                continue
            if not weak:
                return key, Delivery(recipient, cipher)
            fallback = fallback or (key, Delivery(recipient, cipher))
    if fallback is not None:
        return fallback
    raise refused or EnvelopeRefused(EnvelopeRefusal.NOT_A_RECIPIENT, "the envelope is for none of these keys")


def _is_weak(recipient: _Deliverable, curve: str | None) -> bool:
    """Whether the delivery is of the old kind; raises ``EnvelopeRefused`` when it is not acceptable at all."""
    with reading("recipient"):
        if isinstance(recipient, KeyTransport):
            if curve is not None:
                raise EnvelopeRefused(EnvelopeRefusal.MALFORMED, "key transport to an elliptic-curve key")
            return transport_padding(recipient.algorithm).digest is None
        if curve is None or (recipient.curve is not None and recipient.curve != CURVES.get(curve)):
            raise EnvelopeRefused(EnvelopeRefusal.MALFORMED, "key agreement on another curve than the key's")
        agreement_scheme(recipient.algorithm)
        return False


def open_content(envelope: Envelope, data: Readable, delivery: Delivery, port: DecryptionPort) -> list[bytes]:
    """The content in blocks, complete and checked as far as the cipher allows; uses the key once.

    Raises ``EnvelopeRefused``: CANNOT_BE_OPENED, MALFORMED for a size that no cipher text has.
    """
    cipher = delivery.cipher
    if cipher.mode is Mode.CBC:
        if not envelope.encrypted_bytes or envelope.encrypted_bytes % 16:
            raise EnvelopeRefused(EnvelopeRefusal.MALFORMED, "the encrypted content is cut off")
    elif len(envelope.mac) != cipher.tag_bytes:
        raise EnvelopeRefused(EnvelopeRefusal.MALFORMED, "bad message authentication code")
    content_key = _content_key(delivery, port)
    try:
        return _decrypted(envelope, data, cipher, content_key)
    except (ValueError, InvalidTag):
        raise cannot_be_opened() from None


def cannot_be_opened() -> EnvelopeRefused:
    """The one failure for everything that depends on a secret."""
    return EnvelopeRefused(EnvelopeRefusal.CANNOT_BE_OPENED, "the envelope cannot be opened with this key")


def _content_key(delivery: Delivery, port: DecryptionPort) -> bytes:
    recipient, size = delivery.recipient, delivery.cipher.key_bytes
    with reading("recipient"):
        if isinstance(recipient, KeyAgreement):
            return _agreed(recipient, size, port)
        padding = transport_padding(recipient.algorithm)
    substitute = os.urandom(size)
    try:
        unwrapped = port.unwrap(padding, recipient.encrypted_key)
    except KeyRefused:
        unwrapped = b""
    if len(unwrapped) == size:
        return unwrapped
    if padding.digest is not None:
        raise cannot_be_opened()
    return substitute


def _agreed(recipient: KeyAgreement, size: int, port: DecryptionPort) -> bytes:
    scheme = agreement_scheme(recipient.algorithm)
    try:
        secret = port.agree(recipient.point)
    except KeyRefused:
        raise cannot_be_opened() from None
    unwrapped = unwrap_key(scheme, secret, recipient.user_keying_material, recipient.encrypted_key)
    if unwrapped is None or len(unwrapped) != size:
        raise cannot_be_opened()
    return unwrapped


def _decrypted(envelope: Envelope, data: Readable, cipher: ContentCipher, content_key: bytes) -> list[bytes]:
    blocks = envelope.blocks(data)
    if cipher.mode is Mode.GCM:
        mode = modes.GCM(cipher.nonce, envelope.mac, min_tag_length=12)
        opening = Cipher(algorithms.AES(content_key), mode).decryptor()
        opening.authenticate_additional_data(envelope.authenticated_attributes)
        return [*(opening.update(block) for block in blocks), opening.finalize()]
    decryptor = Cipher(algorithms.AES(content_key), modes.CBC(cipher.nonce)).decryptor()
    unpadding = PKCS7(128).unpadder()
    content = [unpadding.update(decryptor.update(block)) for block in blocks]
    return [*content, unpadding.update(decryptor.finalize()) + unpadding.finalize()]
