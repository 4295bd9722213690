"""The strict pull parser of the bulk lists: bytes in, wire rows out, nothing kept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Generic, TypeVar

from lxml import etree

from services.detsis_sync.soap import wire
from services.detsis_sync.soap.codec import ENVELOPES, count_unknown
from services.detsis_sync.soap.failures import (
    DirectoryCallError,
    FailureReason,
    Secrets,
    fault_failure,
    in_band_failure,
    quoted,
)
from services.detsis_sync.soap.same import KnownRows
from services.detsis_sync.soap.sieve import ReadRows, RowSieve

WireRow = TypeVar("WireRow")
_XSI_NIL = "{http://www.w3.org/2001/XMLSchema-instance}nil"
_TAIL = 256
_FAR_APART = 4 * 1024 * 1024
"""Bytes between two rows, or before the first: more means that the answer is not the list it should be."""


class ListParser(Generic[WireRow]):
    """Reads one bulk answer. Make, feed and close it in one and the same thread: lxml's parsers demand it.

    Raises ``DirectoryCallError`` for everything that is not the complete, successful answer of this
    operation: a web page, a fault, an in-band error, another element tree, a document type
    declaration, too deep nesting (libxml2's limit of 256), an answer that ends too early.
    """

    def __init__(
        self,
        operation: wire.Operation,
        contract: wire.ListContract[WireRow],
        secret: Secrets,
        known: KnownRows | None = None,
    ) -> None:
        """With ``known``, rows have digests, and known rows come as a list of numbers instead of as wire rows."""
        self._sieve = RowSieve(contract, known)
        self._operation = operation
        self._contract = contract
        self._secret = secret
        self._envelopes = {f"{{{soap}}}Envelope": soap for soap in ENVELOPES.values()}
        self._faults = {f"{{{soap}}}Fault" for soap in ENVELOPES.values()}
        self._result_tag = wire.result_tag(operation)
        tags = [*self._envelopes, *self._faults, self._result_tag, wire.RESULT_ITEMS, contract.item_tag]
        self._parser = etree.XMLPullParser(
            events=("start", "end"),
            tag=tags,
            encoding="utf-8",
            resolve_entities=False,
            no_network=True,
            load_dtd=False,
            huge_tree=False,
            recover=False,
            remove_comments=True,
            remove_pis=True,
        )
        self._items: etree._Element | None = None
        self._soap: str | None = None
        self._succeeded = False
        self._tail = b""
        self._since_row = 0
        self.nil_items = 0
        self.unknown_elements: Counter[str] = Counter()
        self.digest: bytes | None = None
        """Of the row handed out last. None as well for one with unknown elements: each of them is reported."""

    def feed(self, piece: bytes) -> Iterator[WireRow | wire.WireRowError | list[int]]:
        """Yield the rows that ``piece`` completes; a row that breaks the contract comes as its fault."""
        if not piece:
            return
        self._tail = (self._tail + piece[-_TAIL:])[-_TAIL:]
        self._since_row += len(piece)
        yield from self._parse(self._sieve.feed(piece))
        if self._since_row > _FAR_APART:
            raise self._failure(FailureReason.MALFORMED, "the answer is not a list of rows")

    def close(self) -> Iterator[WireRow | wire.WireRowError | list[int]]:
        """Yield the last rows; then the answer is known to be complete and successful."""
        if self._soap is None and not self._tail.strip():
            raise self._failure(FailureReason.EMPTY, "the answer is empty")
        yield from self._parse(self._sieve.close())
        try:
            self._parser.close()
            yield from self._rows()
        except etree.XMLSyntaxError as error:
            # libxml2 may hold the last bytes back until now, so the error alone does not tell which it is
            if self._tail.rstrip().endswith(b"Envelope>"):
                raise self._failure(FailureReason.MALFORMED, "the answer is not well-formed XML") from error
            raise self._failure(FailureReason.TRUNCATED, "the answer ends too early") from error
        if self._soap is None:
            raise self._failure(FailureReason.NOT_SOAP, "the answer is not a SOAP envelope")
        if not self._succeeded:
            raise self._failure(FailureReason.MALFORMED, "the answer holds no result of this operation")
        if self._sieve.waiting:
            raise self._failure(FailureReason.MALFORMED, "rows stand where no row may stand")

    def _parse(self, piece: bytes) -> Iterator[WireRow | wire.WireRowError | list[int]]:
        if not piece:
            return
        try:
            self._parser.feed(piece)
            yield from self._rows()
        except etree.XMLSyntaxError as error:
            raise self._failure(FailureReason.MALFORMED, "the answer is not well-formed XML") from error

    def _rows(self) -> Iterator[WireRow | wire.WireRowError | list[int]]:
        events: Iterator[tuple[str, etree._Element]] = self._parser.read_events()  # type: ignore[assignment]
        item_tag = self._contract.item_tag
        for event, element in events:
            tag = element.tag
            if tag == item_tag:
                if event == "end":
                    yield from self._ended(element)
                    self._drop(element)
            elif tag in self._envelopes:
                if event == "start":
                    self._open(element, self._envelopes[tag])
            elif tag == wire.RESULT_ITEMS:
                if event == "start":
                    self._open_items(element)
            elif event == "end":
                self._settle(element)

    def _ended(self, element: etree._Element) -> Iterator[WireRow | wire.WireRowError | list[int]]:
        if self._items is None or element.getparent() is not self._items:
            raise self._failure(FailureReason.MALFORMED, "a row stands outside the list")
        self._since_row = 0
        met = self._sieve.next()
        if isinstance(met, ReadRows):
            for row, self.digest in met.rows:
                yield row
        elif isinstance(met, list):
            self.digest = None
            yield met
        else:
            self.digest = met
            if (parsed := self._parsed(element)) is not None:
                yield parsed

    def _parsed(self, element: etree._Element) -> WireRow | wire.WireRowError | None:
        if element.get(_XSI_NIL) in {"true", "1"}:
            self.nil_items += 1
            return None
        unknown = self.unknown_elements
        before = unknown.total() if unknown else 0
        try:
            row: WireRow | wire.WireRowError = self._contract.read(element, unknown)
        except wire.WireRowError as fault:
            row = fault
        if unknown and unknown.total() != before:
            self.digest = None
        if len(unknown) > 1000:
            raise self._failure(FailureReason.MALFORMED, "the answer is full of unknown elements")
        return row

    def _drop(self, element: etree._Element) -> None:
        """Forget a row that has been handed out, and what stood between it and the one before."""
        element.clear()
        items = self._items
        while (before := element.getprevious()) is not None and items is not None:
            if before.tag != self._contract.item_tag:
                count_unknown(self.unknown_elements, wire.local_name(before.tag))
            items.remove(before)

    def _open(self, element: etree._Element, soap: str) -> None:
        if element.getparent() is not None:
            raise self._failure(FailureReason.MALFORMED, "an envelope stands inside the answer")
        if element.getroottree().docinfo.internalDTD is not None:
            raise self._failure(FailureReason.MALFORMED, "the answer carries a document type declaration")
        self._soap = soap

    def _open_items(self, element: etree._Element) -> None:
        if self._path(element) != self._expected_path() or self._items is not None:
            raise self._failure(FailureReason.MALFORMED, "the list stands in another place than it should")
        self._items = element

    def _settle(self, element: etree._Element) -> None:
        """Judge a closed result or fault."""
        if element.tag in self._faults:
            code = element.findtext("faultcode") or element.findtext(f"{{{self._soap}}}Code/{{{self._soap}}}Value")
            text = element.findtext("faultstring") or element.findtext(f"{{{self._soap}}}Reason/{{{self._soap}}}Text")
            raise fault_failure(self._operation, code, quoted(text, self._secret))
        if self._path(element) != self._expected_path()[1:]:
            raise self._failure(FailureReason.MALFORMED, "the result stands in another place than it should")
        for child in element:
            if child.tag not in wire.RESULT_ELEMENTS:
                count_unknown(self.unknown_elements, wire.local_name(child.tag))
        message = element.findtext(wire.RESULT_MESSAGE)
        failed = (element.findtext(wire.RESULT_FAILED) or "").strip()
        if failed in {"true", "1"}:
            raise in_band_failure(self._operation, quoted(message, self._secret))
        if failed not in {"false", "0"}:
            raise self._failure(FailureReason.MALFORMED, "the result does not say whether the call failed")
        if message and self._items is None:
            detail = f"success without a result: {quoted(message, self._secret)}"
            raise self._failure(FailureReason.CONTRADICTORY, detail)
        self._succeeded = True

    def _expected_path(self) -> list[str]:
        """Tags above the list, inside out."""
        return [
            self._result_tag,
            wire.response_tag(self._operation),
            f"{{{self._soap}}}Body",
            f"{{{self._soap}}}Envelope",
        ]

    @staticmethod
    def _path(element: etree._Element) -> list[str]:
        return [above.tag for above in element.iterancestors()]

    def _failure(self, reason: FailureReason, detail: str) -> DirectoryCallError:
        return DirectoryCallError(reason, self._operation, detail)
