"""Answers in one shape, whatever type the service uses for a status in each (kep.md 2.8, 6.3 to 6.5)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import IO

from services.kep_relay.drivers.eyws.answer import Node
from services.kep_relay.drivers.eyws.failures import MalformedError, RefusalError, TruncatedError
from services.kep_relay.drivers.eyws.wire import Operation
from services.kep_relay.drivers.protocol import ListedEvidence
from shared.clock import ISTANBUL

_LONGEST_ID = 998
"""Bytes, as a header's line has at most; the database's index takes no id of three times as many."""
_FRACTION = re.compile(r"(\.\d{6})\d+")
_UNZONED_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


@dataclass(frozen=True)
class Answer:
    """One complete answer."""

    operation: Operation
    wrapper: Node
    parts: Mapping[str, IO[bytes]] = field(default_factory=dict, repr=False)

    @property
    def result(self) -> Node | None:
        """The child ``return``; None when it is absent or nil."""
        found = self.wrapper.one("return")
        return None if found is None or found.nil else found

    def refused(self, code: str | None, text: str | None) -> RefusalError:
        """This answer as a no."""
        return RefusalError(self.operation, code, text or "no reason given")

    def binary(self, node: Node) -> IO[bytes] | None:
        """The file of an element, from beside the XML or out of it; None when it is empty.

        Raises ``TruncatedError`` when the part it points to did not come (kep.md 7.15).
        """
        inside = next((below.reference for below in node.walk() if below.reference is not None), None)
        if inside is None:
            found = node.blob
        elif (found := self.parts.get(inside)) is None:
            raise TruncatedError(f"{self.operation}: a part of the answer is missing")
        return None if found is None or _size(found) == 0 else found


@dataclass(frozen=True)
class Listed:
    """One entry of a folder's list."""

    message_id: str
    original_id: str | None
    sender: str | None
    type_id: str | None


@dataclass(frozen=True)
class Uploaded:
    """The service's word about a message."""

    message_id: str | None
    text: str


@dataclass(frozen=True)
class Step:
    """What a step of a log-in gave."""

    security_id: str
    text: str | None
    digest: str | None


def uploaded(answer: Answer) -> Uploaded:
    """Raises ``RefusalError``; ``MalformedError`` for an answer that does not say what became of the message."""
    result = _successful(answer)
    return Uploaded(_id(result.value("kepId")), result.value("hataaciklama") or "")


def done(answer: Answer) -> None:
    """For confirming and deleting. Raises as ``uploaded`` does."""
    _successful(answer)


def listed(answer: Answer) -> tuple[list[Listed], int]:
    """The entries, and how many could not be told apart for want of an id.

    Raises ``RefusalError``, and ``MalformedError`` for an answer that neither lists nor says why not: it
    is no proof that a folder is empty.
    """
    result = answer.result
    if result is None:
        raise MalformedError(f"{answer.operation}: the answer is empty")
    ids = _texts(result, "kepId")
    code, text = _first(result, "durum"), _first(result, "hataaciklama")
    if not any(ids):
        if code and not _is_zero(code):
            raise answer.refused(code, text)
        if text:
            raise answer.refused(code, text)
        if not ids and code is None:
            raise MalformedError(f"{answer.operation}: the answer says nothing")
    count = len(ids)
    originals, senders, types = (_aligned(result, name, count) for name in ("OrgMesajId", "fromKep", "turId"))
    entries = [
        Listed(known, _id(original), sender, kind)
        for raw, original, sender, kind in zip(ids, originals, senders, types, strict=True)
        if (known := _id(raw)) is not None
    ]
    nameless = 0 if count <= 1 else sum(_id(raw) is None for raw in ids)
    return entries, nameless


def downloaded(answer: Answer) -> list[IO[bytes]]:
    """The files of a message that are not empty. Raises ``RefusalError``, ``MalformedError``, ``TruncatedError``.

    None at all, without a word why, is how "not found" looks (kep.md 2.8).
    """
    result = answer.result
    if result is None:
        raise MalformedError(f"{answer.operation}: the answer is empty")
    code, text = result.value("durum"), result.value("hataaciklama")
    items = result.all("ePaket")
    files = [found for item in items if (found := answer.binary(item)) is not None]
    if (code and not _is_zero(code)) or (text and not (files and code)) or (not items and not code):
        raise answer.refused(code, text)
    return files


def evidence_listed(answer: Answer) -> list[ListedEvidence]:
    """Both lists of evidence; only the detailed one names recipients. Raises ``RefusalError``, ``MalformedError``."""
    if answer.operation is Operation.LIST_EVIDENCE_IN_DETAIL:
        return _evidence_in_detail(answer)
    result = answer.result
    if result is None:
        return []
    ids = _texts(result, "delilId")
    if not any(ids):
        code = _first(result, "durum")
        if code and not _is_zero(code):
            raise answer.refused(code, _first(result, "hataaciklama"))
        return []
    codes, texts, moments, providers = (
        _aligned(result, name, len(ids)) for name in ("delilTurId", "delilaciklama", "tarih", "kephs")
    )
    return [
        _evidence(known, code, text, at, provider, None)
        for known, code, text, at, provider in zip(ids, codes, texts, moments, providers, strict=True)
        if known
    ]


