"""Client of signer."""

from __future__ import annotations

import asyncio
import base64
import tempfile
from collections.abc import AsyncIterable, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO, TypeAlias

from pydantic import SecretStr, TypeAdapter, ValidationError

from shared.contracts.envelopes import EnvelopeFacts, EnvelopeRefusal, EnvelopeRequest
from shared.contracts.signatures import (
    CertificatePurpose,
    CertificateVerificationReport,
    CertificateVerificationRequest,
    SignatureUpgradeRequest,
    SigningKey,
    SigningPurpose,
    VerificationReport,
    VerificationRequest,
)
from shared.errors import DomainError, ErrorCode
from shared.http import ServiceClient

Material: TypeAlias = bytes | Path | IO[bytes] | AsyncIterable[bytes]
"""Bytes in whatever form they are at hand; a file object is read from where it stands and not closed."""

_SPOOLED_IN_MEMORY = 1024 * 1024
_KEYS = TypeAdapter(list[SigningKey])


class SignerClient:
    """Asks signer. Every method raises ``DomainError``; SIGNER_UNAVAILABLE when it cannot be reached."""

    def __init__(self, base_url: str, token: SecretStr) -> None:
        self._service = ServiceClient(
            base_url, token=token, unavailable=ErrorCode.SIGNER_UNAVAILABLE, timeout_seconds=60
        )

    async def aclose(self) -> None:
        """Close the connections."""
        await self._service.aclose()

    async def timestamp(self, content: bytes) -> bytes:
        """A time-stamp (RFC 3161 token, DER) over ``content``; NOT_FOUND when signer has no authority to ask."""
        answer = await self._service.call("POST", "/timestamps", content=content, headers=_OCTETS)
        return answer.content

    async def verify(
        self, request: VerificationRequest, file: Material, content: Material | None = None
    ) -> VerificationReport:
        """Judge every signature in ``file``.

        ``content`` is what a detached signature covers, or what an attached one must contain. A
        signature that does not hold is an answer, not an exception: look at ``conclusion``.
        """
        opened: list[IO[bytes]] = []
        try:
            parts = {"file": ("file", await _sendable(file, opened), "application/octet-stream")}
            if content is not None:
                parts["content"] = ("content", await _sendable(content, opened), "application/octet-stream")
            return await self._service.json(
                VerificationReport,
                "POST",
                "/verifications",
                data={"request": request.model_dump_json()},
                files=parts,
            )
        finally:
            for handle in opened:
                handle.close()

    async def verify_certificates(
        self, purpose: CertificatePurpose, certificates: Sequence[str]
    ) -> CertificateVerificationReport:
        """Whether each certificate (DER in base64, at most ``MOST_CERTIFICATES``) may be used now; verdicts in that order."""
        request = CertificateVerificationRequest(purpose=purpose, certificates=list(certificates))
        return await self._service.json(
            CertificateVerificationReport, "POST", "/certificate-verifications", body=request
        )

    async def sign_message(
        self, key_id: str, content: bytes | AsyncIterable[bytes], *, institution_no: int | None = None
    ) -> bytes:
        """A detached CAdES-B signature (DER) over exactly these bytes: the first part of a multipart/signed.

        Raises INSTITUTION_FORBIDDEN when the key is not for KEP messages or not that institution's.
        """
        parameters = _key_parameters(key_id, institution_no) | {"purpose": SigningPurpose.KEP_MESSAGE.value}
        answer = await self._service.call("POST", "/signatures", params=parameters, content=content, headers=_OCTETS)
        return answer.content

    async def seal(self, key_id: str, component: bytes, *, institution_no: int | None = None) -> bytes:
        """An attached CAdES seal (DER) of a package component, of the level of the key's entry.

        Raises as ``sign_message`` does, and SERVICE_UNAVAILABLE when a time-stamp or revocation data cannot be had now.
        """
        parameters = _key_parameters(key_id, institution_no)
        answer = await self._service.call("POST", "/seals", params=parameters, content=component, headers=_OCTETS)
        return answer.content

    async def raise_signature(
        self, request: SignatureUpgradeRequest, file: Material, content: Material | None = None
    ) -> bytes:
        """The file with its signatures at a higher level; what was signed, and the signatures, stay as they are.

        ``content`` is what a detached signature covers. Raises SIGNATURE_INVALID for what does not verify or cannot be
        raised, SERVICE_UNAVAILABLE when a time-stamp or revocation data cannot be had now or the grace period is not
        over, TOO_LARGE, and NOT_FOUND when signer has no time-stamp authority.
        """
        opened: list[IO[bytes]] = []
        try:
            parts = {"file": ("file", await _sendable(file, opened), "application/octet-stream")}
            if content is not None:
                parts["content"] = ("content", await _sendable(content, opened), "application/octet-stream")
            form = {"request": request.model_dump_json()}
            answer = await self._service.call("POST", "/signature-upgrades", data=form, files=parts)
        finally:
            for handle in opened:
                handle.close()
        return answer.content

    @asynccontextmanager
    async def encrypt(self, content: Material, certificates: Sequence[bytes]) -> AsyncIterator[AsyncIterator[bytes]]:
        """A CMS envelope (DER) of ``content`` for these certificates (DER), as a stream read inside the block.

        Raises CERTIFICATE_UNFIT with a fault for every certificate that is not fit by itself; chain and
        revocation are ``verify_certificates``'s question, to be asked before. An answer that breaks off
        raises SIGNER_UNAVAILABLE out of the block.
        """
        request = EnvelopeRequest(certificates=[base64.b64encode(item).decode() for item in certificates])
        opened: list[IO[bytes]] = []
        try:
            parts = {"file": ("file", await _sendable(content, opened), "application/octet-stream")}
            form = {"request": request.model_dump_json()}
            async with self._service.download("/envelopes", method="POST", data=form, files=parts) as answer:
                yield answer.aiter_bytes()
        finally:
            for handle in opened:
                handle.close()

    @asynccontextmanager
    async def decrypt(
        self, envelope: Material, *, institution_no: int, key_id: str | None = None
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """The package inside a CMS envelope, as a stream read inside the block.

        Opened with the decryption key of the institution that the envelope names, or with ``key_id`` only.
        Raises ENVELOPE_INVALID (``envelope_refusal`` tells why), NOT_FOUND when the institution has no such
        key, INSTITUTION_FORBIDDEN for a key of another institution or purpose. What comes out is not
        proven: the envelope has no sender, and unless it is authenticated changed bytes may go unnoticed.
        The package's own seal decides.
        """
        parameters = {"institution_no": str(institution_no)} | ({} if key_id is None else {"key_id": key_id})
        async with self._service.download(
            "/envelope-openings", method="POST", params=parameters, content=_pieces(envelope), headers=_OCTETS
        ) as answer:
            yield answer.aiter_bytes()

    async def envelope_facts(self, envelope: Material) -> EnvelopeFacts:
        """Recipients and algorithms of a CMS envelope, without a key; raises ENVELOPE_INVALID."""
        return await self._service.json(
            EnvelopeFacts, "POST", "/envelope-facts", content=_pieces(envelope), headers=_OCTETS
        )

    async def keys(self) -> list[SigningKey]:
        """The keys signer holds, without anything secret."""
        answer = await self._service.call("GET", "/keys")
        try:
            return _KEYS.validate_json(answer.content)
        except ValidationError as error:
            raise DomainError(ErrorCode.SIGNER_UNAVAILABLE, "unexpected answer to GET /keys") from error


def envelope_refusal(error: DomainError) -> EnvelopeRefusal | None:
    """Why an envelope was refused; None when the failure is about something else."""
    for fault in error.faults:
        if error.code is ErrorCode.ENVELOPE_INVALID and fault.pointer == "/envelope":
            return EnvelopeRefusal(fault.detail)
    return None


_OCTETS = {"Content-Type": "application/octet-stream"}


def _key_parameters(key_id: str, institution_no: int | None) -> dict[str, str]:
    parameters = {"key_id": key_id}
    if institution_no is not None:
        parameters["institution_no"] = str(institution_no)
    return parameters


async def _sendable(material: Material, opened: list[IO[bytes]]) -> bytes | IO[bytes]:
    """What httpx can put into a multipart body; files opened here are added to ``opened``."""
    if isinstance(material, bytes):
        return material
    if isinstance(material, Path):
        handle = await asyncio.to_thread(material.open, "rb")
        opened.append(handle)
        return handle
    if isinstance(material, AsyncIterable):
        spool = tempfile.SpooledTemporaryFile(max_size=_SPOOLED_IN_MEMORY)  # noqa: SIM115 - closed by the caller
        opened.append(spool)
        async for chunk in material:
            await asyncio.to_thread(spool.write, chunk)
        spool.seek(0)
        return spool
    return material


async def _pieces(material: Material) -> AsyncIterator[bytes]:
    """The bytes in pieces that can be a request's body."""
    if isinstance(material, bytes):
        yield material
    elif isinstance(material, AsyncIterable):
        async for chunk in material:
            yield chunk
    else:
        opened: list[IO[bytes]] = []
        try:
            handle = await _sendable(material, opened)
            assert not isinstance(handle, bytes)
            while chunk := await asyncio.to_thread(handle.read, _SPOOLED_IN_MEMORY):
                yield chunk
        finally:
            for handle in opened:
                handle.close()
