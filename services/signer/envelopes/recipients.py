"""RecipientInfos taken apart (RFC 5652, 6.2), without judging their algorithms."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from services.signer import der
from services.signer.certificates import Certificate, names_equal
from services.signer.envelopes.algorithms import EC_PUBLIC_KEY, algorithm
from services.signer.limits import Limits, malformed, too_much


@dataclass(frozen=True)
class RecipientIdentifier:
    """Whom a recipientInfo is for: issuer and serial number, or a key identifier."""

    issuer: bytes | None = None
    serial_number: int | None = None
    key_identifier: bytes | None = None

    def names(self, certificate: Certificate) -> bool:
        """Whether it means this certificate."""
        if self.key_identifier is not None:
            return self.key_identifier in _key_identifiers(certificate)
        return (
            self.serial_number == certificate.serial_number
            and self.issuer is not None
            and names_equal(self.issuer, certificate.issuer_der)
        )


def _key_identifiers(certificate: Certificate) -> set[bytes]:
    if certificate.key_identifier is not None:
        return {certificate.key_identifier}
    return {hashlib.sha1(bytes(certificate.asn1.public_key["public_key"]), usedforsecurity=False).digest()}


@dataclass(frozen=True)
class KeyTransport:
    """The content key, encrypted with the recipient's RSA key."""

    identifier: RecipientIdentifier
    algorithm: der.Element
    encrypted_key: bytes


@dataclass(frozen=True)
class KeyAgreement:
    """The content key, wrapped with a key that both sides derive from an ephemeral one."""

    identifier: RecipientIdentifier
    algorithm: der.Element
    encrypted_key: bytes
    curve: str | None
    """OID of the originator's curve when the envelope names one."""
    point: bytes
    """The originator's public key, encoded as SEC 1 says."""
    user_keying_material: bytes | None


@dataclass(frozen=True)
class OtherRecipient:
    """A way of delivery that is not supported: a shared key, a password, an originator known by certificate."""

    label: str


Recipient = KeyTransport | KeyAgreement | OtherRecipient

_OTHER = {0xA2: "key-encryption-key", 0xA3: "password", 0xA4: "other"}


def parse_recipients(infos: der.Element, limits: Limits) -> tuple[Recipient, ...]:
    """Every recipient of the SET, in order; raises ``CheckFailed`` (FORMAT_FAILURE)."""
    found: list[Recipient] = []
    for info in der.children(der.expect(infos, der.SET, "recipientInfos")):
        if info.tag == der.SEQUENCE:
            found.append(_key_transport(info))
        elif info.tag == der.CONTEXT_1:
            found += _key_agreement(info)
        else:
            found.append(OtherRecipient(_OTHER.get(info.tag, "unknown")))
        if len(found) > limits.recipients:
            raise too_much("recipients", limits.recipients)
    if not found:
        raise malformed("no recipients")
    return tuple(found)


def _key_transport(info: der.Element) -> KeyTransport:
    fields = der.children(info)
    if len(fields) != 4:
        raise malformed("bad KeyTransRecipientInfo")
    der.integer(fields[0])
    identifier = fields[1]
    if identifier.tag == der.SEQUENCE:
        named = _issuer_and_serial(identifier)
    elif identifier.tag in {der.PRIMITIVE_CONTEXT_0, der.CONTEXT_0}:
        named = RecipientIdentifier(key_identifier=_implicit_octets(identifier))
    else:
        raise malformed("bad recipient identifier")
    algorithm(fields[2])
    return KeyTransport(named, fields[2], der.octets(fields[3]))


def _key_agreement(info: der.Element) -> list[Recipient]:
    fields = der.children(info)
    if not 4 <= len(fields) <= 5:
        raise malformed("bad KeyAgreeRecipientInfo")
    der.integer(fields[0])
    originator = der.children(der.expect(fields[1], der.CONTEXT_0, "originator"))
    if len(originator) != 1:
        raise malformed("bad originator")
    material = None
    if len(fields) == 5:
        wrapped = der.children(der.expect(fields[2], der.CONTEXT_1, "ukm"))
        if len(wrapped) != 1:
            raise malformed("bad ukm")
        material = der.octets(wrapped[0])
    method, keys = fields[-2:]
    algorithm(method)
    if originator[0].tag != der.CONTEXT_1:
        return [OtherRecipient("static-static")]
    curve, point = _originator_key(originator[0])
    found: list[Recipient] = []
    for item in der.children(der.expect(keys, der.SEQUENCE, "recipientEncryptedKeys")):
        parts = der.children(der.expect(item, der.SEQUENCE, "recipientEncryptedKey"))
        if len(parts) != 2:
            raise malformed("bad recipientEncryptedKey")
        named = _agreement_identifier(parts[0])
        found.append(KeyAgreement(named, method, der.octets(parts[1]), curve, point, material))
    return found


def _agreement_identifier(element: der.Element) -> RecipientIdentifier:
    if element.tag == der.SEQUENCE:
        return _issuer_and_serial(element)
    parts = der.children(der.expect(element, der.CONTEXT_0, "recipient identifier"))
    if not parts:
        raise malformed("bad recipient identifier")
    return RecipientIdentifier(key_identifier=der.octets(parts[0]))


def _originator_key(element: der.Element) -> tuple[str | None, bytes]:
    parts = der.children(element)
    if len(parts) != 2 or parts[1].tag != der.BIT_STRING or parts[1].contents[:1] != b"\0":
        raise malformed("bad originator key")
    oid, parameters = algorithm(parts[0])
    if oid != EC_PUBLIC_KEY:
        raise malformed("originator key of another kind")
    named = parameters is not None and parameters.tag == der.OID
    return (der.oid(parameters) if named and parameters is not None else None), parts[1].contents[1:]


def _issuer_and_serial(element: der.Element) -> RecipientIdentifier:
    parts = der.children(element)
    if len(parts) != 2:
        raise malformed("bad recipient identifier")
    return RecipientIdentifier(issuer=parts[0].encoded, serial_number=der.integer(parts[1]))


def _implicit_octets(element: der.Element) -> bytes:
    if element.tag == der.PRIMITIVE_CONTEXT_0:
        return element.contents
    return b"".join(der.octets(piece) for piece in der.children(element))
