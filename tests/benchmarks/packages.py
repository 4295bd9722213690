"""Opening and judging a package (layout, rules, digests), beside inflating and hashing the same bytes.

The reference reads every part once, in chunks, and takes the digests the codec takes: the two that the
package's manifests ask for, and SHA-256, which the answer names for every part. A second one takes the
two alone. CPU time, one process. Memory is that of a fresh process above what it held after a small
package.
"""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

from shared.eyp import STRICT, Annex, AnnexKind, PackageDraft, inspect
from tests.benchmarks.figure import Figure
from tests.unit.eyp import letters, wrappers

MEGABYTE = 1024 * 1024
BIG, SMALL = 25 * MEGABYTE, 100_000
_ROUNDS, _REPEATS = 3, 5
_MANY = 300
_ASKED_FOR = ("sha384", "sha512")
_TAKEN = ("sha256", *_ASKED_FOR)
_CHUNK = 256 * 1024
_WATCHED = """
import io, re, sys
from shared.eyp import inspect
def memory(name):
    with open("/proc/self/status", encoding="ascii") as status:
        return int(re.search(name + r":\\s+(\\d+) kB", status.read())[1])
small, big = sys.argv[1:]
with open(small, "rb") as file:
    inspect(file)
idle = memory("VmRSS")
with open(big, "rb") as file:
    assert inspect(file).acceptable
print(memory("VmHWM") - idle)
"""


async def run() -> list[Figure]:
    """Time for a big package, memory for it, and how many small ones go through."""
    big, small = _package(BIG, annexes=4), _package(SMALL, annexes=1)
    nested = wrappers.update(wrappers.update(big))
    own, other, less = _times(big, _ROUNDS)
    many, reference, _ = _times(small, _MANY)
    return [
        Figure(
            "package of 25 MB opened and judged",
            f"{own * 1000:.0f} ms CPU",
            f"{other * 1000:.0f} ms inflate and hashlib",
            f"{own / other:.2f}",
        ),
        Figure("the same", f"{own * 1000:.0f} ms CPU", f"{less * 1000:.0f} ms without SHA-256", f"{own / less:.2f}"),
        Figure("memory for it, fresh process above idle", f"{_peak(small, big) / 1024:.1f} MiB"),
        Figure("memory for an update of an update of it", f"{_peak(small, nested) / 1024:.1f} MiB"),
        Figure(
            "packages of 100 KB opened and judged, one process",
            f"{1 / many:.0f}/s",
            f"{1 / reference:.0f}/s inflate and hashlib",
            f"{reference / many:.2f}",
        ),
    ]


def _package(size: int, annexes: int) -> bytes:
    """A finished 2.0 package whose files do not compress, as PDFs do not."""
    share = size // (annexes + 1)
    listed = tuple(
        Annex(f"11111111-2222-4333-8444-{number:012X}", AnnexKind.FILE, number, f"ek{number}.pdf", "application/pdf")
        for number in range(1, annexes + 1)
    )
    draft = PackageDraft.create(
        letters.letter(annexes=listed),
        cover_letter=b"%PDF-1.7\n" + os.urandom(share),
        annex_files={annex.id: os.urandom(share) for annex in listed},
    )
    return letters.finish(draft).to_bytes()


def _times(content: bytes, rounds: int) -> tuple[float, float, float]:
    """Seconds of CPU for one package and for its two references: the best of turns taken one after the other."""
    turns = [
        (
            _seconds(lambda: _judge(content), rounds),
            _seconds(lambda: _inflate_and_hash(content, _TAKEN), rounds),
            _seconds(lambda: _inflate_and_hash(content, _ASKED_FOR), rounds),
        )
        for _ in range(_REPEATS)
    ]
    own, other, less = map(min, zip(*turns, strict=True))
    return own, other, less


def _seconds(work: Callable[[], None], rounds: int) -> float:
    work()
    started = time.process_time()
    for _ in range(rounds):
        work()
    return (time.process_time() - started) / rounds


def _judge(content: bytes) -> None:
    if inspect(io.BytesIO(content), profile=STRICT).findings:
        raise SystemExit("a package of ours has findings")


def _inflate_and_hash(content: bytes, digests: tuple[str, ...]) -> None:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        for item in archive.infolist():
            running = [hashlib.new(name) for name in digests]
            with archive.open(item) as stream:
                while chunk := stream.read(_CHUNK):
                    for state in running:
                        state.update(chunk)
            for state in running:
                state.digest()


def _peak(small: bytes, big: bytes) -> int:
    """KiB a process needs for the big package at its worst moment, above what it held before."""
    with tempfile.TemporaryDirectory(prefix="kepgw-bench-") as directory:
        files = Path(directory, "small.eyp"), Path(directory, "big.eyp")
        for file, content in zip(files, (small, big), strict=True):
            file.write_bytes(content)
        done = subprocess.run(
            [sys.executable, "-c", _WATCHED, *map(str, files)], check=True, capture_output=True, text=True
        )
    return int(done.stdout)
