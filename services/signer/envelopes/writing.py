"""Envelopes as we make them: EnvelopedData in DER with AES-256-CBC (eyp.md section 5).

RSA recipients get the content key by RSAES-OAEP with SHA-256 (RFC 4055, RFC 5754), elliptic ones by
ephemeral-static ECDH with SHA-256 key derivation and AES-256 key wrap (RFC 5753). The size of the content
is known before, so the header comes first and the content passes through in blocks.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from services.signer import der
from services.signer.certificates import Certificate, issuer_and_serial
from services.signer.envelopes.agreement import wrap_key
from services.signer.envelopes.algorithms import (
    AES256_CBC,
    AES256_WRAP,
    EC_PUBLIC_KEY,
    ECDH_SHA256_KDF,
    ENVELOPED_DATA,
    MGF1,
    RSAES_OAEP,
    SHA256,
    AgreementScheme,
)
from services.signer.envelopes.fitness import FitRecipient, fit_recipients
from services.signer.envelopes.refusals import RecipientsUnfit, UnfitCertificate
from services.signer.formats.cms import DATA
from services.signer.limits import length_octets
from shared.contracts.envelopes import RecipientFault

_BLOCK = 16


class EnvelopeWriter:
    """One envelope for content of a known size; its key and initialisation vector are random and used once.

    Raises ``RecipientsUnfit`` when a public key cannot be computed with although it looked like one.
    """

    def __init__(self, recipients: Sequence[FitRecipient], size: int) -> None:
        content_key, vector = os.urandom(32), os.urandom(_BLOCK)
        self._size = size
        self._pad = PKCS7(_BLOCK * 8).padder()
        self._cipher = Cipher(algorithms.AES256(content_key), modes.CBC(vector)).encryptor()
        self._header = _header(recipients, content_key, vector, size)

    @property
    def total_bytes(self) -> int:
        """Size of the finished envelope."""
        return len(self._header) + _encrypted_size(self._size)

    def blocks(self, content: Iterable[bytes]) -> Iterator[bytes]:
        """The envelope; raises ``ValueError`` when the content is not as long as was said. To be called once."""
        yield self._header
        left = self._size
        for block in content:
            left -= len(block)
            if left < 0:
                break
            yield self._cipher.update(self._pad.update(block))
        if left:
            raise ValueError(f"the content is not {self._size} bytes long")
        yield self._cipher.update(self._pad.finalize()) + self._cipher.finalize()


def encrypt(content: bytes, certificates: Sequence[bytes], moment: datetime) -> bytes:
    """``content`` in an envelope for these certificates (DER) that must be fit at ``moment``.

    Raises ``RecipientsUnfit``.
    """
    return b"".join(EnvelopeWriter(fit_recipients(certificates, moment), len(content)).blocks([content]))


def _encrypted_size(size: int) -> int:
    return size // _BLOCK * _BLOCK + _BLOCK


def _header(recipients: Sequence[FitRecipient], content_key: bytes, vector: bytes, size: int) -> bytes:
    """Everything before the encrypted content, which is the last value of every level it lies in."""
    agreed = any(isinstance(recipient.key, EllipticCurvePublicKey) for recipient in recipients)
    infos = [_recipient_info(recipient, content_key) for recipient in recipients]
    cipher = der.encode(der.SEQUENCE, der.encode_oid(AES256_CBC), der.encode(der.OCTET_STRING, vector))
    header = _open(der.PRIMITIVE_CONTEXT_0, b"", _encrypted_size(size))
    # Version 0 only when every recipientInfo is version 0 (RFC 5652, 6.1).
    before = (
        (der.SEQUENCE, der.encode_oid(DATA) + cipher),
        (der.SEQUENCE, der.encode_integer(2 if agreed else 0) + der.encode_set_of(infos)),
        (der.CONTEXT_0, b""),
        (der.SEQUENCE, der.encode_oid(ENVELOPED_DATA)),
    )
    for tag, first in before:
        header = _open(tag, first + header, _encrypted_size(size))
    return header


def _open(tag: int, body: bytes, following: int) -> bytes:
    """The start of a value whose last ``following`` octets are still to come."""
    return bytes((tag,)) + length_octets(len(body) + following) + body


def _recipient_info(recipient: FitRecipient, content_key: bytes) -> bytes:
    try:
        if isinstance(recipient.key, RSAPublicKey):
            return _key_transport(recipient.certificate, recipient.key, content_key)
        return _key_agreement(recipient.certificate, recipient.key, content_key)
    except (ValueError, UnsupportedAlgorithm) as error:
        detail = "nothing can be encrypted with the public key"
        raise RecipientsUnfit((UnfitCertificate(recipient.index, RecipientFault.KEY_KIND, detail),)) from error


def _key_transport(certificate: Certificate, key: RSAPublicKey, content_key: bytes) -> bytes:
    oaep = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)
    digest = der.encode(der.SEQUENCE, der.encode_oid(SHA256), der.encode(der.NULL))
    mask = der.encode(der.SEQUENCE, der.encode_oid(MGF1), digest)
    parameters = der.encode(der.SEQUENCE, der.encode(der.CONTEXT_0, digest), der.encode(der.CONTEXT_1, mask))
    return der.encode(
        der.SEQUENCE,
        der.encode_integer(0),
        issuer_and_serial(certificate.der),
        der.encode(der.SEQUENCE, der.encode_oid(RSAES_OAEP), parameters),
        der.encode(der.OCTET_STRING, key.encrypt(content_key, oaep)),
    )


def _key_agreement(certificate: Certificate, key: EllipticCurvePublicKey, content_key: bytes) -> bytes:
    ephemeral = ec.generate_private_key(key.curve)
    wrap = der.encode(der.SEQUENCE, der.encode_oid(AES256_WRAP))
    scheme = AgreementScheme("sha256", wrap, AES256_WRAP)
    point = ephemeral.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    originator = der.encode(
        der.CONTEXT_1,
        der.encode(der.SEQUENCE, der.encode_oid(EC_PUBLIC_KEY)),
        der.encode(der.BIT_STRING, b"\0", point),
    )
    encrypted = wrap_key(scheme, ephemeral.exchange(ec.ECDH(), key), content_key)
    return der.encode(
        der.CONTEXT_1,
        der.encode_integer(3),
        der.encode(der.CONTEXT_0, originator),
        der.encode(der.SEQUENCE, der.encode_oid(ECDH_SHA256_KDF), wrap),
        der.encode(
            der.SEQUENCE,
            der.encode(der.SEQUENCE, issuer_and_serial(certificate.der), der.encode(der.OCTET_STRING, encrypted)),
        ),
    )
