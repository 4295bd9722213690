"""A document of the evidence box, whatever it is packed in: XML, ZIP, PKCS#7 or mail (kep.md 2.9). Pure.

The sniffed bytes decide, never a name or a media type. What is found is read as evidence or, if it is
none, left to a person; it never becomes a letter.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from dataclasses import replace

from services.kep_relay.evidence.parse import MAX_DOCUMENT_BYTES, read_evidence
from services.kep_relay.inbound.classify import MailKind
from services.kep_relay.inbound.envelope import EvidencePart, OpenedMail, opaque_content
from services.kep_relay.inbound.mime import parse_mail
from services.kep_relay.inbound.reading import MailReading, read_mail

FOLDER = "(evidence box)"
"""Where such documents stand in ``raw_mails``; no folder of a provider has this name."""
SIGNED_DATA = "application/pkcs7-mime"
"""Media type of evidence whose document is wrapped in a PKCS#7 signature."""

_XML = "application/xml"
_MAX_ENTRIES = 20
_MAX_UNPACKED = 4 * MAX_DOCUMENT_BYTES
_ZIP_FAULTS = (
    zipfile.BadZipFile,
    zlib.error,
    ValueError,
    NotImplementedError,
    EOFError,
    OSError,
    RuntimeError,
    KeyError,
)
"""What the standard library raises for archives that are broken, encrypted or made up."""
_PLAIN_METHODS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})


def read_document(raw: bytes | memoryview) -> MailReading:
    """Read one document. Never raises for content; blocking and bounded as ``read_mail`` is."""
    head = bytes(raw[:8])
    if head.startswith(b"PK\x03\x04"):
        return _bare(raw, [part for document in _unzip(raw) for part in _parts(document)])
    if head.startswith(b"\x30") or _looks_like_xml(head):
        return _bare(raw, _parts(bytes(raw)) if len(raw) <= MAX_DOCUMENT_BYTES * 2 else [])
    reading = read_mail(raw)
    kind = MailKind.EVIDENCE if reading.mail.evidence else MailKind.OTHER
    return replace(reading, kind=kind, letter=None, verification=None)


def _looks_like_xml(head: bytes) -> bool:
    if head.startswith((b"\xfe\xff", b"\xff\xfe")):
        return True
    return head.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"<")


def _parts(document: bytes) -> list[EvidencePart]:
    if document.startswith(b"\x30"):
        inner = opaque_content(document)
        facts = None if inner is None else read_evidence(inner)
        return [] if inner is None or facts is None else [EvidencePart(inner, SIGNED_DATA, facts)]
    facts = read_evidence(document)
    return [] if facts is None else [EvidencePart(document, _XML, facts)]


def _unzip(raw: bytes | memoryview) -> list[bytes]:
    """The first files of an archive that are small enough; packed by the ordinary methods only."""
    found: list[bytes] = []
    left = _MAX_UNPACKED
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            for entry in archive.infolist()[:_MAX_ENTRIES]:
                if entry.compress_type not in _PLAIN_METHODS or entry.is_dir():
                    continue
                with archive.open(entry) as file:
                    content = file.read(min(left, MAX_DOCUMENT_BYTES) + 1)
                if len(content) > min(left, MAX_DOCUMENT_BYTES):
                    continue
                left -= len(content)
                found.append(content)
    except _ZIP_FAULTS:
        return found
    return found


def _bare(raw: bytes | memoryview, evidence: list[EvidencePart]) -> MailReading:
    """A reading as if of a mail without headers that encloses the evidence."""
    view = memoryview(raw)
    empty = parse_mail(b"\r\n").root
    root = replace(empty, raw=view, body=view, media_type="application/octet-stream")
    defects = () if evidence else ("no-evidence-found",)
    return MailReading(
        kind=MailKind.EVIDENCE if evidence else MailKind.OTHER,
        mail=OpenedMail(root, root, signed=False, original=None, evidence=tuple(evidence), defects=list(defects)),
        letter=None, sender=None, subject=None, message_id_header=None, dispatch_id=None, rem_id=None,
        references=(), defects=defects,
    )  # fmt: skip
