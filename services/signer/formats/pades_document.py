"""The signatures and document time-stamps of one PDF, and the bytes each covers (ISO 32000-1, 12.8; EN 319 142-1, 5.1).

A signature covers everything up to the end of one revision but its own ``/Contents``. Nothing else is accepted: a range
that leaves out more, or ends elsewhere, lets the file say what nobody signed.
"""

from __future__ import annotations

import hashlib
import hmac
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.reader import process_data_at_eof

from services.signer.facts import SignerFacts
from services.signer.findings import CheckFailed
from services.signer.formats.imprints import stamped_other
from services.signer.formats.pades_reader import MeteredReader, entry_of
from services.signer.limits import Limits, malformed, too_much, walk
from services.signer.texts import say
from shared.domain.verdict import SubIndication

CADES_DETACHED = "/ETSI.CAdES.detached"
DOCUMENT_TIMESTAMP = "/ETSI.RFC3161"
_DETACHED = frozenset({CADES_DETACHED, "/adbe.pkcs7.detached"})
_BOUND_TO_SHA1 = frozenset({"/adbe.pkcs7.sha1", "/adbe.x509.rsa_sha1"})
_BEFORE_HOLE = re.compile(rb"/Contents[\0\t\n\f\r ]*\Z")
_HEX = re.compile(rb"[0-9A-Fa-f]*\Z")
_LARGEST_TAIL = 1024
_LONGEST_NAME = 200
_EMPTY = (type(None), generic.NullObject)


class RangesContent:
    """The bytes before the hole and after it; each digest is computed once."""

    def __init__(self, data: bytes, hole: tuple[int, int], end: int) -> None:
        self._parts = (memoryview(data)[: hole[0]], memoryview(data)[hole[1] : end])
        self._digests: dict[str, bytes] = {}

    def digest(self, algorithm: str) -> bytes:
        """Digest by ``hashlib`` name."""
        if algorithm not in self._digests:
            hashed = hashlib.new(algorithm)
            for part in self._parts:
                hashed.update(part)
            self._digests[algorithm] = hashed.digest()
        return self._digests[algorithm]


@dataclass(frozen=True)
class RangesImprint:
    """Under a document time-stamp (EN 319 142-1, 5.4.3): its byte range."""

    content: RangesContent

    def check(self, algorithm: str, hashed: bytes, token: SignerFacts) -> frozenset[int]:  # noqa: ARG002 - a protocol's
        """As ``facts.Imprint`` has it."""
        if not hmac.compare_digest(self.content.digest(algorithm), hashed):
            raise stamped_other()
        return frozenset()


@dataclass
class PdfSignature:
    """One signature dictionary; of one with a ``failure`` nothing else may be relied on."""

    name: str
    """Of its field, as the file has it."""
    failure: CheckFailed | None = None
    sub_filter: str = ""
    claimed_at: datetime | None = None
    """``/M``."""
    encoded: bytes = field(default=b"", repr=False)
    """The CMS without the zeros after it."""
    hole: tuple[int, int] = (0, 0)
    """Where ``/Contents`` begins and ends, its brackets included."""
    end: int = 0
    """Where the signed bytes end."""
    content: RangesContent | None = field(default=None, repr=False)
    revision: int = 0
    """Of the document, from 0: the one that it closes."""
    dictionary: Any = field(default=None, repr=False)
    field_dictionary: Any = field(default=None, repr=False)

    @property
    def is_timestamp(self) -> bool:
        """Whether it is a document time-stamp."""
        return self.sub_filter == DOCUMENT_TIMESTAMP

    def covers(self, other: PdfSignature) -> bool:
        """Whether all of the other, its ``/Contents`` included, lies under this one."""
        return self.failure is None and other.failure is None and other.end <= self.hole[0]


