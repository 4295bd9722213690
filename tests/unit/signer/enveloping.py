"""Makes CMS envelopes of every kind a sender may think of, right ones and wrong ones: a second pen beside ``writing.py``."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

from asn1crypto import x509 as asn1_x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.x963kdf import X963KDF
from cryptography.hazmat.primitives.keywrap import aes_key_wrap
from cryptography.hazmat.primitives.padding import PKCS7
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from services.signer import der
from services.signer.certificates import load_certificate
from services.signer.envelopes.opening import choose_delivery, open_content
from services.signer.envelopes.reading import parse_envelope
from services.signer.keys import SoftwareDecryptionKey
from tests.support.pki import Holder, ec_key, make_hierarchy, rsa_key, usage

HASHES = {"sha1": hashes.SHA1, "sha256": hashes.SHA256, "sha384": hashes.SHA384, "sha512": hashes.SHA512}
DIGEST_OIDS = {
    "sha1": "1.3.14.3.2.26",
    "sha256": "2.16.840.1.101.3.4.2.1",
    "sha384": "2.16.840.1.101.3.4.2.2",
    "sha512": "2.16.840.1.101.3.4.2.3",
}
CBC = {16: "2.16.840.1.101.3.4.1.2", 24: "2.16.840.1.101.3.4.1.22", 32: "2.16.840.1.101.3.4.1.42"}
GCM = {16: "2.16.840.1.101.3.4.1.6", 24: "2.16.840.1.101.3.4.1.26", 32: "2.16.840.1.101.3.4.1.46"}
WRAPS = {16: "2.16.840.1.101.3.4.1.5", 24: "2.16.840.1.101.3.4.1.25", 32: "2.16.840.1.101.3.4.1.45"}
KDFS = {
    "sha1": "1.3.133.16.840.63.0.2",
    "sha256": "1.3.132.1.11.1",
    "sha384": "1.3.132.1.11.2",
    "sha512": "1.3.132.1.11.3",
}
ENVELOPED, AUTH_ENVELOPED = "1.2.840.113549.1.7.3", "1.2.840.113549.1.9.16.1.23"
RSA_USAGE = usage(key_encipherment=True)
EC_USAGE = usage(key_agreement=True)
CONTENT = b"PK\x03\x04 an inner package " * 40


@dataclass
class Recipients:
    """Holders of encryption certificates of every supported kind."""

    rsa: Holder
    other_rsa: Holder
    p256: Holder
    p384: Holder
    p521: Holder


def build_recipients() -> Recipients:
    authority = make_hierarchy("encryption").issuing

    def curved(name: str, curve: ec.EllipticCurve) -> Holder:
        return authority.issue(name, key=ec_key(curve), key_usage=EC_USAGE)

    return Recipients(
        authority.issue("Örnek Valiliği", key=rsa_key(2048, 1), key_usage=RSA_USAGE),
        authority.issue("Başka Valilik", key=rsa_key(2048, 2), key_usage=RSA_USAGE),
        curved("Örnek P-256", ec.SECP256R1()),
        curved("Örnek P-384", ec.SECP384R1()),
        curved("Örnek P-521", ec.SECP521R1()),
    )


@dataclass
class Key:
    """What ``choose_delivery`` asks of a key."""

    certificate: object
    port: object


def key_of(holder: Holder) -> Key:
    return Key(load_certificate(holder.der), SoftwareDecryptionKey(holder.key))


def opened(encoded: bytes, *holders: Holder) -> bytes:
    envelope = parse_envelope(encoded)
    key, delivery = choose_delivery(envelope, [key_of(holder) for holder in holders])
    return b"".join(open_content(envelope, encoded, delivery, key.port))


def algorithm(oid: str, *parameters: bytes) -> bytes:
    return der.encode(der.SEQUENCE, der.encode_oid(oid), *parameters)


def octets(value: bytes) -> bytes:
    return der.encode(der.OCTET_STRING, value)


def identifier(holder: Holder, *, by_key: bool) -> bytes:
    certificate = asn1_x509.Certificate.load(holder.der)
    if by_key:
        return der.encode(der.PRIMITIVE_CONTEXT_0, certificate.key_identifier)
    return der.encode(der.SEQUENCE, certificate.issuer.dump(), der.encode_integer(certificate.serial_number))


def oaep(digest: str, mask: str) -> bytes:
    hashed = algorithm(DIGEST_OIDS[digest], der.encode(der.NULL))
    masked = algorithm("1.2.840.113549.1.1.8", algorithm(DIGEST_OIDS[mask], der.encode(der.NULL)))
    fields = der.encode(der.CONTEXT_0, hashed) + der.encode(der.CONTEXT_1, masked)
    return algorithm("1.2.840.113549.1.1.7", der.encode(der.SEQUENCE, fields))


def transported(
    holder: Holder,
    content_key: bytes,
    *,
    digest: str | None = "sha256",
    mask: str | None = None,
    by_key: bool = False,
    method: bytes | None = None,
    encrypted: bytes | None = None,
) -> bytes:
    """KeyTransRecipientInfo; ``digest`` None is PKCS#1 v1.5."""
    assert isinstance(holder.key, RSAPrivateKey)
    if digest is None:
        scheme: padding.AsymmetricPadding = padding.PKCS1v15()
        described = algorithm("1.2.840.113549.1.1.1", der.encode(der.NULL))
    else:
        scheme = padding.OAEP(padding.MGF1(HASHES[mask or digest]()), HASHES[digest](), None)
        described = oaep(digest, mask or digest)
    return der.encode(
        der.SEQUENCE,
        der.encode_integer(2 if by_key else 0),
        identifier(holder, by_key=by_key),
        method or described,
        octets(holder.key.public_key().encrypt(content_key, scheme) if encrypted is None else encrypted),
    )


