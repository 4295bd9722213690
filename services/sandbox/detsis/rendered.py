"""Rendered answers on disk: a list of a quarter of a gigabyte is written once a day and then read from a file."""

from __future__ import annotations

import contextlib
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from tempfile import NamedTemporaryFile

BLOCK = 512 * 1024
"""Octets read and sent at once: small ones cost a change of thread each."""
_PLAIN, _PACKED = ".xml", ".xml.gz"


@dataclass(frozen=True)
class AnswerKey:
    """Everything an answer depends on. ``version`` is the register's."""

    operation: str
    soap: str
    parameters: str
    version: str

    @property
    def stem(self) -> str:
        """File name without its ending."""
        whole = f"{self.operation}|{self.soap}|{self.version}|{self.parameters}"
        return f"{self.operation}-{blake2b(whole.encode(), digest_size=12).hexdigest()}"


class RenderedAnswers:
    """The files of one directory, the longest unused ones dropped when they exceed ``limit`` octets together."""

    def __init__(self, directory: Path, limit: int) -> None:
        self._directory = directory
        self._limit = limit
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        for draft in directory.glob("*.draft"):
            draft.unlink(missing_ok=True)

    def blocks(self, key: AnswerKey, *, packed: bool) -> Iterator[bytes] | None:
        """The answer, in the wanted form, or None if it has not been kept in any."""
        wanted, other = (_PACKED, _PLAIN) if packed else (_PLAIN, _PACKED)
        if (kept := self._open(key, wanted)) is not None:
            return kept
        if (kept := self._open(key, other)) is None:
            return None
        return self.keeping(key, gzipped(kept) if packed else _unpacked(kept), packed=packed)

    def keeping(self, key: AnswerKey, blocks: Iterable[bytes], *, packed: bool) -> Iterator[bytes]:
        """Pass ``blocks`` on and keep them if they come to their end."""
        with NamedTemporaryFile(dir=self._directory, suffix=".draft", delete=False) as draft:
            path = Path(draft.name)
            try:
                for block in blocks:
                    draft.write(block)
                    yield block
            except BaseException:
                path.unlink(missing_ok=True)
                raise
        path.replace(self._directory / (key.stem + (_PACKED if packed else _PLAIN)))
        self._make_room()

    def forget(self, key: AnswerKey) -> None:
        """Drop an answer that turned out to be wrong."""
        for ending in (_PLAIN, _PACKED):
            (self._directory / (key.stem + ending)).unlink(missing_ok=True)

    def _open(self, key: AnswerKey, ending: str) -> Iterator[bytes] | None:
        path = self._directory / (key.stem + ending)
        try:
            file = path.open("rb")
        except FileNotFoundError:
            return None
        with contextlib.suppress(FileNotFoundError):
            path.touch()

        def read() -> Iterator[bytes]:
            with file:
                while block := file.read(BLOCK):
                    yield block

        return read()

    def _make_room(self) -> None:
        kept = []
        for path in self._directory.iterdir():
            with contextlib.suppress(FileNotFoundError):
                facts = path.stat()
                kept.append((facts.st_mtime_ns, facts.st_size, path))
        kept.sort(reverse=True)
        used = 0
        for _, size, path in kept:
            used += size
            if used > self._limit and path.suffix != ".draft":
                path.unlink(missing_ok=True)


def gzipped(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """The blocks as one gzip stream."""
    packer = zlib.compressobj(level=1, wbits=31)
    for block in blocks:
        if packed := packer.compress(block):
            yield packed
    yield packer.flush()


def _unpacked(blocks: Iterable[bytes]) -> Iterator[bytes]:
    unpacker = zlib.decompressobj(wbits=31)
    for block in blocks:
        if plain := unpacker.decompress(block):
            yield plain
    yield unpacker.flush()
