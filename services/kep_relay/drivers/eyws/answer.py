"""A bounded reader of SOAP answers: a small tree of texts, with binaries decoded to disk on the way.

zeep reads no answers here, nor is a tree built of them: one binary of 40 MB inside the XML would be held several times over.
"""

from __future__ import annotations

import base64
import binascii
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import IO, Any
from urllib.parse import unquote

from lxml import etree

from services.kep_relay.drivers.eyws.failures import MalformedError, TruncatedError
from shared.errors import DomainError, ErrorCode

SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
_XSI_NIL = "{http://www.w3.org/2001/XMLSchema-instance}nil"
_XOP_INCLUDE = "{http://www.w3.org/2004/08/xop/include}Include"
_DEPTH = 32
_MOST_NODES = 300_000
_MOST_TEXT = 32 * 1024 * 1024
_PIECE = 64 * 1024
_IN_MEMORY = 1024 * 1024


def spool() -> IO[bytes]:
    """A temporary file that stays in memory while it is small."""
    return tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY)


@dataclass(slots=True)
class Node:
    """One element."""

    name: str
    """Local name."""
    namespace: str
    nil: bool = False
    text: str = ""
    children: list[Node] = field(default_factory=list)
    reference: str | None = None
    """Content-ID of the part that holds its binary."""
    blob: IO[bytes] | None = None
    """Its binary, when that stood in the XML itself."""

    def all(self, name: str) -> list[Node]:
        """Children of that local name, in order."""
        return [child for child in self.children if child.name == name]

    def one(self, name: str) -> Node | None:
        """The first child of that local name."""
        return next((child for child in self.children if child.name == name), None)

    def value(self, name: str) -> str | None:
        """The text of the first child of that name; None when it is absent or nil."""
        found = self.one(name)
        return None if found is None or found.nil else found.text

    def walk(self) -> Iterator[Node]:
        """This element and all below."""
        yield self
        for child in self.children:
            yield from child.walk()


class _Decoder:
    """Base64 of one element, strictly, into a spool of at most ``limit`` bytes."""

    def __init__(self, limit: int) -> None:
        self.blob = spool()
        self._limit = limit
        self._held = ""
        self._ended = False

    def feed(self, text: str) -> None:
        held = self._held + "".join(text.split())
        ready = len(held) - len(held) % 4
        self._write(held[:ready])
        self._held = held[ready:]

    def close(self) -> IO[bytes]:
        if self._held:
            raise TruncatedError("a binary in the answer ends too early")
        self.blob.seek(0)
        return self.blob

    def _write(self, text: str) -> None:
        if not text:
            return
        if self._ended:
            raise MalformedError("a binary in the answer goes on behind its end")
        self._ended = text.endswith("=")
        try:
            self.blob.write(base64.b64decode(text, validate=True))
        except (binascii.Error, ValueError) as error:
            raise MalformedError("a binary in the answer is not base64") from error
        if self.blob.tell() > self._limit:
            raise DomainError(ErrorCode.TOO_LARGE, f"the answer holds more than {self._limit} bytes")


class _Reader:
    def __init__(self, binary: frozenset[str], limit: int) -> None:
        self._binary = binary
        self._limit = limit
        self._stack: list[Node] = []
        self._pieces: list[list[str]] = []
        self._decoder: _Decoder | None = None
        self._nodes = self._text = 0
        self.root: Node | None = None
        self.blobs: list[IO[bytes]] = []

    def doctype(self, *_: object) -> None:
        """Called by the parser, as all below."""
        raise MalformedError("the answer carries a document type declaration")

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        """An element begins."""
        self._nodes += 1
        if self._nodes > _MOST_NODES or len(self._stack) >= _DEPTH:
            raise DomainError(ErrorCode.TOO_LARGE, "the answer has too many elements")
        if tag == _XOP_INCLUDE and self._stack:
            reference = attributes.get("href", "")
            if not reference.startswith("cid:"):
                raise MalformedError("a binary of the answer lies elsewhere")
            self._stack[-1].reference = unquote(reference[4:])
        namespace, _, name = tag.rpartition("}")
        node = Node(name, namespace[1:], nil=attributes.get(_XSI_NIL) in {"true", "1"})
        if self._stack:
            self._stack[-1].children.append(node)
        elif self.root is None:
            self.root = node
        self._stack.append(node)
        self._pieces.append([])
        if name in self._binary:
            self._decoder = _Decoder(self._limit)
            self.blobs.append(self._decoder.blob)

    def data(self, text: str) -> None:
        """Some text, never more than was fed at once."""
        if self._decoder is not None:
            self._decoder.feed(text)
            return
        self._text += len(text)
        if self._text > _MOST_TEXT:
            raise DomainError(ErrorCode.TOO_LARGE, "the answer holds too much text")
        self._pieces[-1].append(text)

    def end(self, _tag: str) -> None:
        """An element ends."""
        node = self._stack.pop()
        node.text = "".join(self._pieces.pop()).strip()
        if self._decoder is not None and node.name in self._binary:
            node.blob = self._decoder.close()
            self._decoder = None

    def close(self) -> None:
        """The document ends."""


def read_xml(pieces: Iterable[bytes], *, binary: frozenset[str], limit: int) -> tuple[Node, list[IO[bytes]]]:
    """The root element, and the spools that were made for the elements named in ``binary``.

    Raises ``TruncatedError``, ``MalformedError``, and TOO_LARGE beyond ``limit`` bytes of one binary or
    far more elements or text than any list has.
    """
    reader = _Reader(binary, limit)
    target: Any = reader  # without ``comment``: comments are removed
    parser = etree.XMLParser(
        target=target, resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, recover=False,
        remove_comments=True, remove_pis=True,
    )  # fmt: skip
    whole = False
    try:
        for piece in pieces:
            parser.feed(piece)
        whole = True
        parser.close()
    except etree.XMLSyntaxError as error:
        _close(reader.blobs)
        if whole:
            raise TruncatedError("the answer ends too early") from error
        raise MalformedError("the answer is not well-formed XML") from error
    except BaseException:
        _close(reader.blobs)
        raise
    assert reader.root is not None
    return reader.root, reader.blobs


def chunks(source: IO[bytes]) -> Iterator[bytes]:
    """The whole of a spool, from its start."""
    source.seek(0)
    read: Callable[[], bytes] = lambda: source.read(_PIECE)  # noqa: E731 - what iter() calls
    yield from iter(read, b"")


def _close(blobs: Iterable[IO[bytes]]) -> None:
    for blob in blobs:
        blob.close()
