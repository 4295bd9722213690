from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.requests import Request

from services.gateway.uploads import FieldPart, FilePart, receive_form
from shared.errors import DomainError, ErrorCode

PARTS: dict[str, FieldPart | FilePart] = {
    "message": FieldPart(1000, media_types=("application/json",)),
    "package": FilePart(1_000_000),
}
BOUNDARY = "kepgw-test-boundary"


def part(name: str, content: bytes, *, filename: str | None = None, media_type: str | None = None) -> bytes:
    disposition = f'form-data; name="{name}"' + (f'; filename="{filename}"' if filename is not None else "")
    type_line = f"Content-Type: {media_type}\r\n" if media_type else ""
    return f"--{BOUNDARY}\r\nContent-Disposition: {disposition}\r\n{type_line}\r\n".encode() + content + b"\r\n"


def form(*parts: bytes, end: bytes = f"--{BOUNDARY}--\r\n".encode()) -> bytes:
    return b"".join(parts) + end


def request(
    body: bytes, content_type: str = f"multipart/form-data; boundary={BOUNDARY}", chunk: int = 777, *, cut: bool = False
) -> Request:
    pieces = [body[at : at + chunk] for at in range(0, len(body), chunk)] or [b""]

    async def messages() -> AsyncIterator[dict[str, object]]:
        for number, piece in enumerate(pieces):
            yield {"type": "http.request", "body": piece, "more_body": cut or number < len(pieces) - 1}
        yield {"type": "http.disconnect"}

    stream = messages()
    receive: Callable[[], Awaitable[dict[str, object]]] = stream.__anext__
    scope = {"type": "http", "method": "POST", "path": "/", "headers": [(b"content-type", content_type.encode())]}
    return Request(scope, receive)  # type: ignore[arg-type]


async def refused(body: bytes, spool: Path, **options: object) -> DomainError:
    with pytest.raises(DomainError) as caught:
        async with receive_form(request(body, **options), PARTS, spool):  # type: ignore[arg-type]
            pytest.fail("the form was taken")
    assert list(spool.iterdir()) == []
    return caught.value


def good(content: bytes = b"PK...") -> bytes:
    return form(part("message", b"{}", media_type="application/json"), part("package", content, filename="a.eyp"))


async def test_a_form_arrives_with_digest_and_size_whatever_the_pieces(tmp_path: Path) -> None:
    content = bytes(range(256)) * 3000
    for chunk in (1 + len(BOUNDARY), 65536, 10_000_000):
        async with receive_form(request(good(content), chunk=chunk), PARTS, tmp_path) as received:
            package = received.files["package"]
            assert (package.size, package.sha256) == (len(content), hashlib.sha256(content).hexdigest())
            assert b"".join([piece async for piece in package.chunks()]) == content
            assert package.filename == "a.eyp"
            assert received.fields == {"message": b"{}"}
    assert list(tmp_path.iterdir()) == []


async def test_content_that_looks_like_a_boundary_stays_content(tmp_path: Path) -> None:
    content = f"\r\n--{BOUNDARY[:-1]}\r\n--\r\n\r\n-".encode() * 50
    async with receive_form(request(good(content), chunk=7), PARTS, tmp_path) as received:
        assert b"".join([piece async for piece in received.files["package"].chunks()]) == content


@pytest.mark.parametrize("missing", range(1, 60, 7))
async def test_a_form_that_ends_early_is_truncated(missing: int, tmp_path: Path) -> None:
    error = await refused(good()[: -missing - 4], tmp_path)
    assert error.code is ErrorCode.UPLOAD_TRUNCATED
    assert error.retryable


async def test_a_connection_that_ends_early_is_truncated(tmp_path: Path) -> None:
    assert (await refused(good(b"x" * 5000)[:3000], tmp_path, cut=True)).code is ErrorCode.UPLOAD_TRUNCATED


