"""Reads evidence documents leniently; their schema and signature are judged elsewhere (kep.md 3.4).

Producers break the schema, so every field is optional and the first one found counts. Pure: bytes
in, facts out; anything that is not evidence gives None, never an exception.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from lxml import etree

from services.kep_relay.evidence import wire
from services.kep_relay.inbound.texts import clean
from shared.clock import ISTANBUL
from shared.domain.evidence import evidence_code
from shared.domain.identifiers import bare_message_id, kep_address

MAX_DOCUMENT_BYTES = 2 * 1024 * 1024
MAX_MARKS = 50_000
"""Elements in one document; opening brackets are an upper bound for them, but not in every encoding."""
MAX_RECIPIENTS = 500
_TIME = re.compile(
    r"(\d{4}-\d{2}-\d{2})[T ](\d{2}:\d{2}:\d{2})(?:[.,](\d{1,9}))?\s*(Z|[+-]\d{2}:?\d{2})?", re.IGNORECASE
)


@dataclass(frozen=True)
class EvidenceFacts:
    """What one evidence document says, in our words."""

    evidence_type: str
    event: str
    """The event code as written: a URI of which only the fragment counts."""
    code: int | None
    """The national code; None for a kind nobody knows."""
    identifier: str | None
    issuer: str | None
    event_time: datetime | None
    event_time_text: str | None
    reason: str | None
    sender: str | None
    recipients: tuple[str, ...]
    """Those this evidence refers to."""
    original_id: str | None
    dispatch_id: str | None
    digest_method: str | None
    digest_value: str | None
    """Hexadecimal, lower case."""
    signed: bool
    """Whether there is a signature element at all."""


def read_evidence(document: bytes) -> EvidenceFacts | None:
    """The facts of an evidence document; None if it is not one or exceeds a bound."""
    root = _root(document)
    if root is None:
        return None
    name = etree.QName(root)
    known = name.localname in wire.EVIDENCE_TYPES
    related = name.namespace in wire.NAMESPACES and name.localname not in wire.NOT_EVIDENCE
    if not known and not related:
        return None
    signed = any(item.tag == f"{{{wire.DS}}}{wire.SIGNATURE}" for item in root)
    # No signature covers itself: whatever stands in one was put there by anybody, wherever in the document it lies.
    etree.strip_elements(root, f"{{*}}{wire.SIGNATURE}", with_tail=False)
    event = _text(root, wire.EVENT_CODE) or ""
    code = evidence_code(name.localname, event)
    time_text = _text(root, wire.EVENT_TIME, limit=100)
    details = _child(root, wire.MESSAGE)
    method, digest = _digest(details)
    return EvidenceFacts(
        evidence_type=clean(name.localname, 200),
        event=event,
        code=None if code is None else int(code),
        identifier=_text(root, wire.IDENTIFIER),
        issuer=_issuer(root),
        event_time=read_time(time_text),
        event_time_text=time_text,
        reason=_reason(root),
        sender=_address(_child(root, wire.SENDER)),
        recipients=_recipients(root),
        original_id=_message_id(details, wire.ORIGINAL_IDENTIFIER),
        dispatch_id=_message_id(details, wire.DISPATCH_IDENTIFIER),
        digest_method=method,
        digest_value=digest,
        signed=signed,
    )


def read_time(text: str | None) -> datetime | None:
    """A moment as evidence writes it; without a zone it is Türkiye's time (kep.md 7.28)."""
    found = _TIME.fullmatch(text.strip()) if text else None
    if found is None:
        return None
    day, clock, fraction, zone = found.groups()
    zone = "" if zone is None else zone.upper().replace("Z", "+00:00")
    try:
        moment = datetime.fromisoformat(f"{day}T{clock}.{(fraction or '0')[:6].ljust(6, '0')}{zone}")
        moment = moment if moment.tzinfo else moment.replace(tzinfo=ISTANBUL)
        moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return moment


def _root(document: bytes) -> Any | None:
    if len(document) > MAX_DOCUMENT_BYTES or document.count(b"<") > MAX_MARKS or b"<!DOCTYPE" in document:
        return None
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, dtd_validation=False, huge_tree=False,
        remove_comments=True, remove_pis=True,
    )  # fmt: skip
    try:
        root = etree.fromstring(document, parser)
    except (etree.XMLSyntaxError, ValueError, LookupError):
        return None
    tree: Any = root.getroottree()
    # UTF-7 can write a bracket without one: then there are more elements than were counted.
    crowded = next(islice(root.iter(), MAX_MARKS, None), None) is not None
    return None if tree.docinfo.doctype or crowded else root


def _local(element: Any) -> str:
    return etree.QName(element).localname if isinstance(element.tag, str) else ""


def _child(parent: Any | None, name: str) -> Any | None:
    return None if parent is None else next((item for item in parent if _local(item) == name), None)


def _text(parent: Any | None, name: str, *, limit: int = 1000) -> str | None:
    element = _child(parent, name)
    return None if element is None else clean("".join(element.itertext())[: limit * 2], limit) or None


def _message_id(parent: Any | None, name: str) -> str | None:
    text = _text(parent, name)
    return bare_message_id(text) or None if text else None


def _issuer(root: Any) -> str | None:
    details = _child(root, wire.ISSUER)
    if details is None:
        return None
    name = next((item for item in details.iter() if _local(item) == wire.NAME), None)
    text = None if name is None else clean("".join(name.itertext()), 300)
    return text or _address(details)


def _reason(root: Any) -> str | None:
    sentences = []
    for item in root.iter():
        if _local(item) != wire.EVENT_REASON:
            continue
        word = (_text(item, wire.REASON_CODE) or "").rpartition("#")[2]
        details = _text(item, wire.REASON_DETAILS)
        sentences.append(": ".join(part for part in (word, details) if part))
        if len(sentences) == 10:
            break
    return clean("; ".join(sentence for sentence in sentences if sentence), 1000) or None


def _address(entity: Any | None) -> str | None:
    if entity is None:
        return None
    for item in entity.iter():
        if _local(item) == wire.ADDRESS:
            text = clean("".join(item.itertext()), 320).removeprefix("mailto:")
            try:
                return kep_address(text)
            except ValueError:
                return text or None
    return None


def _recipients(root: Any) -> tuple[str, ...]:
    holder = _child(root, wire.RECIPIENTS)
    if holder is None:
        return ()
    entities = [item for item in holder if _local(item) == wire.ENTITY][:MAX_RECIPIENTS] or [holder]
    index = _text(root, wire.REFERS_TO, limit=10)
    if index is not None and index.isdecimal():
        # The schema says "index" without saying from where: 1 is the usual start, 0 is met as well.
        place = int(index) - 1 if int(index) >= 1 else 0
        entities = entities[place : place + 1] or entities
    found = (_address(entity) for entity in entities)
    return tuple(dict.fromkeys(address for address in found if address))


def _digest(details: Any | None) -> tuple[str | None, str | None]:
    method = _child(details, wire.DIGEST_METHOD)
    algorithm = None if method is None else clean(method.get("Algorithm") or "", 200) or None
    text = _text(details, wire.DIGEST_VALUE, limit=300)
    if text is None:
        return algorithm, None
    try:
        return algorithm, base64.b64decode("".join(text.split()), validate=True).hex()
    except (binascii.Error, ValueError):
        return algorithm, None
