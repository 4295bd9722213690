"""The control API's part that stands in for the DETSİS portal: registering KEP addresses and confirming them."""

from __future__ import annotations

import secrets
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, HTTPException, Query
from fastapi.responses import HTMLResponse
from pydantic import BaseModel, ConfigDict, Field, field_validator

from services.sandbox.clock import ShiftedClock
from services.sandbox.detsis.register import Register
from services.sandbox.detsis.registrations import (
    Registration,
    RegistrationDesk,
    RegistrationState,
    UnknownRegistrationError,
)
from services.sandbox.detsis.verification import compose_verification, confirmation_page
from services.sandbox.kephs import RunningProviders
from services.sandbox.opened import OpenedMailbox, OpenedMailboxes
from services.sandbox.pki.store import Pki
from services.sandbox.planning import made_up_agent_no
from services.sandbox.world import WorldPlan
from shared.domain.identifiers import KepAddress, kep_address

CONFIRMATION_PATH = "/control/detsis/kep-registrations/confirmation"


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _WithAddress(_Body):
    kep_address: str

    @field_validator("kep_address")
    @classmethod
    def _normalised(cls, value: str) -> str:
        return kep_address(value)


class RegistrationOrder(_WithAddress):
    """What an officer enters at the portal."""

    detsis_no: int
    confirmed_by_opening: bool = Field(default=False, description="Opening the link confirms, without the button.")


class RegistrationReport(_Body):
    """A registration. ``confirmation_url`` is the link inside the mail."""

    registration_id: str
    detsis_no: int
    kep_address: str
    state: RegistrationState
    registered_at: datetime
    confirmed_at: datetime | None
    sender: str
    confirmation_url: str


class MailboxOrder(_WithAddress):
    """A mailbox that an institution gets from a provider."""

    institution_no: int
    password: str | None = Field(default=None, min_length=8, max_length=200, description="Drawn if left out.")


class MailboxAccess(_Body):
    """How to log in."""

    address: str
    institution_no: int
    username: str
    password: str
    agent_no: str
    second_password: str


def registration_routes(
    plan: WorldPlan,
    register: Register,
    desk: RegistrationDesk,
    providers: RunningProviders,
    pki: Pki,
    clock: ShiftedClock,
) -> APIRouter:
    """Registering an address, and the page that the mail's link opens."""
    router = APIRouter(prefix="/control/detsis/kep-registrations", tags=["detsis"])
    sender = KepAddress(plan.detsis_sender.address)

    def report(registration: Registration) -> RegistrationReport:
        return RegistrationReport(
            **registration.model_dump(include=set(RegistrationReport.model_fields)),
            sender=sender,
            confirmation_url=f"{plan.control_url}{CONFIRMATION_PATH}?token={registration.token}",
        )

    def send_mail(registration: Registration) -> RegistrationReport:
        told = report(registration)
        unit = register.unit(registration.detsis_no)
        mail = compose_verification(
            registration, unit.name if unit else "", told.confirmation_url,
            sender=sender, identity=pki.identity(plan.detsis_sender.signing), now=clock.now(),
        )  # fmt: skip
        providers.submit(sender, [KepAddress(registration.kep_address)], mail.content, mail.message_id)
        return told

    def found(registration_id: str) -> Registration:
        try:
            return desk.called(registration_id)
        except UnknownRegistrationError:
            raise HTTPException(404, f"no registration {registration_id}") from None

    @router.post("", status_code=201)
    async def enter_address(order: RegistrationOrder) -> RegistrationReport:
        """Register a KEP address for a unit, as an officer does at the portal.

        DETSİS lists it at once, waiting; a mail with a link goes to the address, through the providers. Until the
        link is confirmed the address before it stays in force.
        """
        try:
            registration = desk.register(
                order.detsis_no, order.kep_address, clock.now(), confirmed_by_opening=order.confirmed_by_opening
            )
        except KeyError:
            raise HTTPException(404, f"the register has no unit {order.detsis_no}") from None
        except ValueError as error:
            raise HTTPException(409, str(error)) from None
        return send_mail(registration)

    @router.get("")
    async def list_registrations(detsis_no: int | None = None) -> list[RegistrationReport]:
        """Every registration, or those of one unit, oldest first."""
        return [report(one) for one in desk.all() if detsis_no in {None, one.detsis_no}]

    @router.get("/confirmation", response_class=HTMLResponse)
    async def open_link(token: Annotated[str, Query(max_length=200)]) -> HTMLResponse:
        """The page behind the mail's link, with the button that confirms."""
        try:
            registration = desk.by_token(token)
            if registration.confirmed_by_opening:
                registration = desk.confirm(token, clock.now())
        except UnknownRegistrationError:
            return HTMLResponse("<h1>Bağlantı geçersiz</h1>", status_code=404)
        return HTMLResponse(confirmation_page(registration))

    @router.post("/confirmation", response_class=HTMLResponse)
    async def press_button(token: Annotated[str, Query(max_length=200)]) -> HTMLResponse:
        """Confirm the address, as the button on the page does."""
        try:
            registration = desk.confirm(token, clock.now())
        except UnknownRegistrationError:
            return HTMLResponse("<h1>Bağlantı geçersiz</h1>", status_code=404)
        status = 409 if registration.state is RegistrationState.REPLACED else 200
        return HTMLResponse(confirmation_page(registration), status_code=status)

    @router.get("/{registration_id}")
    async def read_registration(registration_id: str) -> RegistrationReport:
        """One registration."""
        return report(found(registration_id))

    @router.post("/{registration_id}/mail")
    async def send_again(registration_id: str) -> RegistrationReport:
        """Send the mail once more, as the portal's button does; the link stays the same."""
        return send_mail(found(registration_id))

    return router


def mailbox_routes(plan: WorldPlan, opened: OpenedMailboxes, providers: RunningProviders) -> APIRouter:
    """Opening KEP mailboxes at the providers."""
    router = APIRouter(prefix="/control/providers", tags=["providers"])

    @router.post("/{provider}/mailboxes", status_code=201)
    async def open_mailbox(provider: str, order: MailboxOrder) -> MailboxAccess:
        """Open a mailbox, ready for SMTP, IMAP and EYWS; it outlives a restart. DETSİS does not know of it yet."""
        served = any(
            found.name == provider and order.kep_address.endswith(f"@{found.domain}") for found in plan.providers
        )
        if not served:
            raise HTTPException(422, f"{provider} does not serve {order.kep_address}")
        taken = {found.kep_address for found in plan.institutions} | {found.address for found in opened}
        if order.kep_address in taken | {plan.detsis_sender.address}:
            raise HTTPException(409, f"{order.kep_address} exists")
        mailbox = OpenedMailbox(
            address=order.kep_address,
            institution_no=order.institution_no,
            password=order.password or secrets.token_urlsafe(18),
            second_password=secrets.token_urlsafe(18),
        )
        opened.add(mailbox)
        providers.open_account(mailbox.account)
        return MailboxAccess(
            address=mailbox.address,
            institution_no=mailbox.institution_no,
            username=mailbox.address,
            password=mailbox.password,
            agent_no=made_up_agent_no(mailbox.institution_no),
            second_password=mailbox.second_password or "",
        )

    return router
