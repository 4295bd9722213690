"""Incoming letters: lists, leases and contents."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse

from services.kep_relay.inbound import queries
from services.kep_relay.inbound.leases import Leases
from services.kep_relay.inbound.releases import Releases
from services.kep_relay.inbound.reverification import Reverification
from services.kep_relay.tables import InboundMessageRow
from shared.blobs import BlobStore
from shared.contracts.inbound import (
    Acknowledgement,
    InboundMessage,
    InboundPage,
    InboundVerification,
    Leased,
    LeaseRequest,
    Rejection,
    Release,
    Renewal,
)
from shared.db.session import Database
from shared.domain.message import InboundState
from shared.errors import DomainError, ErrorCode

Institutions = Annotated[list[int], Query(alias="institution", min_length=1)]
Start = Annotated[int, Query(ge=0)]
End = Annotated[int | None, Query(ge=0)]
CopyOf = Annotated[str | None, Query(max_length=64)]


def inbound_routes(
    database: Database, blobs: BlobStore, leases: Leases, reverification: Reverification, releases: Releases
) -> APIRouter:
    """Every route takes the caller's institutions; a letter of another one is NOT_FOUND."""
    router = APIRouter()

    async def described(row: InboundMessageRow) -> InboundMessage:
        async with database.reading() as session:
            return (await queries.describe_all(session, [row]))[0]

    @router.get("/inbound-messages")
    async def inbound_page(
        institution: Institutions,
        state: Annotated[list[InboundState] | None, Query()] = None,
        cursor: Annotated[str | None, Query(max_length=64)] = None,
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
    ) -> InboundPage:
        async with database.reading() as session:
            return await queries.page(session, institution, states=state or (), cursor=cursor, limit=limit)

    @router.post("/inbound-messages/leases")
    async def lease(institution: Institutions, body: LeaseRequest) -> Leased:
        return await leases.take(body, institution)

    @router.get("/inbound-messages/{message_id}")
    async def one(message_id: UUID, institution: Institutions) -> InboundMessage:
        async with database.reading() as session:
            row = await queries.owned(session, message_id, institution)
            return (await queries.describe_all(session, [row]))[0]

    @router.post("/inbound-messages/{message_id}/ack")
    async def acknowledge(message_id: UUID, institution: Institutions, body: Acknowledgement) -> InboundMessage:
        return await described(await leases.acknowledge(message_id, institution, body))

    @router.post("/inbound-messages/{message_id}/nack")
    async def reject(message_id: UUID, institution: Institutions, body: Rejection) -> InboundMessage:
        return await described(await leases.reject(message_id, institution, body))

    @router.post("/inbound-messages/{message_id}/renew")
    async def renew(message_id: UUID, institution: Institutions, body: Renewal) -> Leased:
        return await leases.renew(message_id, institution, body)

    @router.post("/inbound-messages/{message_id}/redrive")
    async def redrive(message_id: UUID, institution: Institutions, copy_of: CopyOf = None) -> InboundMessage:
        return await described(await leases.redrive(message_id, institution, copy_of))

    @router.post("/inbound-messages/{message_id}/verify")
    async def verify(message_id: UUID, institution: Institutions) -> InboundMessage:
        return await described(await reverification.ask(message_id, institution))

    @router.post("/inbound-messages/{message_id}/release")
    async def release(message_id: UUID, institution: Institutions, body: Release) -> InboundMessage:
        return await described(await releases.release(message_id, institution, body))

    @router.get("/inbound-messages/{message_id}/verification")
    async def verification(message_id: UUID, institution: Institutions) -> InboundVerification:
        async with database.reading() as session:
            row = await queries.owned(session, message_id, institution)
            return await queries.verification(session, row)

    @router.get("/inbound-messages/{message_id}/package")
    async def package(
        message_id: UUID, institution: Institutions, start: Start = 0, end: End = None
    ) -> StreamingResponse:
        async with database.reading() as session:
            row = await queries.readable(session, message_id, institution)
        if row.package_sha256 is None:
            raise DomainError(ErrorCode.NOT_FOUND, "the letter has no single package")
        return await stored_content(blobs, row.package_sha256, "application/octet-stream", start, end)

    @router.get("/inbound-messages/{message_id}/raw")
    async def raw(message_id: UUID, institution: Institutions, start: Start = 0, end: End = None) -> StreamingResponse:
        async with database.reading() as session:
            row = await queries.readable(session, message_id, institution)
        if row.raw_sha256 is None:
            raise DomainError(ErrorCode.NOT_FOUND, "the mail was not loaded; it is at the provider")
        return await stored_content(blobs, row.raw_sha256, "message/rfc822", start, end)

    @router.get("/inbound-messages/{message_id}/parts/{number}")
    async def part(
        message_id: UUID, number: int, institution: Institutions, start: Start = 0, end: End = None
    ) -> StreamingResponse:
        async with database.reading() as session:
            await queries.readable(session, message_id, institution)
            row = await queries.part(session, message_id, number)
        # Never the sender's own media type: nobody's browser is to run what came by mail.
        return await stored_content(blobs, row.sha256, "application/octet-stream", start, end)

    return router


async def stored_content(
    blobs: BlobStore, sha256: str, media_type: str, start: int, end: int | None
) -> StreamingResponse:
    """Bytes ``start`` up to but not including ``end``; RANGE_INVALID outside the content."""
    size = await blobs.size(sha256)
    if size is None:
        raise DomainError(ErrorCode.DURABILITY_UNAVAILABLE, "the content is missing in the blob store")
    stop = size if end is None else min(end, size)
    if start > stop or (start == size and size > 0):
        raise DomainError(ErrorCode.RANGE_INVALID, f"the content has {size} bytes")
    headers = {
        "Content-Length": str(stop - start),
        "X-Content-Size": str(size),
        "X-Content-SHA256": sha256,
        "X-Content-Type-Options": "nosniff",
    }
    return StreamingResponse(blobs.stream(sha256, start=start, end=stop), media_type=media_type, headers=headers)
