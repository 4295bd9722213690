"""The composed message: byte-exact, verifiable by others, discreet."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import tracemalloc
from collections.abc import AsyncIterable, AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from email import message_from_bytes, policy
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7
from hypothesis import given
from hypothesis import strategies as st

from services.kep_relay.outbound import wire
from services.kep_relay.outbound.compose import (
    MAX_SUBJECT,
    Letter,
    closing,
    compose,
    headers,
    printable_subject,
)
from services.kep_relay.outbound.content import package_filename, signed_part, size_limit
from shared.blobs import LocalBlobStore
from shared.domain.identifiers import KepAddress
from shared.errors import DomainError, ErrorCode
from tests.support.pki import build_pki

LETTER = Letter(
    sender=KepAddress("kurum.a@hs98.kep.tr"),
    recipient=KepAddress("kurum.b@hs99.kep.tr"),
    subject="Şube müdürlüğü görüş yazısı İĞÜŞÖÇ ığüşöç",
    date=datetime(2026, 11, 20, 21, 30, tzinfo=UTC),
    message_id_header="<0190a1b2-0000-7000-8000-000000000001@hs98.kep.tr>",
    rem_id="0190a1b2-0000-7000-8000-000000000001",
    filename="A1B2.eyp",
)
PACKAGE = b"PK\x03\x04" + bytes(range(256)) * 40 + b"\r\n.\r\n"


async def chunks(content: bytes, size: int = 1000) -> AsyncIterator[bytes]:
    for start in range(0, len(content), size):
        yield content[start : start + size]


async def gathered(content: AsyncIterable[bytes]) -> bytes:
    return b"".join([chunk async for chunk in content])


async def composed(letter: Letter, tmp_path: Path, *, signature: bytes = b"sig") -> tuple[bytes, bytes]:
    """The message and the bytes that were given to be signed."""
    signed = bytearray()

    async def sign(content: AsyncIterable[bytes]) -> bytes:
        async for chunk in content:
            signed.extend(chunk)
        return signature

    store = LocalBlobStore(tmp_path)
    stored = await compose(letter, chunks(PACKAGE), sign=sign, blobs=store, limit=size_limit(len(PACKAGE)))
    return await store.get(stored.sha256, limit=10_000_000), bytes(signed)


async def test_the_signature_covers_exactly_what_is_sent(tmp_path: Path) -> None:
    raw, signed = await composed(LETTER, tmp_path)
    boundary = message_from_bytes(raw).get_boundary().encode()
    top, first, last, end = raw.split(b"--" + boundary)
    assert first == b"\r\n" + signed + b"\r\n"  # RFC 2046: the CRLF before a boundary belongs to it
    assert top == headers(LETTER).removesuffix(b"--" + boundary + b"\r\n")
    assert b"smime.p7s" in last
    assert end == b"--\r\n"
    assert raw == headers(LETTER) + signed + closing(LETTER, b"sig")


async def test_the_structure_and_headers(tmp_path: Path) -> None:
    raw, _signed = await composed(LETTER, tmp_path)
    message = message_from_bytes(raw, policy=policy.default)
    assert not message.defects
    assert message["From"] == "<kurum.a@hs98.kep.tr>" or message["From"] == "kurum.a@hs98.kep.tr"
    assert message["To"].addresses[0].addr_spec == "kurum.b@hs99.kep.tr"
    assert message["Subject"] == LETTER.subject
    assert message["Date"] == "Sat, 21 Nov 2026 00:30:00 +0300"
    assert message["Message-ID"] == LETTER.message_id_header
    assert message["MIME-Version"] == "1.0"
    assert message["X-TR-REM-iletiTip"] == "eYazisma"
    assert message["X-TR-REM-iletiID"] == LETTER.rem_id
    assert message.get_content_type() == "multipart/signed"
    assert message["Content-Type"].params["protocol"] == "application/x-pkcs7-signature"
    assert message["Content-Type"].params["micalg"] == "sha-256"
    content, signature = message.iter_parts()
    assert content.get_content_type() == "multipart/mixed"
    text, package = content.iter_parts()
    assert text.get_content() == wire.BODY.removesuffix("\r\n")
    assert package.get_content_type() == "application/eyazisma"
    assert package.get_filename() == "A1B2.eyp"
    assert package.get_content() == PACKAGE
    assert signature.get_content_type() == "application/x-pkcs7-signature"
    assert signature.get_content() == b"sig"


async def test_every_line_is_short_ascii_and_ended_by_crlf(tmp_path: Path) -> None:
    raw, _signed = await composed(LETTER, tmp_path)
    raw.decode("ascii")
    assert raw.count(b"\n") == raw.count(b"\r") == raw.count(b"\r\n")
    assert raw.endswith(b"\r\n")
    assert max(len(line) for line in raw.split(b"\r\n")) <= 78


async def test_the_same_letter_gives_the_same_bytes_however_the_package_is_cut(tmp_path: Path) -> None:
    whole = await gathered(signed_part(LETTER.filename, chunks(PACKAGE, 10**6)))
    for size in (1, 56, 57, 58, 1000):
        assert await gathered(signed_part(LETTER.filename, chunks(PACKAGE, size))) == whole


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
async def test_openssl_accepts_the_signature_and_refuses_a_changed_byte(tmp_path: Path) -> None:
    holder = build_pki().signer
    (tmp_path / "signer.pem").write_bytes(holder.pem)

    async def sign(content: AsyncIterable[bytes]) -> bytes:
        builder = pkcs7.PKCS7SignatureBuilder().set_data(await gathered(content))
        builder = builder.add_signer(holder.certificate, holder.key, hashes.SHA256())
        options = [pkcs7.PKCS7Options.DetachedSignature, pkcs7.PKCS7Options.Binary]
        return builder.sign(Encoding.DER, options)

    store = LocalBlobStore(tmp_path / "blobs")
    stored = await compose(LETTER, chunks(PACKAGE), sign=sign, blobs=store, limit=size_limit(len(PACKAGE)))
    raw = await store.get(stored.sha256, limit=10_000_000)

    def verify(content: bytes) -> int:
        (tmp_path / "mail.eml").write_bytes(content)
        command = ["openssl", "smime", "-verify", "-noverify", "-in", "mail.eml", "-out", "content.txt"]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, check=False).returncode

    assert verify(raw) == 0
    position = raw.index(b"UEsD")
    assert verify(raw[:position] + b"UEsE" + raw[position + 4 :]) != 0


async def test_a_withheld_subject_leaves_no_trace(tmp_path: Path) -> None:
    raw, _signed = await composed(replace(LETTER, subject=None), tmp_path)
    assert message_from_bytes(raw, policy=policy.default)["Subject"] == wire.NEUTRAL_SUBJECT


@pytest.mark.parametrize(
    "subject",
    [
        "a\r\nBcc: evil@example.com",
        "a\x00\x1b[31mb",
        "\u202eevil",
        "=?utf-8?q?spoof?=",
        "x" * 5000,
        "\ud800",
        " ",
        "ş" * 300,
    ],
)
async def test_a_subject_cannot_break_the_headers(subject: str, tmp_path: Path) -> None:
    raw, _signed = await composed(replace(LETTER, subject=subject), tmp_path)
    message = message_from_bytes(raw, policy=policy.default)
    assert message["Bcc"] is None
    assert message["X-TR-REM-iletiID"] == LETTER.rem_id
    shown = message["Subject"]
    assert 0 < len(shown) <= MAX_SUBJECT
    assert shown == (printable_subject(subject) or wire.NEUTRAL_SUBJECT)
    assert len(list(message.keys())) == 9


@given(st.text(max_size=400))
def test_a_printable_subject_is_one_short_line(subject: str) -> None:
    shown = printable_subject(subject)
    assert len(shown) <= MAX_SUBJECT
    assert shown == shown.strip()
    assert "\n" not in shown
    assert "\r" not in shown
    head = headers(replace(LETTER, subject=subject))
    assert head.count(b"\r\n\r\n") == 1
    assert max(len(line) for line in head.split(b"\r\n")) <= 998


@pytest.mark.parametrize(
    ("document_id", "given_name", "expected"),
    [
        ("A1B2-C3", "x.eyp", "A1B2-C3.eyp"),
        ("A1B2", "X.EYPS", "A1B2.eyps"),
        (None, "evrak.eypg", "fallback.eypg"),
        ('../../a"b\r\n', "x.exe", "a-b.eyp"),
        ("ığüş", "x", "fallback.eyp"),
        ("x" * 500, "a.eyp", "x" * 100 + ".eyp"),
    ],
)
def test_package_filename(document_id, given_name, expected) -> None:
    assert package_filename(document_id, given_name, fallback="fallback") == expected


async def test_a_failing_signer_stores_nothing(tmp_path: Path) -> None:
    async def sign(_content: AsyncIterable[bytes]) -> bytes:
        raise DomainError(ErrorCode.SIGNER_UNAVAILABLE, "no answer")

    with pytest.raises(DomainError):
        await compose(LETTER, chunks(PACKAGE), sign=sign, blobs=LocalBlobStore(tmp_path), limit=10**6)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


async def test_a_large_package_does_not_fill_the_memory(tmp_path: Path) -> None:
    size = 20 * 1024 * 1024

    async def package() -> AsyncIterator[bytes]:
        piece = bytes(range(256)) * 1024
        for _ in range(size // len(piece)):
            yield piece
            await asyncio.sleep(0)

    async def sign(content: AsyncIterable[bytes]) -> bytes:
        async for _chunk in content:
            pass
        return b"sig"

    tracemalloc.start()
    try:
        stored = await compose(LETTER, package(), sign=sign, blobs=LocalBlobStore(tmp_path), limit=size_limit(size))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert stored.size > size * 4 // 3
    assert peak < 8 * 1024 * 1024