def open_document(data: bytes, limits: Limits) -> MeteredReader:
    """The file's structure; raises ``CheckFailed`` (FORMAT_FAILURE, or SIGNED_DATA_NOT_FOUND when it cannot be judged).

    Also raises whatever pyHanko raises on malformed files, and ``Exhausted``.
    """
    if len(data) > limits.pdf_bytes:
        raise too_much("bytes", limits.pdf_bytes)
    reader = MeteredReader(data, limits.pdf_steps)
    if "/Encrypt" in reader.trailer:
        raise CheckFailed(SubIndication.SIGNED_DATA_NOT_FOUND, say("pdf.encrypted"))
    if reader.xrefs.hybrid_xrefs_present:
        raise CheckFailed(SubIndication.SIGNED_DATA_NOT_FOUND, say("pdf.hybrid"))
    if reader.xrefs.total_revisions > limits.pdf_revisions:
        raise too_much("revisions", limits.pdf_revisions)
    return reader


def read_signatures(reader: MeteredReader, data: bytes, limits: Limits) -> tuple[PdfSignature, ...]:
    """Every filled signature field, in the order of the revisions they close; a fault in one stays with that one.

    Raises ``CheckFailed`` (FORMAT_FAILURE) for too many, and what pyHanko raises on a malformed form.
    """
    found: list[PdfSignature] = []
    most = limits.signers + limits.timestamps
    for name, holder in signature_fields(reader.root):
        if len(found) >= most:
            raise too_much("signature fields", most)
        found.append(_read(reader, data, limits, name, holder))
    _refuse_shared(found)
    return tuple(sorted(found, key=lambda item: (item.revision, item.end)))


def signature_fields(root: Any) -> Iterator[tuple[str, Any]]:
    """Name and dictionary of each filled signature field of one revision, given its catalogue.

    Raises ``CheckFailed`` (FORMAT_FAILURE) when a field stands in two places: the library would visit what is below it
    as often as there are ways to it. Also raises what pyHanko raises, and ``Exhausted``.
    """
    form = entry_of(root, "/AcroForm")
    waiting = [(item, "", None) for item in _members(form, "/Fields")]
    seen: set[tuple[int, int]] = set()
    while waiting:
        reference, above, kind = waiting.pop()
        if not isinstance(reference, generic.IndirectObject):
            continue
        if (reference.idnum, reference.generation) in seen:
            raise malformed("a form field in two places")
        seen.add((reference.idnum, reference.generation))
        holder: Any = reference.get_object()  # type: ignore[no-untyped-call]  # untyped library
        if not isinstance(holder, generic.DictionaryObject) or "/T" not in holder:
            continue
        name = f"{above}.{holder['/T']}"[:_LONGEST_NAME] if above else str(holder["/T"])[:_LONGEST_NAME]
        kind = entry_of(holder, "/FT", kind)
        if kind == "/Sig" and not isinstance(holder.raw_get("/V") if "/V" in holder else None, _EMPTY):
            yield name, holder
        waiting.extend((item, name, kind) for item in _members(holder, "/Kids"))


def _members(holder: Any, key: str) -> list[Any]:
    found = entry_of(holder, key) if isinstance(holder, generic.DictionaryObject) else None
    return list(reversed(found)) if isinstance(found, generic.ArrayObject) else []


def _read(reader: MeteredReader, data: bytes, limits: Limits, name: str, holder: Any) -> PdfSignature:
    found = PdfSignature(name)
    try:
        _fill(found, reader, data, limits, holder)
    except CheckFailed as failure:
        found.failure = failure.to_keep()
    return found


