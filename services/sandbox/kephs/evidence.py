"""Evidence documents: ETSI TS 102 640-2 version 2 XML with an enveloped XAdES-B signature (kep.md 3.4)."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding
from lxml import etree
from signxml.algorithms import CanonicalizationMethod, DigestAlgorithm, SignatureConstructionMethod, SignatureMethod
from signxml.util import namespaces
from signxml.xades.xades import XAdESDataObjectFormat, XAdESSigner

from services.sandbox.kephs.wire import EVIDENCE_KINDS, SHA256_URI
from services.sandbox.pki.identity import Identity

REM = "http://uri.etsi.org/02640/v2#"
DS = "http://www.w3.org/2000/09/xmldsig#"
_NAMESPACES: Any = {None: REM, "ds": DS}
_EVENT_URI = "http://uri.etsi.org/02640/Event#"
_REASON_URI = "http://uri.etsi.org/02640/EventReasons#"


@dataclass(frozen=True)
class LetterFacts:
    """What evidence says about the letter it proves something of."""

    message_id: str
    """Message-ID of the sender's own message, as in its header."""
    dispatch_id: str
    """The sender's provider's own identifier of the letter."""
    subject: str
    sender: str
    recipients: tuple[str, ...]
    """Those to whom the evidence refers, all of them."""
    digest: bytes
    """SHA-256 of the sender's own message."""


@dataclass(frozen=True)
class Reason:
    """Why something was refused: an ETSI reason word and a sentence."""

    word: str
    details: str


def compose_evidence(
    code: int,
    letter: LetterFacts,
    *,
    identifier: str,
    issuer: str,
    issuer_address: str,
    identity: Identity,
    event_time: datetime,
    reason: Reason | None = None,
) -> bytes:
    """Return the signed XML document for the national ``code`` (a key of ``EVIDENCE_KINDS``)."""
    kind = EVIDENCE_KINDS[code]
    root = etree.Element(f"{{{REM}}}{kind.evidence_type}", nsmap=_NAMESPACES)
    root.set("version", "2")
    _add(root, "EventCode", _EVENT_URI + kind.event)
    if reason is not None:
        holder = _add(_add(root, "EventReasons"), "EventReason")
        _add(holder, "Code", _REASON_URI + reason.word)
        _add(holder, "Details", reason.details)
    _add(root, "EvidenceIdentifier", identifier)
    _add_entity(root, "EvidenceIssuerDetails", issuer_address, name=issuer, identity=identity)
    _add(root, "EventTime", event_time.isoformat(timespec="milliseconds").replace("+00:00", "Z"))
    _add_entity(root, "SenderDetails", letter.sender)
    recipients = _add(root, "RecipientsDetails")
    for recipient in letter.recipients:
        _add_entity(recipients, "EntityDetails", recipient)
    message = _add(root, "SenderMessageDetails")
    message.set("isNotification", "false")
    _add(message, "MessageSubject", letter.subject)
    _add(message, "UAMessageIdentifier", letter.message_id)
    _add(message, "MessageIdentifierByREMMD", letter.dispatch_id)
    etree.SubElement(message, f"{{{DS}}}DigestMethod").set("Algorithm", SHA256_URI)
    etree.SubElement(message, f"{{{DS}}}DigestValue").text = base64.b64encode(letter.digest).decode()
    return _sign(root, identity, event_time)


@dataclass(frozen=True)
class EvidenceFacts:
    """What a piece of evidence says about itself."""

    identifier: str
    code: int
    """National code, by the type of the document and its event."""
    text: str
    moment: datetime
    issuer: str
    """Name."""
    message_id: str
    recipients: tuple[str, ...]


