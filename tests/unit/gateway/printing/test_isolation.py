"""The process that makes a print: what it cannot do to anybody, and what is said about it."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from services.gateway.printing.isolation import PrintLimits, PrintWorkers
from services.gateway.printing.orders import AnnexFile, Label, Obstacle, PrintOrder, PrintReport, UnprintableError
from shared.errors import DomainError, ErrorCode
from tests.unit.gateway.printing import pdfs


async def made(
    directory: Path, letter: bytes, *annexes: bytes, order: PrintOrder | None = None, **limits: int
) -> tuple[bytes, PrintReport]:
    spool = directory / "spool"
    spool.mkdir(exist_ok=True)
    workers = PrintWorkers(PrintLimits(**limits), spool)
    path = directory / "files"
    path.write_bytes(b"".join((letter, *annexes)))
    try:
        with path.open("rb") as files:
            return await workers.make(order or PrintOrder(), files, [*map(len, (letter, *annexes))])
    finally:
        assert list(spool.iterdir()) == []


async def test_more_annexes_than_files_may_be_open(tmp_path: Path) -> None:
    """Neither gateway nor the process that makes the print opens one for each."""
    order = PrintOrder(annexes=[AnnexFile(name=f"{number}.zip") for number in range(2000)])
    _, report = await made(tmp_path, pdfs.letter(), *([b"PK"] * 2000), order=order)
    assert len(report.left_out) == 2000


async def test_a_print_comes_back_with_its_report(tmp_path: Path) -> None:
    order = PrintOrder(label=Label(body="Örnek", register_no="1"), annexes=[AnnexFile(name="a.txt")])
    printed, report = await made(tmp_path, pdfs.letter(), "şu".encode(), order=order)
    assert printed.startswith(b"%PDF-")
    assert (report.pages, report.left_out) == (2, [])


@pytest.mark.parametrize(
    ("letter", "limits", "obstacles"),
    [
        (pdfs.endless(), {"seconds": 2}, {Obstacle.TOO_SLOW}),
        (pdfs.letter(), {"seconds": 0.001}, {Obstacle.TOO_SLOW}),
        (pdfs.letter(), {"output_bytes": 1000}, {Obstacle.TOO_LARGE}),
        (pdfs.letter(), {"memory_bytes": 60_000_000}, {Obstacle.TOO_LARGE, Obstacle.BROKEN}),
        (pdfs.many_pages(10_000), {}, {Obstacle.TOO_MANY_PAGES}),
        (b"%PDF-1.7 broken", {}, {Obstacle.BROKEN}),
    ],
    ids=["endless", "out of time", "large print", "little memory", "10,000 pages", "broken"],
)
async def test_what_a_file_may_do(tmp_path: Path, letter: bytes, limits: dict[str, int], obstacles: set[str]) -> None:
    with pytest.raises(UnprintableError) as caught:
        await made(tmp_path, letter, **limits)
    assert caught.value.obstacle in obstacles


async def test_a_huge_image_ends_within_the_limits(tmp_path: Path) -> None:
    """pdfium may draw what there is of it; more than the print may take it does not get."""
    answers = await asyncio.gather(made(tmp_path, pdfs.huge_image(), seconds=20), return_exceptions=True)
    assert isinstance(answers[0], (tuple, UnprintableError))


async def test_a_print_nobody_waits_for_any_more_is_ended(tmp_path: Path) -> None:
    task = asyncio.create_task(made(tmp_path, pdfs.endless(), seconds=60))
    while not (started := _children()):
        await asyncio.sleep(0.02)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not _children() & started


async def test_too_many_at_once_are_sent_away(tmp_path: Path) -> None:
    workers = PrintWorkers(PrintLimits(at_once=1), tmp_path)
    path = tmp_path / "letter"
    path.write_bytes(pdfs.letter())
    with path.open("rb") as files:
        prints = [workers.make(PrintOrder(), files, [path.stat().st_size]) for _ in range(8)]
        answers = await asyncio.gather(*prints, return_exceptions=True)
    refused = [answer for answer in answers if isinstance(answer, DomainError)]
    assert {error.code for error in refused} == {ErrorCode.SERVICE_UNAVAILABLE}
    assert len(refused) == 3
    assert sum(isinstance(answer, tuple) for answer in answers) == 5


async def test_the_process_sees_nothing_of_our_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEPGW_DATABASE_URL", "postgresql://secret")
    task = asyncio.create_task(made(tmp_path, pdfs.endless(), seconds=3))
    while not (started := _children()):
        await asyncio.sleep(0.02)
    environments = [_read(Path(f"/proc/{number}/environ")) for number in started]
    with pytest.raises(UnprintableError):
        await task
    assert environments
    assert not any(b"KEPGW" in text for text in environments)


def _children() -> set[int]:
    """Processes that make prints for this one."""
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        if b"printing.worker" in _read(process / "cmdline"):
            fields = _read(process / "stat").rpartition(b")")[2].split()
            if fields and int(fields[1]) == os.getpid() and fields[0] != b"Z":
                found.add(int(process.name))
    return found


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
