"""Blobs: named by their digest, complete or absent, and never believed without a check."""

from __future__ import annotations

import asyncio
import hashlib
import os
import stat
import threading
from collections.abc import AsyncIterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest
from obstore.store import LocalStore, MemoryStore

from shared.blobs import BlobStore, LocalBlobStore, ObjectBlobStore, open_blob_store
from shared.errors import DomainError, ErrorCode
from shared.files import CHUNK

CONTENT = bytes(range(256)) * 4096  # 1 MiB: several chunks
DIGEST = hashlib.sha256(CONTENT).hexdigest()
LIMIT = 2 * len(CONTENT)


@pytest.fixture(params=["directory", "objects-in-memory", "objects-in-directory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> BlobStore:
    if request.param == "directory":
        return LocalBlobStore(tmp_path / "blobs")
    if request.param == "objects-in-memory":
        return ObjectBlobStore(MemoryStore())
    return ObjectBlobStore(LocalStore(tmp_path / "objects", mkdir=True))


@pytest.fixture
def local(tmp_path: Path) -> LocalBlobStore:
    return LocalBlobStore(tmp_path / "blobs")


def files(directory: Path) -> list[Path]:
    return sorted(path for path in directory.rglob("*") if path.is_file())


async def pieces(content: bytes, size: int) -> AsyncIterator[bytes]:
    for offset in range(0, len(content), size):
        yield content[offset : offset + size]


async def collected(stream: AsyncIterator[bytes]) -> bytes:
    return b"".join([chunk async for chunk in stream])


async def code_of(awaitable: object) -> ErrorCode:
    with pytest.raises(DomainError) as caught:
        await awaitable  # type: ignore[misc]
    return caught.value.code


async def test_what_is_put_comes_back(store: BlobStore) -> None:
    reference = await store.put(CONTENT, limit=LIMIT)
    assert (reference.sha256, reference.size) == (DIGEST, len(CONTENT))
    assert await store.get(DIGEST, limit=LIMIT) == CONTENT
    assert await store.size(DIGEST) == len(CONTENT)
    assert await collected(store.stream(DIGEST)) == CONTENT


@pytest.mark.parametrize("size", [1000, CHUNK, CHUNK + 1, len(CONTENT)])
async def test_a_stream_is_stored_whatever_its_pieces(store: BlobStore, size: int) -> None:
    assert (await store.put(pieces(CONTENT, size), limit=LIMIT)).sha256 == DIGEST


async def test_an_empty_blob_is_a_blob(store: BlobStore) -> None:
    reference = await store.put(b"", limit=0)
    assert reference.size == 0
    assert await store.get(reference.sha256, limit=0) == b""


async def test_putting_twice_is_harmless(store: BlobStore) -> None:
    assert await store.put(CONTENT, limit=LIMIT) == await store.put(pieces(CONTENT, 999), limit=LIMIT)


async def test_the_same_content_put_from_many_sides_at_once(store: BlobStore) -> None:
    found = await asyncio.gather(*(store.put(pieces(CONTENT, 70_001), limit=LIMIT) for _ in range(8)))
    assert {reference.sha256 for reference in found} == {DIGEST}
    assert await store.get(DIGEST, limit=LIMIT) == CONTENT


async def test_limit_counts_bytes_not_pieces(store: BlobStore) -> None:
    assert (await store.put(pieces(CONTENT, 1000), limit=len(CONTENT))).sha256 == DIGEST
    assert await code_of(store.put(pieces(CONTENT, 1000), limit=len(CONTENT) - 1)) is ErrorCode.TOO_LARGE
    assert await code_of(store.put(CONTENT, limit=0)) is ErrorCode.TOO_LARGE
    assert await code_of(store.get(DIGEST, limit=len(CONTENT) - 1)) is ErrorCode.TOO_LARGE


@pytest.mark.parametrize(
    ("start", "end"),
    [(0, 1), (0, None), (10, 10), (CHUNK - 1, CHUNK + 1), (5, len(CONTENT) + 99), (len(CONTENT), None), (9, 3)],
)
async def test_ranges(store: BlobStore, start: int, end: int | None) -> None:
    await store.put(CONTENT, limit=LIMIT)
    assert await collected(store.stream(DIGEST, start=start, end=end)) == CONTENT[start:end]


async def test_an_unknown_digest_is_not_found(store: BlobStore) -> None:
    assert await store.size("0" * 64) is None
    assert await code_of(store.get("0" * 64, limit=1)) is ErrorCode.NOT_FOUND
    assert await code_of(collected(store.stream("0" * 64, start=0, end=10))) is ErrorCode.NOT_FOUND


@pytest.mark.parametrize("name", ["../../etc/passwd", "", "A" * 63, "g" * 64, f"{'0' * 63}/"])
async def test_only_a_digest_names_a_blob(store: BlobStore, name: str) -> None:
    with pytest.raises(ValueError, match="64 hex digits"):
        await collected(store.stream(name))


async def test_store_can_say_that_it_works(store: BlobStore) -> None:
    await store.check()


class SourceBrokeError(ConnectionResetError):
    """An OSError of the source, which is not the store's failure."""


async def broken(content: bytes) -> AsyncIterator[bytes]:
    yield content
    raise SourceBrokeError


async def test_a_source_that_breaks_off_leaves_nothing_and_keeps_its_error(store: BlobStore, tmp_path: Path) -> None:
    with pytest.raises(SourceBrokeError):
        await store.put(broken(CONTENT), limit=LIMIT)
    assert await store.size(DIGEST) is None
    assert not files(tmp_path)


async def test_a_refused_blob_leaves_nothing(local: LocalBlobStore, tmp_path: Path) -> None:
    assert await code_of(local.put(pieces(CONTENT, 1000), limit=500_000)) is ErrorCode.TOO_LARGE
    assert not files(tmp_path)


async def test_a_cancelled_put_leaves_nothing(local: LocalBlobStore, tmp_path: Path) -> None:
    waiting = asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        yield CONTENT
        waiting.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(local.put(endless(), limit=LIMIT))
    await waiting.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not files(tmp_path)


async def test_only_the_account_of_the_service_may_read_blobs(local: LocalBlobStore, tmp_path: Path) -> None:
    await local.put(CONTENT, limit=LIMIT)
    (file,) = files(tmp_path)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


@pytest.mark.parametrize("damage", ["changed", "cut"])
async def test_damage_is_found_and_mended_by_the_next_put(local: LocalBlobStore, tmp_path: Path, damage: str) -> None:
    await local.put(CONTENT, limit=LIMIT)
    (file,) = files(tmp_path)
    file.write_bytes(CONTENT[:-1] + b"!" if damage == "changed" else CONTENT[:-1])
    assert await code_of(local.get(DIGEST, limit=LIMIT)) is ErrorCode.DURABILITY_UNAVAILABLE
    await local.put(CONTENT, limit=LIMIT)
    assert await local.get(DIGEST, limit=LIMIT) == CONTENT


async def test_a_reader_keeps_its_bytes_while_the_blob_is_written_again(local: LocalBlobStore) -> None:
    await local.put(CONTENT, limit=LIMIT)
    stream = local.stream(DIGEST)
    first = await anext(stream)
    await local.put(CONTENT, limit=LIMIT)
    assert first + await collected(stream) == CONTENT


async def test_file_and_every_directory_of_its_name_are_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Watches the system call, which nothing short of a power cut would show otherwise."""
    synced: list[str] = []
    real = os.fsync

    def watched(descriptor: int) -> None:
        synced.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", watched)
    base = tmp_path / "a" / "b"
    for _ in range(2):  # the second time as well: whoever made the names may not have synced them yet
        synced.clear()
        await LocalBlobStore(base).put(CONTENT, limit=LIMIT)
        leaf = base / DIGEST[:2] / DIGEST[2:4]
        assert {str(leaf), str(leaf.parent), str(base)} <= set(synced)
        assert any(name.startswith(str(base / "incoming")) for name in synced)
        before_naming = [name for name in synced if name.startswith(f"{base / 'incoming'}/")]
        assert synced.index(before_naming[0]) < synced.index(str(leaf))


async def test_a_store_without_room_is_not_durable(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    store = LocalBlobStore(tmp_path / "file" / "blobs")
    for attempt in (store.put(b"x", limit=1), store.check(), store.free_bytes()):
        assert await code_of(attempt) is ErrorCode.DURABILITY_UNAVAILABLE


class Objects(BaseHTTPRequestHandler):
    """An S3 service that is out of order, or refuses the caller."""

    status = 503
    asked: ClassVar[list[str]] = []

    def do_PUT(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.asked.append(f"{self.command} {self.path} {self.headers.get('Authorization', '')}")
        self.send_response(self.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_arguments: object) -> None:
        pass


@pytest.mark.parametrize(("status", "requests"), [(503, 4), (403, 1)])
async def test_an_object_store_out_of_order_is_given_up_after_a_few_requests(
    monkeypatch: pytest.MonkeyPatch, status: int, requests: int
) -> None:
    handler = type("Handler", (Objects,), {"status": status, "asked": []})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        for name, value in {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.server_port}", "AWS_ALLOW_HTTP": "true",
            "AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "hush", "AWS_REGION": "tr",
        }.items():  # fmt: skip
            monkeypatch.setenv(name, value)
        store = open_blob_store("s3://letters/kep_relay")
        assert await code_of(store.put(b"letter", limit=10)) is ErrorCode.DURABILITY_UNAVAILABLE
        server.shutdown()
    digest = hashlib.sha256(b"letter").hexdigest()
    assert len(handler.asked) == requests
    assert handler.asked[0].startswith(f"PUT /letters/kep_relay/{digest} AWS4-HMAC-SHA256 Credential=key/")
    assert "hush" not in "".join(handler.asked)


async def test_free_room_of_a_directory_that_is_not_there_yet(tmp_path: Path) -> None:
    assert (await LocalBlobStore(tmp_path / "new").free_bytes() or 0) > 0
    assert await ObjectBlobStore(MemoryStore()).free_bytes() is None


def test_store_urls(tmp_path: Path) -> None:
    assert isinstance(open_blob_store(f"file://{tmp_path}"), LocalBlobStore)
    assert isinstance(open_blob_store(f"file://localhost{tmp_path}"), LocalBlobStore)
    for url in ("file://relative/path", "file://", "file:///", "/plain/path", "ftp://host/x", "memory:///"):
        with pytest.raises(ValueError, match="blob store"):
            open_blob_store(url)


async def test_percent_escapes_in_a_store_url(tmp_path: Path) -> None:
    await open_blob_store(f"file://{tmp_path}/with%20space").put(b"x", limit=1)
    assert (tmp_path / "with space").is_dir()
