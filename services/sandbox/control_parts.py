"""The control API's view into the KEP providers."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, HTTPException, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from services.sandbox.kephs import (
    INBOX,
    SENT,
    IssuedEvidence,
    LoginPolicy,
    RunningProviders,
    Standing,
    StoredMail,
)
from services.sandbox.kephs.eyws.login import SMS_KEY
from services.sandbox.opened import OpenedMailboxes
from services.sandbox.world import Behaviour, WorldPlan
from shared.domain.identifiers import ascii_lower


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class MailboxReport(_Body):
    """One account of a provider."""

    address: str
    institution_no: int
    behaviour: str


class MailReport(_Body):
    """One mail in a folder; see ``StoredMail`` for the meaning of each field."""

    uid: int
    message_id: str
    sha256: str
    size: int
    seen: bool
    kind: str
    original_message_id: str
    original_sha256: str
    received_at: datetime


class FolderReport(_Body):
    """What a folder holds, oldest first."""

    count: int = Field(description="Of all mails in the folder.")
    messages: list[MailReport] = Field(description="Those after `after_uid`, at most `limit`.")


class StandingOrder(_Body):
    """What to change; what is left out stays. See ``Standing`` for the meaning of each field."""

    policy: LoginPolicy | None = None
    credit: float | None = Field(default=None, ge=0, le=1e9)
    quota_kilobytes: int | None = Field(default=None, ge=0, le=2**31 - 1, description="null: without a quota.")
    evidence_by_mail: bool | None = None
    read_by: Literal["confirmation", "download"] | None = None
    locks_after: int | None = Field(default=None, ge=1, le=1000, description="null: never.")
    wrong_passwords: int | None = Field(default=None, ge=0)
    locked: bool | None = None


class StandingReport(_Body):
    """How an account stands, over the SOAP service and otherwise."""

    standing: Standing
    sms_key: str = Field(description="What every SMS brings.")
    messages: dict[str, int] = Field(description="Mails by folder.")


class EvidenceReport(_Body):
    """One piece of evidence, as its issuer recorded it."""

    identifier: str
    code: int
    evidence_type: str
    issuer: str
    original_message_id: str
    sender: str
    recipients: list[str]
    issued_at: datetime
    xml: str


def provider_routes(plan: WorldPlan, opened: OpenedMailboxes, providers: RunningProviders) -> APIRouter:
    """What the providers hold and have issued."""
    router = APIRouter(prefix="/control", tags=["providers"])

    def mailboxes(provider: str) -> list[MailboxReport]:
        domain = next((found.domain for found in plan.providers if found.name == provider), None)
        planned = [
            MailboxReport(
                address=institution.kep_address,
                institution_no=institution.detsis_no,
                behaviour=institution.behaviour,
            )
            for institution in plan.institutions
            if institution.provider == provider and institution.kep_address and institution.username
        ]
        later = [
            MailboxReport(address=mailbox.address, institution_no=mailbox.institution_no, behaviour=Behaviour.NORMAL)
            for mailbox in opened
            if mailbox.address.endswith(f"@{domain}")
        ]
        return planned + later

    def account(provider: str, address: str) -> None:
        wanted = ascii_lower(address)
        if any(found.provider == provider and found.kep_address == wanted for found in plan.institutions):
            return
        if any(mailbox.address == wanted for mailbox in mailboxes(provider)):
            return
        raise HTTPException(404, f"{provider} has no account {address!r}")

    @router.get("/providers/{provider}/mailboxes")
    async def list_mailboxes(provider: str) -> list[MailboxReport]:
        """The provider's accounts."""
        return mailboxes(provider)

    @router.get("/providers/{provider}/mailboxes/{address}/messages")
    async def list_messages(
        provider: str,
        address: str,
        folder: str = INBOX,
        after_uid: Annotated[int, Query(ge=0, lt=2**32)] = 0,
        limit: Annotated[int, Query(ge=1, le=10_000)] = 10_000,
    ) -> FolderReport:
        """What a folder holds: tells how many copies of a letter have arrived."""
        account(provider, address)
        mails = providers.messages(address, folder, after_uid=after_uid, limit=limit)
        return FolderReport(count=providers.count(address, folder), messages=[_mail_report(mail) for mail in mails])

    @router.get("/providers/{provider}/mailboxes/{address}/messages/{uid}/content")
    async def read_message(provider: str, address: str, uid: int, folder: str = INBOX) -> Response:
        """The bytes of one mail, without marking it as read."""
        account(provider, address)
        try:
            content = providers.content(address, folder, uid)
        except KeyError:
            raise HTTPException(404, f"no mail {uid} in {folder}") from None
        return Response(content, media_type="message/rfc822")

    @router.post("/providers/{provider}/mailboxes/{address}/messages/{uid}/read", status_code=204)
    async def mark_read(provider: str, address: str, uid: int) -> None:
        """Read a letter as a person in the provider's webmail would; evidence 60 follows."""
        account(provider, address)
        try:
            providers.mark_seen(address, uid)
        except KeyError:
            raise HTTPException(404, f"no mail {uid} in {INBOX}") from None

    def standing_report(address: str, standing: Standing) -> StandingReport:
        counts = {folder: providers.count(address, folder) for folder in (INBOX, SENT)}
        return StandingReport(standing=standing, sms_key=SMS_KEY, messages=counts)

    @router.get("/providers/{provider}/mailboxes/{address}/standing")
    async def read_standing(provider: str, address: str) -> StandingReport:
        """Credit, quota, log-in policy and lock of an account, and the key of the SMS it is sent."""
        account(provider, address)
        try:
            return standing_report(address, providers.standing(address))
        except KeyError:
            raise HTTPException(404, f"{provider} has no account {address!r}") from None

    @router.patch("/providers/{provider}/mailboxes/{address}/standing")
    async def change_standing(provider: str, address: str, order: StandingOrder) -> StandingReport:
        """Change some of it; it outlives a restart."""
        account(provider, address)
        unset = {"quota_kilobytes", "locks_after"}
        changes = {
            name: value
            for name, value in order.model_dump(exclude_unset=True).items()
            if value is not None or name in unset
        }
        try:
            return standing_report(address, providers.change_standing(address, **changes))
        except KeyError:
            raise HTTPException(404, f"{provider} has no account {address!r}") from None

    @router.get("/evidence")
    async def list_evidence(
        message_id: str | None = None, limit: Annotated[int, Query(ge=1, le=10_000)] = 1000
    ) -> list[EvidenceReport]:
        """All evidence about one letter (its Message-ID), or the last pieces issued, in the order of issue."""
        issued = providers.evidence(message_id, limit=limit)
        return [_evidence_report(evidence) for evidence in issued]

    return router


def _mail_report(mail: StoredMail) -> MailReport:
    return MailReport(
        uid=mail.uid,
        message_id=mail.message_id,
        sha256=mail.sha256,
        size=mail.size,
        seen=mail.seen,
        kind=mail.kind,
        original_message_id=mail.original_message_id,
        original_sha256=mail.original_sha256,
        received_at=mail.received_at,
    )


def _evidence_report(evidence: IssuedEvidence) -> EvidenceReport:
    return EvidenceReport(
        identifier=evidence.identifier,
        code=evidence.code,
        evidence_type=evidence.evidence_type,
        issuer=evidence.issuer,
        original_message_id=evidence.original_message_id,
        sender=evidence.sender,
        recipients=list(evidence.recipients),
        issued_at=evidence.issued_at,
        xml=evidence.xml.decode(),
    )
