"""Plays an institution's document system: writes, signs and seals a real e-Yazışma package, or only signs as a person."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import uuid4

from fastapi import APIRouter, HTTPException, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from services.sandbox.kephs.cms import sign_attached, sign_detached
from services.sandbox.pki.store import Pki
from services.sandbox.world import InstitutionPlan, WorldPlan
from shared.clock import Clock
from shared.errors import DomainError
from shared.eyp.model import FinalMetadata, Organisation, SecurityCode, Signatory
from shared.eyp.sample import sample_package_draft, sample_signatory

MEDIA_TYPE = "application/eyazisma"
_LARGEST_SIGNED = 64 * 1024 * 1024
_OCTETS: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}


class PackageOrder(BaseModel):
    """What to write. ``annex_text`` makes the package as large as a test needs it."""

    model_config = ConfigDict(extra="forbid")

    sender_no: int
    recipient_nos: list[int] = Field(min_length=1, max_length=1)
    subject: str = Field(default="Örnek yazı: KEP Gateway deneme gönderimi", min_length=1, max_length=200)
    annex_text: str = Field(default="Bu dosya deneme amaçlı bir ektir.\n", min_length=1, max_length=30_000_000)
    security_code: SecurityCode = SecurityCode.UNCLASSIFIED
    """Degree of confidentiality; one that packages of 2.x do not have is refused."""


def write_package(order: PackageOrder, plan: WorldPlan, pki: Pki, clock: Clock) -> tuple[str, bytes]:
    """File name and bytes of a package of version 2.0: CAdES-B signature of a person, seal of the institution.

    Raises ``KeyError`` for a sender without keys or an unknown recipient, ``DomainError`` for what no package may say.
    """
    institutions = {institution.detsis_no: institution for institution in plan.institutions}
    sender, recipient = institutions[order.sender_no], institutions[order.recipient_nos[0]]
    if sender.keys is None:
        raise KeyError(order.sender_no)
    now = clock.now().replace(microsecond=0)
    document_id = str(uuid4()).upper()
    draft = sample_package_draft(
        document_id=document_id,
        sender=_organisation(sender),
        recipient=_organisation(recipient),
        subject=order.subject,
        annex_text=order.annex_text,
        security_code=order.security_code,
    )
    signed = draft.with_signature(sign_attached(draft.digest_to_be_signed(), pki.identity(sender.keys.person), now))
    final = FinalMetadata(
        date=now,
        document_no=f"E-{sender.detsis_no}-000-{uuid4().int % 100_000}",
        signatories=(Signatory(sample_signatory(), signed_at=now),),
    )
    unsealed = signed.with_final_metadata(final, created=now)
    finished = unsealed.with_seal(sign_attached(unsealed.seal_to_be_signed(), pki.identity(sender.keys.seal), now))
    return finished.file_name, finished.to_bytes()


def _organisation(institution: InstitutionPlan) -> Organisation:
    return Organisation(number=str(institution.detsis_no), name=institution.name)


def ebys_routes(plan: WorldPlan, pki: Pki, clock: Clock) -> APIRouter:
    """The routes that hand out packages and sign as a person."""
    router = APIRouter(prefix="/control")

    @router.post("/packages", tags=["packages"], response_class=Response)
    def make_package(order: PackageOrder) -> Response:
        """A fresh .eyp from an institution that has keys to another one."""
        try:
            name, content = write_package(order, plan, pki, clock)
        except KeyError as error:
            raise HTTPException(422, f"no institution with keys, or no recipient: {error}") from error
        except DomainError as error:
            raise HTTPException(422, str(error)) from error
        return Response(content, media_type=MEDIA_TYPE, headers={"X-Package-Filename": name})

    @router.post("/signatures", tags=["packages"], response_class=Response, openapi_extra=_OCTETS)
    async def sign_as_person(request: Request, sender_no: int, *, detached: bool = False) -> Response:
        """The body, signed by a person of an institution that has keys, as with a smart card: CAdES-B (DER).

        Attached, as a package's component is signed, or detached, as a KEP message is.
        """
        sender = next((item for item in plan.institutions if item.detsis_no == sender_no), None)
        if sender is None or sender.keys is None:
            raise HTTPException(422, f"no institution with keys: {sender_no}")
        content = await request.body()
        if len(content) > _LARGEST_SIGNED:
            raise HTTPException(413, "more than a KEP message holds")
        now = clock.now().replace(microsecond=0)
        sign = sign_detached if detached else sign_attached
        signed = await asyncio.to_thread(sign, content, pki.identity(sender.keys.person), now)
        return Response(signed, media_type="application/octet-stream")

    return router