def _fill(found: PdfSignature, reader: MeteredReader, data: bytes, limits: Limits, holder: Any) -> None:
    value = holder.raw_get("/V")
    if not isinstance(value, generic.IndirectObject):
        raise _range_fault("signature without an object of its own")
    dictionary = value.get_object()  # type: ignore[no-untyped-call]  # untyped library
    if not isinstance(dictionary, generic.DictionaryObject):
        raise _range_fault("signature is not a dictionary")
    found.dictionary, found.field_dictionary = dictionary, holder
    found.sub_filter = str(entry_of(dictionary, "/SubFilter", ""))
    found.claimed_at = _moment(entry_of(dictionary, "/M"))
    if found.sub_filter in _BOUND_TO_SHA1:
        text = say("pdf.sub-filter", name=found.sub_filter[1:])
        raise CheckFailed(SubIndication.CRYPTO_CONSTRAINTS_FAILURE, text)
    if found.sub_filter not in _DETACHED and not found.is_timestamp:
        raise CheckFailed(SubIndication.FORMAT_FAILURE, say("pdf.sub-filter", name=found.sub_filter[1:100]))
    contents = _place(found, data, dictionary)
    nodes, _ = walk(contents, limits, padded=True)
    found.encoded = contents[: nodes[0].end + (2 if nodes[0].indefinite else 0)]
    found.revision = reader.xrefs.get_last_change(value.reference)
    if found.end < len(data):
        _check_revision(found, reader, data)
    elif found.revision != reader.xrefs.total_revisions - 1:
        raise _range_fault("signature of an earlier revision over the whole file")
    found.content = RangesContent(data, found.hole, found.end)


def _place(found: PdfSignature, data: bytes, dictionary: Any) -> bytes:
    """Read the byte range, and give the octets of ``/Contents``, which must be exactly what it leaves out."""
    numbers = dictionary.raw_get("/ByteRange") if "/ByteRange" in dictionary else ()
    if not isinstance(numbers, generic.ArrayObject) or len(numbers) != 4:
        raise _range_fault("not four numbers")
    if not all(isinstance(item, generic.NumberObject) for item in numbers):
        raise _range_fault("not four numbers")
    start, hole_start, hole_end, length = (int(item) for item in numbers)
    end = hole_end + length
    if start != 0:
        raise _range_fault("does not begin at 0")
    if not 0 < hole_start < hole_end < end <= len(data):
        raise _range_fault("overlapping, or beyond the file")
    contents = dictionary.raw_get("/Contents") if "/Contents" in dictionary else None
    if not isinstance(contents, generic.TextStringObject | generic.ByteStringObject):
        raise _range_fault("no /Contents")
    octets = bytes(contents.original_bytes)
    inside = data[hole_start + 1 : hole_end - 1]
    brackets = data[hole_start : hole_start + 1] + data[hole_end - 1 : hole_end]
    if brackets != b"<>" or len(inside) != 2 * len(octets) or not _HEX.match(inside):
        raise _range_fault("leaves out more or less than /Contents")
    if bytes.fromhex(inside.decode()) != octets or not _BEFORE_HOLE.search(data, max(0, hole_start - 64), hole_start):
        raise _range_fault("leaves out other bytes than /Contents")
    found.hole, found.end = (hole_start, hole_end), end
    return octets


def _check_revision(found: PdfSignature, reader: MeteredReader, data: bytes) -> None:
    """What is signed must end where a revision ends, and hold that revision's tables."""
    tail = io.BytesIO(data[max(0, found.end - _LARGEST_TAIL) : found.end])
    tail.seek(-1, io.SEEK_END)
    declared = reader.xrefs.get_startxref_for_revision(found.revision)
    try:
        ends_there = process_data_at_eof(tail) == declared
    except Exception:  # noqa: BLE001 - whatever stands there, it is not the end of a revision
        ends_there = False
    ends = (reader.xrefs.get_xref_container_info(number).end_location for number in range(found.revision + 1))
    if not ends_there or max(ends) > found.end:
        raise _range_fault("does not end with a revision")


def _refuse_shared(found: list[PdfSignature]) -> None:
    places = [item.hole for item in found if item.failure is None]
    for item in found:
        if item.failure is None and places.count(item.hole) > 1:
            item.failure = _range_fault("the same for two signatures")


def _range_fault(detail: str) -> CheckFailed:
    return CheckFailed(SubIndication.FORMAT_FAILURE, say("pdf.byte-range", detail=detail))


def _moment(value: Any) -> datetime | None:
    """A PDF date (ISO 32000-1, 7.9.4); None when it is not one. Without a zone it counts as UTC."""
    try:
        moment = generic.parse_pdf_date(str(value), strict=True) if value is not None else None
        if moment is None:
            return None
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except Exception:  # noqa: BLE001 - the claimed time decides nothing
        return None
