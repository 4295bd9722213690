"""Client of kep_relay; only the gateway calls it."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import httpx
from pydantic import RootModel, SecretStr

from shared.contracts.acceptance import Acceptance, AcceptanceDecision
from shared.contracts.classified import ClassifiedIncident, ClassifiedIncidents, IncidentDecision
from shared.contracts.consumers import Consumer, ConsumerConfiguration, ConsumerList, LetterRouting, RoutingChange
from shared.contracts.events import EventPage, EventType
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
from shared.contracts.mailboxes import Mailbox, MailboxConfiguration, MailboxReadiness
from shared.contracts.notices import NoticeOrder
from shared.contracts.outbound import (
    LONGEST_DOCUMENT_ID,
    Cancellation,
    EvidenceRecord,
    Ledger,
    OutboundEvent,
    OutboundMessage,
    OutboundPage,
    OutboundSubmission,
    Resend,
)
from shared.contracts.second_factor import SecondFactor, SecondFactorAnswer, SecondFactorChallenge
from shared.contracts.verification_mails import IntakeReport, Settlement, VerificationMail, VerificationMails
from shared.domain.message import InboundState, OutboundState
from shared.errors import ErrorCode
from shared.http import ServiceClient

_Events = RootModel[list[OutboundEvent]]
_Evidence = RootModel[list[EvidenceRecord]]
_Mailboxes = RootModel[list[Mailbox]]
EvidenceForm = Literal["evidence", "mail"]
_PROVIDER_SECONDS = 270
"""For a call that waits for its account's turn and for a provider's answer: each 120 seconds, unless set otherwise."""


class RelayClient:
    """Asks kep_relay. Every method raises ``DomainError``; SERVICE_UNAVAILABLE when it cannot be reached.

    ``institutions`` confines every answer to these; it is never empty. Ids of other institutions' rows
    are NOT_FOUND.
    """

    def __init__(self, base_url: str, token: SecretStr) -> None:
        self._service = ServiceClient(
            base_url, token=token, unavailable=ErrorCode.SERVICE_UNAVAILABLE, timeout_seconds=60
        )

    async def aclose(self) -> None:
        """Close the connections."""
        await self._service.aclose()

    # Outgoing

    async def put_package(self, sha256: str, content: AsyncIterable[bytes], size: int) -> None:
        """Store the bytes of a package durably. Raises DIGEST_MISMATCH, TOO_LARGE, DURABILITY_UNAVAILABLE."""
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(size)}
        await self._service.upload("PUT", f"/packages/{sha256}", content, headers=headers)

    @asynccontextmanager
    async def message_content(
        self, document_id: str | None, filename: str, sha256: str, content: AsyncIterable[bytes], size: int
    ) -> AsyncIterator[httpx.Response]:
        """What has to be signed of messages with this package, as a stream. Raises DIGEST_MISMATCH, TOO_LARGE."""
        async with self._service.download(
            f"/message-contents/{sha256}",
            method="POST",
            params={"filename": filename, "document_id": (document_id or "")[:LONGEST_DOCUMENT_ID]},
            content=content,
            headers={"Content-Type": "application/octet-stream", "Content-Length": str(size)},
        ) as answer:
            yield answer

    async def put_outbound(self, message_id: UUID, submission: OutboundSubmission) -> OutboundMessage:
        """Take a letter over; the same again changes nothing. Raises MAILBOX_MISSING, STATE_CONFLICT."""
        return await self._service.json(OutboundMessage, "PUT", f"/outbound-messages/{message_id}", body=submission)

    async def outbound(self, institutions: Sequence[int], message_id: UUID) -> OutboundMessage:
        """One outgoing letter."""
        path = f"/outbound-messages/{message_id}"
        return await self._service.json(OutboundMessage, "GET", path, params=_of(institutions))

    @asynccontextmanager
    async def proof(self, institutions: Sequence[int], message_id: UUID) -> AsyncIterator[httpx.Response]:
        """The proof file of an outgoing letter, as a stream. Raises SERVICE_UNAVAILABLE, DURABILITY_UNAVAILABLE."""
        path = f"/outbound-messages/{message_id}/proof"
        async with self._service.download(path, params=_of(institutions), timeout=300) as answer:
            yield answer

    async def outbound_page(
        self,
        institutions: Sequence[int],
        *,
        states: Sequence[OutboundState],
        updated_since: datetime | None,
        client_ref: str | None,
        cursor: str | None,
        limit: int,
    ) -> OutboundPage:
        """A page of outgoing letters."""
        since = updated_since.isoformat() if updated_since else None
        parameters = _of(
            institutions, state=list(states), updated_since=since, client_ref=client_ref, cursor=cursor, limit=limit
        )
        return await self._service.json(OutboundPage, "GET", "/outbound-messages", params=parameters)

    async def events(self, institutions: Sequence[int], message_id: UUID) -> list[OutboundEvent]:
        """The history of an outgoing letter, oldest first."""
        path = f"/outbound-messages/{message_id}/events"
        return (await self._service.json(_Events, "GET", path, params=_of(institutions))).root

    async def evidence(self, institutions: Sequence[int], message_id: UUID) -> list[EvidenceRecord]:
        """The evidence received for an outgoing letter."""
        path = f"/outbound-messages/{message_id}/evidence"
        return (await self._service.json(_Evidence, "GET", path, params=_of(institutions))).root

    @asynccontextmanager
    async def evidence_content(
        self, institutions: Sequence[int], message_id: UUID, evidence_id: UUID, form: EvidenceForm
    ) -> AsyncIterator[httpx.Response]:
        """The stored bytes of one piece of evidence, as a stream."""
        path = f"/outbound-messages/{message_id}/evidence/{evidence_id}/content"
        async with self._service.download(path, params=_of(institutions, form=form)) as response:
            yield response

    async def cancel(self, institutions: Sequence[int], message_id: UUID) -> Cancellation:
        """Stop what was not yet submitted to the provider."""
        path = f"/outbound-messages/{message_id}/cancel"
        return await self._service.json(Cancellation, "POST", path, params=_of(institutions))

    async def resend(self, institutions: Sequence[int], message_id: UUID, new_id: UUID) -> OutboundMessage:
        """Send a letter again as a new one with id ``new_id``; the same again changes nothing."""
        path = f"/outbound-messages/{message_id}/resend"
        body = Resend(message_id=new_id)
        return await self._service.json(OutboundMessage, "POST", path, params=_of(institutions), body=body)

    # Incoming

    async def inbound_page(
        self, institutions: Sequence[int], *, states: Sequence[InboundState], cursor: str | None, limit: int
    ) -> InboundPage:
        """A page of incoming letters, oldest first."""
        parameters = _of(institutions, state=list(states), cursor=cursor, limit=limit)
        return await self._service.json(InboundPage, "GET", "/inbound-messages", params=parameters)

    async def inbound(self, institutions: Sequence[int], message_id: UUID) -> InboundMessage:
        """One incoming letter."""
        path = f"/inbound-messages/{message_id}"
        return await self._service.json(InboundMessage, "GET", path, params=_of(institutions))

    async def lease(self, request: LeaseRequest) -> Leased:
        """Take letters; ``messages`` may be empty."""
        parameters = _of(request.institution_nos)
        path, timeout = "/inbound-messages/leases", request.wait + 30
        return await self._service.json(Leased, "POST", path, params=parameters, body=request, timeout=timeout)

    async def event_page(
        self, institution_no: int, *, after: int, types: Sequence[EventType], limit: int, wait: float
    ) -> EventPage:
        """Events of one institution after a position; waits for the first when there is none."""
        parameters = _of([institution_no], after=after, limit=limit, type=[item.value for item in types]) | {
            "wait": wait
        }
        return await self._service.json(EventPage, "GET", "/events", params=parameters, timeout=wait + 30)

    async def acknowledge(self, institutions: Sequence[int], message_id: UUID, body: Acknowledgement) -> InboundMessage:
        """The letter is registered. Raises LEASE_LOST; the same registry number again changes nothing."""
        path = f"/inbound-messages/{message_id}/ack"
        return await self._service.json(InboundMessage, "POST", path, params=_of(institutions), body=body)

    async def decide_acceptance(
        self, institutions: Sequence[int], message_id: UUID, body: AcceptanceDecision
    ) -> Acceptance:
        """A letter is accepted or refused. Raises STATE_CONFLICT when that cannot be decided any more."""
        path = f"/inbound-messages/{message_id}/acceptance"
        return await self._service.json(Acceptance, "POST", path, params=_of(institutions), body=body)

    async def order_notice(self, institutions: Sequence[int], message_id: UUID, body: NoticeOrder) -> OutboundMessage:
        """The sender of a refused letter is told. Raises STATE_CONFLICT, RECIPIENT_KEP_…, MAILBOX_MISSING."""
        path = f"/inbound-messages/{message_id}/refusal-notice"
        return await self._service.json(OutboundMessage, "POST", path, params=_of(institutions), body=body)

    async def reject(self, institutions: Sequence[int], message_id: UUID, body: Rejection) -> InboundMessage:
        """Give a leased letter back. Raises LEASE_LOST."""
        path = f"/inbound-messages/{message_id}/nack"
        return await self._service.json(InboundMessage, "POST", path, params=_of(institutions), body=body)

    async def renew(self, institutions: Sequence[int], message_id: UUID, body: Renewal) -> Leased:
        """Keep a lease longer. Raises LEASE_LOST."""
        path = f"/inbound-messages/{message_id}/renew"
        return await self._service.json(Leased, "POST", path, params=_of(institutions), body=body)

    async def verification(self, institutions: Sequence[int], message_id: UUID) -> InboundVerification:
        """What was checked about an incoming letter."""
        path = f"/inbound-messages/{message_id}/verification"
        return await self._service.json(InboundVerification, "GET", path, params=_of(institutions))

    async def verify(self, institutions: Sequence[int], message_id: UUID) -> InboundMessage:
        """Have a letter verified again. Raises STATE_CONFLICT for a mail in which there is nothing to verify."""
        path = f"/inbound-messages/{message_id}/verify"
        return await self._service.json(InboundMessage, "POST", path, params=_of(institutions))

    async def release(self, institutions: Sequence[int], message_id: UUID, body: Release) -> InboundMessage:
        """Release a mail that the virus scanner withheld. Raises STATE_CONFLICT for one that is not withheld."""
        path = f"/inbound-messages/{message_id}/release"
        return await self._service.json(InboundMessage, "POST", path, params=_of(institutions), body=body)

    async def redrive(self, institutions: Sequence[int], message_id: UUID, copy_of: str | None) -> InboundMessage:
        """Offer a dead letter again, or a consumer's dead copy. Raises STATE_CONFLICT for one that is not dead."""
        path = f"/inbound-messages/{message_id}/redrive"
        return await self._service.json(InboundMessage, "POST", path, params=_of(institutions, copy_of=copy_of))

    async def routing(self, institutions: Sequence[int], message_id: UUID) -> LetterRouting:
        """Who has an incoming letter, and why. Raises CLASSIFIED_SEALED."""
        path = f"/inbound-messages/{message_id}/routing"
        return await self._service.json(LetterRouting, "GET", path, params=_of(institutions))

    async def route(self, institutions: Sequence[int], message_id: UUID, body: RoutingChange) -> LetterRouting:
        """Give a letter to another consumer. Raises STATE_CONFLICT for one that nobody is offered now."""
        path = f"/inbound-messages/{message_id}/routing"
        return await self._service.json(LetterRouting, "POST", path, params=_of(institutions), body=body)

    async def consumers(self, institution_no: int) -> ConsumerList:
        """An institution's consumers and what waits for each."""
        return await self._service.json(ConsumerList, "GET", "/consumers", params=_of([institution_no]))

    async def consumer(self, institution_no: int, name: str) -> Consumer:
        """One of them."""
        return await self._service.json(Consumer, "GET", f"/consumers/{name}", params=_of([institution_no]))

    async def put_consumer(self, name: str, body: ConsumerConfiguration) -> Consumer:
        """Enter or change a consumer. Raises STATE_CONFLICT when there are too many."""
        parameters = _of([body.institution_no])
        return await self._service.json(Consumer, "PUT", f"/consumers/{name}", params=parameters, body=body)

    async def delete_consumer(self, institution_no: int, name: str) -> None:
        """End a consumer; its letters go to ``default``."""
        await self._service.call("DELETE", f"/consumers/{name}", params=_of([institution_no]))

    @asynccontextmanager
    async def inbound_content(
        self, institutions: Sequence[int], message_id: UUID, what: str, *, start: int = 0, end: int | None = None
    ) -> AsyncIterator[httpx.Response]:
        """Bytes ``start`` up to but not including ``end`` of ``package``, ``raw`` or ``parts/<n>``, as a stream."""
        parameters = _of(institutions, start=start or None, end=end)
        async with self._service.download(f"/inbound-messages/{message_id}/{what}", params=parameters) as response:
            yield response

    # Classified letters

    async def classified_incidents(
        self, institutions: Sequence[int], *, closed: bool | None, cursor: str | None, limit: int
    ) -> ClassifiedIncidents:
        """A page of incidents, oldest first."""
        told = None if closed is None else str(closed).lower()
        parameters = _of(institutions, closed=told, cursor=cursor, limit=limit)
        return await self._service.json(ClassifiedIncidents, "GET", "/classified-incidents", params=parameters)

    async def classified_incident(self, institutions: Sequence[int], incident_id: UUID) -> ClassifiedIncident:
        """One of them."""
        path = f"/classified-incidents/{incident_id}"
        return await self._service.json(ClassifiedIncident, "GET", path, params=_of(institutions))

    @asynccontextmanager
    async def classified_raw(self, institutions: Sequence[int], incident_id: UUID) -> AsyncIterator[httpx.Response]:
        """The sealed letter's mail as it came, as a stream."""
        path = f"/classified-incidents/{incident_id}/raw"
        async with self._service.download(path, params=_of(institutions)) as response:
            yield response

    async def close_classified_incident(
        self, institutions: Sequence[int], incident_id: UUID, body: IncidentDecision
    ) -> ClassifiedIncident:
        """Write a decision down; the same again changes nothing. Raises STATE_CONFLICT when there is another one."""
        path = f"/classified-incidents/{incident_id}/close"
        return await self._service.json(ClassifiedIncident, "POST", path, params=_of(institutions), body=body)

    # Mailboxes

    async def mailboxes(self, institutions: Sequence[int]) -> list[Mailbox]:
        """The KEP mailboxes of these institutions."""
        return (await self._service.json(_Mailboxes, "GET", "/mailboxes", params=_of(institutions))).root

    async def put_mailbox(self, mailbox_id: str, configuration: MailboxConfiguration) -> Mailbox:
        """Create or change a mailbox."""
        parameters = _of([configuration.institution_no])
        return await self._service.json(
            Mailbox, "PUT", f"/mailboxes/{mailbox_id}", params=parameters, body=configuration
        )

    async def readiness(self, institutions: Sequence[int], mailbox_id: str) -> MailboxReadiness:
        """Whether a letter handed over now would go out at once."""
        path = f"/mailboxes/{mailbox_id}/readiness"
        return await self._service.json(MailboxReadiness, "GET", path, params=_of(institutions))

    async def second_factor(self, institutions: Sequence[int], mailbox_id: str) -> SecondFactor:
        """Whether a mailbox's messages wait for a person."""
        path = f"/mailboxes/{mailbox_id}/second-factor"
        return await self._service.json(SecondFactor, "GET", path, params=_of(institutions))

    async def begin_second_factor(
        self, institutions: Sequence[int], mailbox_id: str, body: SecondFactorChallenge
    ) -> SecondFactor:
        """Begin a challenge. Raises STATE_CONFLICT, RATE_LIMITED, and what the provider raises."""
        path = f"/mailboxes/{mailbox_id}/second-factor"
        return await self._service.json(
            SecondFactor, "POST", path, params=_of(institutions), body=body, timeout=_PROVIDER_SECONDS
        )

    async def confirm_second_factor(
        self, institutions: Sequence[int], mailbox_id: str, body: SecondFactorAnswer
    ) -> SecondFactor:
        """Answer it. Raises STATE_CONFLICT, VALIDATION_FAILED for a wrong answer, and what the provider raises."""
        path = f"/mailboxes/{mailbox_id}/second-factor/confirm"
        return await self._service.json(
            SecondFactor, "POST", path, params=_of(institutions), body=body, timeout=_PROVIDER_SECONDS
        )

    # KEP addresses on their way into DETSİS

    async def verification_mails(
        self, institutions: Sequence[int], *, address: str | None = None, waiting: bool = False
    ) -> list[VerificationMail]:
        """Mails of DETSİS that ask for confirmation, and mails that look like one, newest first."""
        parameters = _of(institutions, address=address, waiting=str(waiting).lower())
        return (await self._service.json(VerificationMails, "GET", "/verification-mails", params=parameters)).mails

    async def verification_mail(self, institutions: Sequence[int], message_id: UUID) -> VerificationMail:
        """One of them."""
        path = f"/verification-mails/{message_id}"
        return await self._service.json(VerificationMail, "GET", path, params=_of(institutions))

    async def settle_verification_mail(
        self, institutions: Sequence[int], message_id: UUID, settled_by: str
    ) -> VerificationMail:
        """An authorised person has opened its link; again changes nothing."""
        path, body = f"/verification-mails/{message_id}/settlement", Settlement(settled_by=settled_by)
        return await self._service.json(VerificationMail, "POST", path, params=_of(institutions), body=body)

    async def intake(self, institution_no: int, address: str) -> IntakeReport:
        """Whether mail to this address would be taken in."""
        return await self._service.json(IntakeReport, "GET", "/intake", params=_of([institution_no], address=address))

    async def ledger(self) -> Ledger:
        """Whether any letter is unaccounted for."""
        return await self._service.json(Ledger, "GET", "/ledger")


def _of(institutions: Sequence[int], **others: str | int | list[Any] | None) -> dict[str, Any]:
    if not institutions:
        raise ValueError("a query without institutions would be a query over all of them")
    parameters: dict[str, Any] = {"institution": list(institutions)}
    return parameters | {name: value for name, value in others.items() if value is not None and value != []}
