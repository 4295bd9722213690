"""Long answers on disk: the same bytes, from a file, and never those of another day."""

from __future__ import annotations

import gzip
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.sandbox.detsis.rendered import AnswerKey, RenderedAnswers, gzipped
from services.sandbox.detsis.units import Unit
from tests.unit.sandbox_detsis.service import A, B, Service

KEY = AnswerKey("Liste", "soap", "since=1", "v1")
OTHER = AnswerKey("Liste", "soap", "since=2", "v1")


def files(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


@pytest.fixture
def kept(tmp_path: Path) -> RenderedAnswers:
    return RenderedAnswers(tmp_path, 10_000_000)


def test_an_answer_that_came_to_its_end_is_kept(kept: RenderedAnswers, tmp_path: Path) -> None:
    assert kept.blocks(KEY, packed=False) is None
    assert b"".join(kept.keeping(KEY, [b"one ", b"two"], packed=False)) == b"one two"
    again = kept.blocks(KEY, packed=False)
    assert again is not None
    assert b"".join(again) == b"one two"
    assert kept.blocks(OTHER, packed=False) is None
    assert len(files(tmp_path)) == 1


def test_one_that_was_broken_off_is_not(kept: RenderedAnswers, tmp_path: Path) -> None:
    def broken() -> Iterator[bytes]:
        yield b"one "
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        list(kept.keeping(KEY, broken(), packed=False))
    unread = kept.keeping(KEY, [b"one ", b"two"], packed=False)
    next(unread)
    del unread
    assert kept.blocks(KEY, packed=False) is None
    assert files(tmp_path) == []


@pytest.mark.parametrize("packed", [False, True])
def test_the_other_form_is_made_from_the_one_at_hand(kept: RenderedAnswers, tmp_path: Path, packed: bool) -> None:
    plain = [b"a" * 700_000, b"b" * 700_000]
    for _ in kept.keeping(KEY, gzipped(plain) if packed else plain, packed=packed):
        pass
    other = kept.blocks(KEY, packed=not packed)
    assert other is not None
    received = b"".join(other)
    assert (received if packed else gzip.decompress(received)) == b"".join(plain)
    assert [Path(name).suffix for name in files(tmp_path)] == [".xml", ".gz"]


def test_the_longest_unused_go_first(tmp_path: Path) -> None:
    kept = RenderedAnswers(tmp_path, 2500)
    keys = [AnswerKey("Liste", "soap", str(place), "v") for place in range(3)]
    for place, key in enumerate(keys):
        for _ in kept.keeping(key, [b"x" * 1000], packed=False):
            pass
        for path in tmp_path.iterdir():
            os.utime(path, (path.stat().st_atime, path.stat().st_mtime - 60))
        if place == 1:
            used = kept.blocks(keys[0], packed=False)
            assert used is not None
            assert sum(map(len, used)) == 1000
    assert [kept.blocks(key, packed=False) is not None for key in keys] == [True, False, True]


def test_drafts_of_a_killed_run_are_removed(tmp_path: Path) -> None:
    (tmp_path / "x.draft").write_bytes(b"half")
    RenderedAnswers(tmp_path, 1000)
    assert files(tmp_path) == []


async def test_a_kept_list_is_read_and_not_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    service = Service(rendered=RenderedAnswers(tmp_path, 10_000_000))
    fresh = await Service().external()
    first = await service.external()
    assert first.content == fresh.content
    (kept,) = files(tmp_path)
    assert (tmp_path / kept).read_bytes() == first.content

    def fail(_: int) -> Unit:
        raise AssertionError("made again")

    monkeypatch.setattr(service.register, "at", fail)
    assert (await service.external()).content == first.content
    packed = await service.external(encoding="gzip")
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.content == first.content


async def test_what_an_answer_depends_on_makes_another_file(tmp_path: Path) -> None:
    service = Service(rendered=RenderedAnswers(tmp_path, 10_000_000), daily_share=0.01)
    seen: set[str] = set()

    async def new(operation: str = "KendiTumBirimleriGetirWs", **arguments: object) -> bool:
        await service.ask(operation, **arguments)  # type: ignore[arg-type]
        before = len(seen)
        seen.update(files(tmp_path))
        return len(seen) > before

    assert await new()
    assert not await new()
    assert await new(institution=B)
    assert await new(degisiklikTarihiBaslangic="2026-03-02T00:00:00")
    assert await new("SertifikalariGetir")
    assert not await new("SertifikalariGetir", institution=B)
    service.calendar.advance(1)
    assert await new()
    service.register.set_active(A, active=False)
    assert await new()
    assert "False" in (await service.ask("KendiTumBirimleriGetirWs")).values("KurumBirimWS", "Aktifmi")
    assert not await new("DETSISNoKurumBirimWs", DETSISNo=A)


async def test_disturbed_answers_are_neither_kept_nor_read_from_disk(tmp_path: Path) -> None:
    service = Service(rendered=RenderedAnswers(tmp_path, 10_000_000))
    service.order("empty_list", count=1)
    assert (await service.external()).numbers() == []
    assert files(tmp_path) == []
    whole = await service.external()
    service.order("truncate", count=1)
    assert len((await service.external()).content) == len(whole.content) // 2
    assert (await service.external()).content == whole.content


async def test_an_answer_during_which_the_register_changed_is_not_kept(tmp_path: Path) -> None:
    service = Service(rendered=RenderedAnswers(tmp_path, 10_000_000))
    at = service.register.at

    def changing(index: int) -> Unit:
        if index == 100:
            service.register.set_active(A, active=False)
        return at(index)

    service.register.at = changing  # type: ignore[method-assign]
    await service.external()
    assert files(tmp_path) == []