def agreed(
    holder: Holder,
    content_key: bytes,
    *,
    digest: str = "sha256",
    wrap: int = 32,
    by_key: bool = False,
    material: bytes | None = None,
    method: bytes | None = None,
    derive_with_null: bool = False,
    named_curve: str | None = None,
    point: bytes | None = None,
) -> bytes:
    """KeyAgreeRecipientInfo with an ephemeral originator."""
    assert isinstance(holder.key, ec.EllipticCurvePrivateKey)
    ephemeral = ec.generate_private_key(holder.key.curve)
    secret = ephemeral.exchange(ec.ECDH(), holder.key.public_key())
    wrapping = algorithm(WRAPS[wrap])
    info = [algorithm(WRAPS[wrap], der.encode(der.NULL)) if derive_with_null else wrapping]
    if material is not None:
        info.append(der.encode(der.CONTEXT_0, octets(material)))
    info.append(der.encode(der.CONTEXT_2, octets((wrap * 8).to_bytes(4, "big"))))
    kek = X963KDF(HASHES[digest](), wrap, der.encode(der.SEQUENCE, *info)).derive(secret)
    public = ephemeral.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    curve = () if named_curve is None else (der.encode_oid(named_curve),)
    originator = der.encode(
        der.CONTEXT_1,
        algorithm("1.2.840.10045.2.1", *curve),
        der.encode(der.BIT_STRING, b"\0", point or public),
    )
    named = identifier(holder, by_key=False)
    if by_key:
        named = der.encode(der.CONTEXT_0, octets(asn1_x509.Certificate.load(holder.der).key_identifier))
    return der.encode(
        der.CONTEXT_1,
        der.encode_integer(3),
        der.encode(der.CONTEXT_0, originator),
        *(() if material is None else (der.encode(der.CONTEXT_1, octets(material)),)),
        method or algorithm(KDFS[digest], wrapping),
        der.encode(der.SEQUENCE, der.encode(der.SEQUENCE, named, octets(aes_key_wrap(kek, content_key)))),
    )


@dataclass
class Sealed:
    """An envelope in the making; change a field, then ``dump``."""

    recipients: list[bytes]
    cipher: bytes
    encrypted: bytes
    mac: bytes | None = None
    authenticated_attributes: bytes | None = None
    content_type: str = "1.2.840.113549.1.7.1"
    outer_type: str | None = None
    extra: list[bytes] = field(default_factory=list)

    def dump(self, *, pieces: int | None = None) -> bytes:
        """DER, or BER with indefinite lengths and content in pieces of that many bytes."""
        parts = [der.encode_oid(self.content_type), self.cipher]
        outer = self.outer_type or (ENVELOPED if self.mac is None else AUTH_ENVELOPED)
        rest = list(self.extra)
        if self.authenticated_attributes is not None:
            rest.append(b"\xa1" + self.authenticated_attributes[1:])
        if self.mac is not None:
            rest.append(octets(self.mac))
        head = [der.encode_integer(0), der.encode(der.SET, *self.recipients)]
        if pieces is None:
            content = der.encode(der.PRIMITIVE_CONTEXT_0, self.encrypted)
            body = der.encode(der.SEQUENCE, *head, der.encode(der.SEQUENCE, *parts, content), *rest)
            return der.encode(der.SEQUENCE, der.encode_oid(outer), der.encode(der.CONTEXT_0, body))
        chunks = [octets(self.encrypted[at : at + pieces]) for at in range(0, len(self.encrypted), pieces)]
        content = indefinite(der.CONTEXT_0, *chunks)
        body = indefinite(der.SEQUENCE, *head, indefinite(der.SEQUENCE, *parts, content), *rest)
        return indefinite(der.SEQUENCE, der.encode_oid(outer), indefinite(der.CONTEXT_0, body))


def indefinite(tag: int, *contents: bytes) -> bytes:
    return bytes((tag, 0x80)) + b"".join(contents) + b"\0\0"


def cbc(recipients: list[bytes], content_key: bytes, content: bytes = CONTENT) -> Sealed:
    vector = os.urandom(16)
    pad = PKCS7(128).padder()
    encryptor = Cipher(algorithms.AES(content_key), modes.CBC(vector)).encryptor()
    encrypted = encryptor.update(pad.update(content) + pad.finalize()) + encryptor.finalize()
    return Sealed(recipients, algorithm(CBC[len(content_key)], octets(vector)), encrypted)


def gcm(
    recipients: list[bytes], content_key: bytes, content: bytes = CONTENT, *, attributes: bytes | None = None
) -> Sealed:
    """``attributes``: DER of a SET OF Attribute."""
    nonce = os.urandom(12)
    encrypted = AESGCM(content_key).encrypt(nonce, content, attributes)
    parameters = der.encode(der.SEQUENCE, octets(nonce), der.encode_integer(16))
    cipher = algorithm(GCM[len(content_key)], parameters)
    return Sealed(recipients, cipher, encrypted[:-16], encrypted[-16:], attributes)