def _evidence_in_detail(answer: Answer) -> list[ListedEvidence]:
    entries = [node for node in answer.wrapper.all("DelilSonuc") if not node.nil]
    found = [
        _evidence(
            known, node.value("delilTurId"), node.value("delilaciklama"), node.value("tarih"), node.value("kephs"),
            node.value("alici"),
        )
        for node in entries
        if (known := node.value("delilId"))
    ]  # fmt: skip
    if found:
        return found
    failed = next((node for node in entries if not _is_zero(node.value("durum") or "0")), answer.wrapper)
    code = failed.value("durum")
    if code and not _is_zero(code):
        raise answer.refused(code, failed.value("hataaciklama"))
    return []


def _evidence(
    provider_id: str, code: str | None, text: str | None, at: str | None, provider: str | None, recipient: str | None
) -> ListedEvidence:
    number = (code or "").strip()
    return ListedEvidence(
        provider_id=provider_id[:_LONGEST_ID],
        code=int(number) if number.isascii() and number.isdigit() and len(number) <= 9 else None,
        text=text or "",
        at=moment(at),
        at_text=at or "",
        provider=provider or "",
        recipient=recipient or None,
    )


def evidence_file(answer: Answer) -> IO[bytes]:
    """Bytes count more than words that come with them. Raises ``RefusalError``, ``MalformedError``."""
    result = answer.result
    if result is None:
        raise MalformedError(f"{answer.operation}: the answer is empty")
    node = result.one("eDelil")
    found = None if node is None or node.nil else answer.binary(node)
    code = result.value("durum")
    if found is None or (code and not _is_zero(code)):
        raise answer.refused(code, result.value("hataaciklama"))
    return found


def credit(answer: Answer) -> tuple[float | None, str | None]:
    """Amount and unit. An error stands in the field of the unit, with no amount or 0 (kep.md 6.5): see ``codes``."""
    result = answer.result
    if result is None:
        return None, None
    try:
        amount = Decimal((result.value("miktar") or "").strip().replace(",", "."))
    except InvalidOperation:
        return None, result.value("cins")
    return (float(amount) if amount.is_finite() else None), result.value("cins")


def quota(answer: Answer) -> int | None:
    """KB; None is how an error looks (kep.md 2.8)."""
    result = answer.result
    text = "" if result is None else result.text
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 15 else None


def folders(answer: Answer) -> list[str]:
    """Names as the service writes them."""
    return [node.text for node in answer.wrapper.all("return") if not node.nil and node.text]


def step(answer: Answer) -> Step:
    """Raises ``RefusalError``, and ``MalformedError`` without status or security id."""
    result = _successful(answer)
    security_id = result.value("eGuvenlikId")
    if not security_id:
        raise MalformedError(f"{answer.operation}: the answer has no security id")
    return Step(security_id, result.value("eMetin"), result.value("eHash"))


def moment(text: str | None) -> datetime | None:
    """An aware moment in UTC; without zone it is Turkish time (kep.md 7.28). None for what is no time."""
    cleaned = _FRACTION.sub(r"\1", (text or "").strip())
    if _UNZONED_DAY.fullmatch(cleaned):
        cleaned += "T00:00:00"
    try:
        found = datetime.fromisoformat(cleaned)
        return (found.replace(tzinfo=ISTANBUL) if found.tzinfo is None else found).astimezone(UTC)
    except (ValueError, OverflowError):  # the year 1, which some software writes for "no time", is none in UTC
        return None


def _texts(node: Node, name: str) -> list[str | None]:
    return [None if child.nil or not child.text else child.text for child in node.all(name)]


def _aligned(node: Node, name: str, count: int) -> Sequence[str | None]:
    """A parallel array; one of another length belongs to nobody knows which entry, so it tells nothing."""
    found = _texts(node, name)
    return found if len(found) == count else [None] * count


def _first(node: Node, name: str) -> str | None:
    return next(iter(_texts(node, name)), None)


def _id(text: str | None) -> str | None:
    return text if text and len(text.encode()) <= _LONGEST_ID and text.isprintable() else None


def _successful(answer: Answer) -> Node:
    """The result of an answer whose one status is 0. Raises ``RefusalError``; ``MalformedError`` without a status."""
    result = answer.result
    code = None if result is None else result.value("durum")
    if result is None or not code:
        raise MalformedError(f"{answer.operation}: the answer has no status")
    if not _is_zero(code):
        raise answer.refused(code, result.value("hataaciklama"))
    return result


def _is_zero(code: str) -> bool:
    stripped = code.strip()
    return bool(stripped) and not stripped.strip("0")


def _size(source: IO[bytes]) -> int:
    source.seek(0, 2)
    size = source.tell()
    source.seek(0)
    return size