def read_evidence(document: bytes) -> EvidenceFacts:
    """Read a document that ``compose_evidence`` has made."""
    root = etree.fromstring(document, etree.XMLParser(resolve_entities=False, no_network=True))
    event = _text_at(root, "EventCode").rpartition("#")[2]
    kind = (etree.QName(root).localname, event)
    code = next(code for code, known in EVIDENCE_KINDS.items() if (known.evidence_type, known.event) == kind)
    holders = root.findall(_path("RecipientsDetails", "EntityDetails", "AttributedElectronicAddress"))
    return EvidenceFacts(
        identifier=_text_at(root, "EvidenceIdentifier"),
        code=code,
        text=EVIDENCE_KINDS[code].sentence,
        moment=datetime.fromisoformat(_text_at(root, "EventTime")),
        issuer=_text_at(
            root, "EvidenceIssuerDetails", "NamesPostalAddresses", "NamePostalAddress", "EntityName", "Name"
        ),
        message_id=_text_at(root, "SenderMessageDetails", "UAMessageIdentifier"),
        recipients=tuple(holder.text or "" for holder in holders),
    )


def _path(*names: str) -> str:
    return "/".join(f"{{{REM}}}{name}" for name in names)


def _text_at(root: Any, *names: str) -> str:
    return root.findtext(_path(*names)) or ""


def spoil(document: bytes) -> bytes:
    """Return the document with a changed subject: well formed, but its signature no longer holds."""
    return document.replace(b"</MessageSubject>", b" *</MessageSubject>", 1)


class _EvidenceSigner(XAdESSigner):
    """signxml's signer with two differences.

    SigningTime is an argument instead of the machine's clock. And the references to signed properties and
    key information name their canonicalisation: without a Transform a verifier must take inclusive C14N
    (XML Signature 4.4.3.2), which would draw the document's own namespaces into the digest.
    """

    def __init__(self, moment: datetime, **arguments: Any) -> None:
        super().__init__(data_object_format=XAdESDataObjectFormat("REM evidence", "text/xml"), **arguments)
        self._moment = moment

    def add_signing_time(self, signed_signature_properties: Any, sig_root: Any, signing_settings: Any) -> None:  # noqa: ARG002
        """Write ``xades:SigningTime``."""
        node = etree.SubElement(
            signed_signature_properties, f"{{{namespaces.xades}}}SigningTime", nsmap={"xades": namespaces.xades}
        )
        node.text = self._moment.isoformat(timespec="seconds").replace("+00:00", "Z")

    def _add_reference_to_signed_info(self, sig_root: Any, node_to_reference: Any, **attrs: Any) -> None:
        super()._add_reference_to_signed_info(sig_root, node_to_reference, **attrs)  # type: ignore[no-untyped-call]
        reference = sig_root.find(f"{{{DS}}}SignedInfo")[-1]
        transforms = etree.Element(f"{{{DS}}}Transforms")
        etree.SubElement(transforms, f"{{{DS}}}Transform").set("Algorithm", self.c14n_alg.value)
        reference.insert(0, transforms)


def _sign(root: Any, identity: Identity, moment: datetime) -> bytes:
    is_rsa = isinstance(identity.key, rsa.RSAPrivateKey)
    signer = _EvidenceSigner(
        moment,
        method=SignatureConstructionMethod.enveloped,
        signature_algorithm=SignatureMethod.RSA_SHA256 if is_rsa else SignatureMethod.ECDSA_SHA256,
        digest_algorithm=DigestAlgorithm.SHA256,
        c14n_algorithm=CanonicalizationMethod.EXCLUSIVE_XML_CANONICALIZATION_1_0,
    )
    certificates = [identity.certificate, *identity.chain[:-1]]
    signed = signer.sign(root, key=identity.key, cert=certificates, always_add_key_value=False)
    document: bytes = etree.tostring(signed, xml_declaration=True, encoding="UTF-8", standalone=True)
    return document


def _add(parent: Any, name: str, text: str | None = None) -> Any:
    node = etree.SubElement(parent, f"{{{REM}}}{name}")
    if text is not None:
        node.text = "".join(character for character in text if character.isprintable())
    return node


def _add_entity(parent: Any, element: str, address: str, *, name: str = "", identity: Identity | None = None) -> None:
    entity = _add(parent, element)
    if name:
        _add(_add(_add(_add(entity, "NamesPostalAddresses"), "NamePostalAddress"), "EntityName"), "Name", name)
    _add(entity, "AttributedElectronicAddress", address).set("scheme", "mailto")
    if identity is not None:
        certificate = base64.b64encode(identity.certificate.public_bytes(Encoding.DER)).decode()
        _add(_add(entity, "CertificateDetails"), "X509Certificate", certificate)
