"""The algorithms of envelopes by object identifier: what is accepted, what is known and refused."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from services.signer import der
from services.signer.envelopes.refusals import refused_algorithm
from services.signer.limits import malformed
from shared.contracts.envelopes import CipherStrength

ENVELOPED_DATA = "1.2.840.113549.1.7.3"
AUTHENTICATED_ENVELOPED_DATA = "1.2.840.113549.1.9.16.1.23"

RSA_ENCRYPTION = "1.2.840.113549.1.1.1"
RSAES_OAEP = "1.2.840.113549.1.1.7"
MGF1 = "1.2.840.113549.1.1.8"
P_SPECIFIED = "1.2.840.113549.1.1.9"
EC_PUBLIC_KEY = "1.2.840.10045.2.1"

AES256_CBC = "2.16.840.1.101.3.4.1.42"
AES256_WRAP = "2.16.840.1.101.3.4.1.45"
ECDH_SHA256_KDF = "1.3.132.1.11.1"

OAEP_DIGESTS = {"1.3.14.3.2.26": "sha1", "2.16.840.1.101.3.4.2.1": "sha256"}
SHA256 = "2.16.840.1.101.3.4.2.1"

CURVES = {
    "secp256r1": "1.2.840.10045.3.1.7",
    "secp384r1": "1.3.132.0.34",
    "secp521r1": "1.3.132.0.35",
}
"""Curves that are used, by OpenSSL's name."""

KDF_DIGEST_BY_SCHEME = {
    "1.3.133.16.840.63.0.2": "sha1",
    ECDH_SHA256_KDF: "sha256",
    "1.3.132.1.11.2": "sha384",
    "1.3.132.1.11.3": "sha512",
}
"""dhSinglePass-stdDH schemes (RFC 5753, 7.1.4) and the digest of their key derivation."""

WRAP_BYTES = {"2.16.840.1.101.3.4.1.5": 16, "2.16.840.1.101.3.4.1.25": 24, AES256_WRAP: 32}
"""AES key wrap (RFC 3394) and the size of its key."""


class Mode(StrEnum):
    """How AES encrypts the content."""

    CBC = "cbc"
    GCM = "gcm"


@dataclass(frozen=True)
class ContentCipher:
    """An accepted content cipher with the parameters of one envelope."""

    mode: Mode
    key_bytes: int
    nonce: bytes
    """Initialisation vector of CBC, nonce of GCM."""
    tag_bytes: int = 0


CONTENT_CIPHERS = {
    "2.16.840.1.101.3.4.1.2": (Mode.CBC, 16),
    "2.16.840.1.101.3.4.1.22": (Mode.CBC, 24),
    AES256_CBC: (Mode.CBC, 32),
    "2.16.840.1.101.3.4.1.6": (Mode.GCM, 16),
    "2.16.840.1.101.3.4.1.26": (Mode.GCM, 24),
    "2.16.840.1.101.3.4.1.46": (Mode.GCM, 32),
}
"""Accepted content ciphers: mode and key size (RFC 3565, RFC 5084)."""

KNOWN_CIPHERS: dict[str, tuple[str, int | None, CipherStrength]] = {
    **{
        oid: (f"aes{size * 8}-{mode}", size * 8, CipherStrength.STRONG) for oid, (mode, size) in CONTENT_CIPHERS.items()
    },
    "2.16.840.1.101.3.4.1.1": ("aes128-ecb", 128, CipherStrength.WEAK),
    "2.16.840.1.101.3.4.1.21": ("aes192-ecb", 192, CipherStrength.WEAK),
    "2.16.840.1.101.3.4.1.41": ("aes256-ecb", 256, CipherStrength.WEAK),
    "2.16.840.1.101.3.4.1.7": ("aes128-ccm", 128, CipherStrength.STRONG),
    "2.16.840.1.101.3.4.1.27": ("aes192-ccm", 192, CipherStrength.STRONG),
    "2.16.840.1.101.3.4.1.47": ("aes256-ccm", 256, CipherStrength.STRONG),
    "1.2.840.113549.1.9.16.3.18": ("chacha20-poly1305", 256, CipherStrength.STRONG),
    "1.2.392.200011.61.1.1.1.2": ("camellia128-cbc", 128, CipherStrength.STRONG),
    "1.2.392.200011.61.1.1.1.4": ("camellia256-cbc", 256, CipherStrength.STRONG),
    "1.2.840.113549.3.7": ("des-ede3-cbc", 112, CipherStrength.WEAK),
    "1.3.14.3.2.17": ("des-ede-ecb", 112, CipherStrength.WEAK),
    "1.2.840.113549.3.2": ("rc2-cbc", None, CipherStrength.WEAK),
    "1.2.840.113549.3.3": ("rc2-ecb", None, CipherStrength.WEAK),
    "1.2.840.113549.3.4": ("rc4", None, CipherStrength.WEAK),
    "1.2.840.113549.3.9": ("rc5-cbc", None, CipherStrength.WEAK),
    "1.2.840.113533.7.66.10": ("cast5-cbc", 128, CipherStrength.WEAK),
    "1.3.14.3.2.6": ("des-ecb", 56, CipherStrength.WEAK),
    "1.3.14.3.2.7": ("des-cbc", 56, CipherStrength.WEAK),
}
"""Content ciphers with a name: its bits and what it is worth. Being known is not being accepted."""