async def test_missing_unknown_and_repeated_parts_are_named(tmp_path: Path) -> None:
    message = part("message", b"{}")
    error = await refused(form(message), tmp_path)
    assert (error.code, error.faults[0].pointer) == (ErrorCode.VALIDATION_FAILED, "/package")
    error = await refused(form(message, part("extra", b"")), tmp_path)
    assert (error.code, error.faults[0].pointer) == (ErrorCode.VALIDATION_FAILED, "/extra")
    error = await refused(form(message, message), tmp_path)
    assert (error.code, error.faults[0].pointer) == (ErrorCode.VALIDATION_FAILED, "/message")


async def test_limits_hold_for_fields_and_files(tmp_path: Path) -> None:
    error = await refused(form(part("message", b" " * 1001)), tmp_path)
    assert (error.code, error.faults[0].pointer) == (ErrorCode.TOO_LARGE, "/message")
    error = await refused(good(b"x" * 1_000_001), tmp_path)
    assert (error.code, error.faults[0].pointer) == (ErrorCode.TOO_LARGE, "/package")


@pytest.mark.parametrize(
    ("content_type", "code"),
    [
        ("application/json", ErrorCode.UNSUPPORTED_MEDIA_TYPE),
        ("", ErrorCode.UNSUPPORTED_MEDIA_TYPE),
        ("multipart/mixed; boundary=x", ErrorCode.UNSUPPORTED_MEDIA_TYPE),
        ("multipart/form-data", ErrorCode.MALFORMED_REQUEST),
        (f"multipart/form-data; boundary={'x' * 71}", ErrorCode.MALFORMED_REQUEST),
        ("multipart/form-data; boundary=other", ErrorCode.MALFORMED_REQUEST),
    ],
)
async def test_other_content_types_are_refused(content_type: str, code: ErrorCode, tmp_path: Path) -> None:
    assert (await refused(good(), tmp_path, content_type=content_type)).code is code


async def test_a_field_of_another_type_is_refused(tmp_path: Path) -> None:
    body = form(part("message", b"<x/>", media_type="application/xml"))
    assert (await refused(body, tmp_path)).code is ErrorCode.UNSUPPORTED_MEDIA_TYPE


@pytest.mark.parametrize(
    ("given_name", "kept"),
    [("../../etc/passwd", "passwd"), ("C:\\x\\yazı.eyp", "yazı.eyp"), ("a\x07b.eyp", "ab.eyp"), ("x" * 999, "x" * 200)],
)
async def test_file_names_lose_paths_and_control_characters(given_name: str, kept: str, tmp_path: Path) -> None:
    body = form(part("message", b"{}"), part("package", b"PK", filename=given_name.replace("\\", "\\\\")))
    async with receive_form(request(body), PARTS, tmp_path) as received:
        assert received.files["package"].filename == kept


async def test_no_room_is_a_durability_problem(tmp_path: Path) -> None:
    with pytest.raises(DomainError) as caught:
        async with receive_form(request(good()), PARTS, tmp_path / "gone"):
            pytest.fail("the form was taken")
    assert caught.value.code is ErrorCode.DURABILITY_UNAVAILABLE


@settings(max_examples=60, deadline=None)
@given(body=st.binary(max_size=600), chunk=st.integers(1, 64), damage=st.integers(0, 300), mix=st.booleans())
async def test_any_bytes_end_in_a_form_or_a_documented_refusal(
    body: bytes, chunk: int, damage: int, mix: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Whatever comes, nothing but ``DomainError`` comes out."""
    sent = good()[:damage] + body + good()[damage:] if mix else body
    refusal: ErrorCode | None = None
    try:
        async with receive_form(request(sent, chunk=chunk), PARTS, tmp_path_factory.getbasetemp()) as received:
            assert set(received.files) == {"package"}
    except DomainError as error:
        refusal = error.code
    assert refusal in {
        None, ErrorCode.UPLOAD_TRUNCATED, ErrorCode.MALFORMED_REQUEST, ErrorCode.VALIDATION_FAILED,
        ErrorCode.TOO_LARGE, ErrorCode.UNSUPPORTED_MEDIA_TYPE,
    }  # fmt: skip
