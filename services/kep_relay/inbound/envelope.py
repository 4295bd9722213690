"""Opens a signed mail down to the parts that matter: the original message and the evidence (kep.md 3.3)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from asn1crypto import cms

from services.kep_relay.evidence.parse import MAX_DOCUMENT_BYTES, EvidenceFacts, read_evidence
from services.kep_relay.inbound import texts
from services.kep_relay.inbound.mime import Entity, ParsedMail, parse_mail

SIGNATURE_TYPES = frozenset({"application/pkcs7-signature", "application/x-pkcs7-signature"})
OPAQUE_TYPES = frozenset({"application/pkcs7-mime", "application/x-pkcs7-mime"})
_XML_TYPES = frozenset({"application/xml", "text/xml"})
_MAX_EVIDENCE_PARTS = 20
_MAX_ASN1_OVERHEAD = 8 * 1024 * 1024


@dataclass(frozen=True)
class EvidencePart:
    """An evidence document found in a mail."""

    document: bytes
    media_type: str
    facts: EvidenceFacts


@dataclass(frozen=True)
class OpenedMail:
    """A mail as received, taken apart. Its signature is not judged here."""

    outer: Entity
    """Headers of the mail itself."""
    content: Entity
    """What the signature covers, or the whole mail."""
    signed: bool
    original: memoryview | None
    """The first ``message/rfc822`` part's exact bytes."""
    evidence: tuple[EvidencePart, ...]
    defects: list[str] = field(default_factory=list)


def open_mail(raw: bytes | memoryview) -> OpenedMail:
    """Take a mail apart. Never raises for content; faults become defects."""
    parsed = parse_mail(raw)
    defects = list(parsed.defects)
    content, signed = unwrap(parsed, defects)
    original: memoryview | None = None
    evidence: list[EvidencePart] = []
    seen: set[bytes] = set()
    for entity in content.walk():
        if entity.media_type == "message/rfc822":
            if original is None:
                original = embedded_message(entity, defects)
            continue
        if len(evidence) >= _MAX_EVIDENCE_PARTS or not _may_be_evidence(entity):
            continue
        document = entity.content().read()
        facts = read_evidence(document)
        if facts is not None and document not in seen:
            seen.add(document)
            evidence.append(EvidencePart(document, "application/xml", facts))
    return OpenedMail(parsed.root, content, signed, original, tuple(evidence), defects=defects)


def unwrap(parsed: ParsedMail, defects: list[str]) -> tuple[Entity, bool]:
    """What the outermost S/MIME signature covers, and whether there is one; the root itself otherwise."""
    root = parsed.root
    if root.media_type == "multipart/signed" and len(root.children) >= 2:
        return root.children[0], True
    if root.media_type in OPAQUE_TYPES:
        inner = _opaque_content(root)
        if inner is None:
            defects.append("opaque-signature-unreadable")
            return root, False
        opened = parse_mail(inner)
        defects.extend(opened.defects)
        return opened.root, True
    return root, False


def leaves(content: Entity) -> Iterator[Entity]:
    """The parts that hold something, in order, without multipart frames and signatures."""
    for entity in content.walk():
        if not entity.children and entity.media_type not in SIGNATURE_TYPES:
            yield entity


def embedded_message(entity: Entity, defects: list[str]) -> memoryview:
    """The message inside a ``message/rfc822`` part, byte for byte; decoded only if it is (wrongly) encoded."""
    encoding = texts.header_text(entity.headers, "Content-Transfer-Encoding") or "7bit"
    if encoding.strip().lower() in {"base64", "quoted-printable"}:
        defects.append("embedded-message-encoded")
        return memoryview(entity.content().read())
    return entity.body


def _may_be_evidence(entity: Entity) -> bool:
    if entity.children or len(entity.body) > MAX_DOCUMENT_BYTES * 2:
        return False
    if entity.media_type in _XML_TYPES or entity.media_type.endswith("+xml"):
        return True
    return (texts.filename(entity.headers) or "").lower().endswith(".xml")


def opaque_content(data: bytes) -> bytes | None:
    """The content inside an opaque CMS signature (DER); None if it cannot be had."""
    if not data.startswith(b"\x30"):
        return None
    try:
        info = cms.ContentInfo.load(data)
        if info["content_type"].native != "signed_data":
            return None
        inner = info["content"]["encap_content_info"]["content"].native
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError, OverflowError):
        return None
    return inner if isinstance(inner, bytes) else None


def _opaque_content(root: Entity) -> bytes | None:
    data = root.content().read()
    return None if len(data) > len(root.raw) + _MAX_ASN1_OVERHEAD else opaque_content(data)