def algorithm(identifier: der.Element) -> tuple[str, der.Element | None]:
    """Object identifier and parameters of an AlgorithmIdentifier; raises ``CheckFailed``."""
    parts = der.children(der.expect(identifier, der.SEQUENCE, "AlgorithmIdentifier"))
    if not 1 <= len(parts) <= 2:
        raise malformed("bad AlgorithmIdentifier")
    return der.oid(parts[0]), parts[1] if len(parts) == 2 else None


def cipher_name(oid: str) -> str:
    """The name of a content cipher, or its identifier."""
    return KNOWN_CIPHERS[oid][0] if oid in KNOWN_CIPHERS else oid


def content_cipher(identifier: der.Element, *, authenticated: bool) -> ContentCipher:
    """The content cipher of one envelope.

    CBC belongs into EnvelopedData and GCM into AuthEnvelopedData only: otherwise the one could be passed
    off as the other. Raises ``EnvelopeRefused`` (ALGORITHM_REFUSED), ``CheckFailed`` for bad parameters.
    """
    oid, parameters = algorithm(identifier)
    mode, size = CONTENT_CIPHERS.get(oid, (None, 0))
    if mode is not (Mode.GCM if authenticated else Mode.CBC):
        raise refused_algorithm(f"{cipher_name(oid)} in {'AuthEnvelopedData' if authenticated else 'EnvelopedData'}")
    if parameters is None:
        raise malformed("content cipher without parameters")
    if mode is Mode.CBC:
        nonce = der.octets(parameters)
        if len(nonce) != 16:
            raise malformed("bad initialisation vector")
        return ContentCipher(Mode.CBC, size, nonce)
    fields = der.children(der.expect(parameters, der.SEQUENCE, "GCMParameters"))
    if not 1 <= len(fields) <= 2:
        raise malformed("bad GCMParameters")
    nonce = der.octets(fields[0])
    tag_bytes = der.integer(fields[1]) if len(fields) == 2 else 12
    if not 12 <= len(nonce) <= 64 or not 12 <= tag_bytes <= 16:
        raise malformed("bad GCMParameters")
    return ContentCipher(Mode.GCM, size, nonce, tag_bytes)


@dataclass(frozen=True)
class TransportPadding:
    """How RSA carries the content key: PKCS#1 v1.5 when ``digest`` is None, else OAEP with an empty label."""

    digest: str | None
    mask_digest: str | None = None

    @property
    def name(self) -> str:
        """For reports."""
        return f"rsaes-oaep-{self.digest}-mgf1-{self.mask_digest}" if self.digest else "rsaes-pkcs1-v1.5"


def transport_padding(identifier: der.Element) -> TransportPadding:
    """What a keyEncryptionAlgorithm of key transport says (RFC 4055, 4.1; RFC 3370, 4.2.1).

    Raises ``EnvelopeRefused`` (ALGORITHM_REFUSED) and ``CheckFailed``.
    """
    oid, parameters = algorithm(identifier)
    if oid == RSA_ENCRYPTION:
        return TransportPadding(None)
    if oid != RSAES_OAEP:
        raise refused_algorithm(oid)
    digest = mask_digest = "sha1"
    fields = () if parameters is None else der.children(der.expect(parameters, der.SEQUENCE, "RSAES-OAEP-params"))
    for field in fields:
        inner = der.children(field)
        if len(inner) != 1:
            raise malformed("bad RSAES-OAEP-params")
        named, value = algorithm(inner[0])
        if field.tag == der.CONTEXT_0:
            digest = _oaep_digest(named)
        elif field.tag == der.CONTEXT_1 and named == MGF1 and value is not None:
            mask_digest = _oaep_digest(algorithm(value)[0])
        elif field.tag != der.CONTEXT_2 or named != P_SPECIFIED or value is None or der.octets(value):
            raise refused_algorithm("RSAES-OAEP with these parameters")
    return TransportPadding(digest, mask_digest)


def _oaep_digest(oid: str) -> str:
    if oid not in OAEP_DIGESTS:
        raise refused_algorithm(f"RSAES-OAEP with digest {oid}")
    return OAEP_DIGESTS[oid]


@dataclass(frozen=True)
class AgreementScheme:
    """How ECDH gives the key that wraps the content key; ``wrap`` is its AlgorithmIdentifier as sent."""

    digest: str
    wrap: bytes
    wrap_oid: str

    @property
    def wrap_bytes(self) -> int:
        """Size of the wrapping key."""
        return WRAP_BYTES[self.wrap_oid]

    @property
    def name(self) -> str:
        """For reports."""
        return f"ecdh-{self.digest}kdf-aes{self.wrap_bytes * 8}-wrap"


def agreement_scheme(identifier: der.Element) -> AgreementScheme:
    """What a keyEncryptionAlgorithm of key agreement says (RFC 5753, 3.1.1).

    Raises ``EnvelopeRefused`` (ALGORITHM_REFUSED) and ``CheckFailed``.
    """
    oid, wrap = algorithm(identifier)
    if oid not in KDF_DIGEST_BY_SCHEME or wrap is None:
        raise refused_algorithm(oid)
    wrap_oid, _ = algorithm(wrap)
    if wrap_oid not in WRAP_BYTES:
        raise refused_algorithm(f"key wrap {wrap_oid}")
    return AgreementScheme(KDF_DIGEST_BY_SCHEME[oid], wrap.encoded, wrap_oid)
