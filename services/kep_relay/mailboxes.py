"""KEP accounts: configuration with the password encrypted, stopping, and the lease of the one that drains."""

from __future__ import annotations

import asyncio
import contextlib
import fnmatch
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from uuid import UUID

import structlog
from sqlalchemy import ColumnElement, and_, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from services.kep_relay.drivers.protocol import EywsAccount, MailboxAccount
from services.kep_relay.tables import InstanceRow, MailboxRow, OutboundMessageRow, OutboundRecipientRow
from shared.clock import Clock
from shared.contracts.mailboxes import EywsService, Mailbox, MailboxConfiguration, ServerAddress
from shared.db.session import Database, UnitOfWork
from shared.domain.identifiers import KepAddress, kep_address
from shared.domain.message import OutboundState
from shared.errors import DomainError, ErrorCode, Fault
from shared.secrets import SecretBox

log = structlog.get_logger(__name__)


class AddressBook:
    """Which KEP addresses this installation may write from and to (kep.md 7.43)."""

    def __init__(self, domains: Sequence[str]) -> None:
        self._patterns = [pattern.lower() for pattern in domains]

    def allows(self, address: str) -> bool:
        """Whether the address's domain is one of the configured ones."""
        domain = address.rpartition("@")[2].lower()
        return any(fnmatch.fnmatchcase(domain, pattern) for pattern in self._patterns)


class Mailboxes:
    """The configured mailboxes. Passwords leave only as part of a ``MailboxAccount``, for drivers."""

    def __init__(self, secrets: SecretBox, addresses: AddressBook, clock: Clock) -> None:
        self._secrets = secrets
        self._addresses = addresses
        self._clock = clock

    def account(self, row: MailboxRow) -> MailboxAccount:
        """The row as drivers need it. Raises SERVICE_UNAVAILABLE when no configured key opens the password."""
        return MailboxAccount(
            mailbox_id=row.mailbox_id,
            institution_no=row.institution_no,
            address=KepAddress(row.address),
            username=row.username,
            password=self._secrets.decrypt(row.password_token),
            smtp=_smtp(row),
            imap=_imap(row),
            inbox_folder=row.inbox_folder,
            sent_folder=row.sent_folder,
            revision=row.revision,
            eyws=self._eyws(row),
        )

    def _eyws(self, row: MailboxRow) -> EywsAccount | None:
        if row.eyws_url is None or row.eyws_agent_token is None or row.eyws_second_password_token is None:
            return None
        service = _service(row)
        assert service is not None
        return EywsAccount(
            url=service.url,
            fallback_url=service.fallback_url,
            ca_file=service.ca_file,
            agent_no=self._secrets.decrypt(row.eyws_agent_token),
            second_password=self._secrets.decrypt(row.eyws_second_password_token),
            login=service.login,
        )

    async def put(
        self, work: UnitOfWork, mailbox_id: str, configuration: MailboxConfiguration
    ) -> tuple[MailboxRow, bool]:
        """Create or change a mailbox; returns its row and whether it is new.

        A change lifts a stop, and letters that wait for this mailbox are looked at again at once.
        Raises VALIDATION_FAILED for an address outside the configured domains or a missing secret that
        nothing is stored for, STATE_CONFLICT when the address or the institution's sending mailbox exists already.
        """
        address = self._checked_address(configuration.address)
        now = self._clock.now()
        row = await work.session.get(MailboxRow, mailbox_id, with_for_update=True)
        created = row is None
        if row is None:
            if configuration.password is None:
                raise DomainError(
                    ErrorCode.VALIDATION_FAILED,
                    "a new mailbox needs a password",
                    faults=[Fault("/password", "is missing")],
                )
            row = MailboxRow(mailbox_id=mailbox_id, revision=0, created_at=now)
        elif row.institution_no != configuration.institution_no:
            raise DomainError(ErrorCode.STATE_CONFLICT, "the mailbox belongs to another institution")
        _assign(row, configuration, address)
        if configuration.password is not None:
            row.password_token = self._secrets.encrypt(configuration.password)
        self._assign_service(row, configuration.eyws)
        row.revision += 1
        row.updated_at = now
        row.stopped_at = row.stopped_code = row.stopped_reason = None
        row.last_submission_fault = None
        try:
            async with work.session.begin_nested():
                work.session.add(row)
        except IntegrityError as error:
            raise DomainError(
                ErrorCode.STATE_CONFLICT,
                "the address is in use by another mailbox, or the institution has another active sending mailbox",
            ) from error
        await work.session.execute(
            update(OutboundRecipientRow)
            .where(
                OutboundRecipientRow.state.in_([OutboundState.BLOCKED, OutboundState.RETRY_WAIT]),
                OutboundRecipientRow.message_id.in_(
                    select(OutboundMessageRow.message_id).where(OutboundMessageRow.mailbox_id == mailbox_id)
                ),
            )
            .values(next_attempt_at=now)
            .execution_options(synchronize_session=False)
        )
        return row, created

    def _assign_service(self, row: MailboxRow, service: EywsService | None) -> None:
        if service is None:
            row.eyws_url = row.eyws_fallback_url = row.eyws_ca_file = row.eyws_login = None
            row.eyws_agent_token = row.eyws_second_password_token = None
            return
        row.eyws_url, row.eyws_fallback_url = service.url, service.fallback_url
        row.eyws_ca_file, row.eyws_login = service.ca_file, service.login
        if service.agent_no is not None:
            row.eyws_agent_token = self._secrets.encrypt(service.agent_no)
        if service.second_password is not None:
            row.eyws_second_password_token = self._secrets.encrypt(service.second_password)
        stored = {"agent_no": row.eyws_agent_token, "second_password": row.eyws_second_password_token}
        faults = [Fault(f"/eyws/{name}", "is missing") for name, token in stored.items() if token is None]
        if faults:
            detail = "access over the SOAP service needs the agent's number and the second password"
            raise DomainError(ErrorCode.VALIDATION_FAILED, detail, faults=faults)

    def _checked_address(self, text: str) -> KepAddress:
        try:
            address = kep_address(text)
        except ValueError as error:
            raise DomainError(
                ErrorCode.VALIDATION_FAILED, str(error), faults=[Fault("/address", str(error))]
            ) from error
        if not self._addresses.allows(address):
            detail = "the address's domain is not among the configured KEP domains"
            raise DomainError(ErrorCode.VALIDATION_FAILED, detail, faults=[Fault("/address", detail)])
        return address


async def sending_mailbox(session: AsyncSession, institution_no: int) -> MailboxRow:
    """The institution's active sending mailbox; MAILBOX_MISSING if there is none."""
    row = await session.scalar(
        select(MailboxRow).where(
            MailboxRow.institution_no == institution_no, MailboxRow.sends.is_(True), MailboxRow.active.is_(True)
        )
    )
    if row is None:
        raise DomainError(ErrorCode.MAILBOX_MISSING, "the institution has no active mailbox that sends")
    return row


async def owned_mailbox(session: AsyncSession, mailbox_id: str, institutions: Sequence[int]) -> MailboxRow:
    """The mailbox if it belongs to one of ``institutions``; NOT_FOUND otherwise."""
    row = await session.get(MailboxRow, mailbox_id)
    if row is None or row.institution_no not in institutions:
        raise DomainError(ErrorCode.NOT_FOUND, "no such mailbox")
    return row


async def stop_account(
    work: UnitOfWork, mailbox_id: str, *, revision: int, clock: Clock, code: str, reason: str
) -> None:
    """Stop using an account whose login was refused, until its configuration changes (kep.md 7.4).

    Does nothing if the configuration has changed since ``revision`` was tried.
    """
    await work.session.execute(
        update(MailboxRow)
        .where(MailboxRow.mailbox_id == mailbox_id, MailboxRow.revision == revision, MailboxRow.stopped_at.is_(None))
        .values(stopped_at=clock.now(), stopped_code=code, stopped_reason=reason[:500])
        .execution_options(synchronize_session=False)
    )
    log.error("mailbox_stopped", mailbox=mailbox_id, code=code, reason=reason)


def describe(row: MailboxRow) -> Mailbox:
    """The mailbox as other services see it: without its password."""
    return Mailbox(
        mailbox_id=row.mailbox_id,
        configuration=MailboxConfiguration.model_validate(
            {
                "institution_no": row.institution_no,
                "address": row.address,
                "driver": row.driver,
                "username": row.username,
                "smtp": _smtp(row),
                "imap": _imap(row),
                "eyws": _service(row),
                "inbox_folder": row.inbox_folder,
                "sent_folder": row.sent_folder,
                "poll_interval_seconds": row.poll_interval_seconds,
                "read_policy": row.read_policy,
                "signing_key_id": row.signing_key_id,
                "sends": row.sends,
                "active": row.active,
            }
        ),
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def _assign(row: MailboxRow, configuration: MailboxConfiguration, address: KepAddress) -> None:
    row.institution_no = configuration.institution_no
    row.address = address
    row.driver = configuration.driver
    row.username = configuration.username
    row.smtp_host, row.smtp_port, row.smtp_tls, row.smtp_ca_file = _server_columns(configuration.smtp)
    row.imap_host, row.imap_port, row.imap_tls, row.imap_ca_file = _server_columns(configuration.imap)
    row.inbox_folder = configuration.inbox_folder
    row.sent_folder = configuration.sent_folder
    row.poll_interval_seconds = configuration.poll_interval_seconds
    row.read_policy = configuration.read_policy
    row.signing_key_id = configuration.signing_key_id
    row.sends = configuration.sends
    row.active = configuration.active


def _server_columns(server: ServerAddress | None) -> tuple[str | None, int | None, str | None, str | None]:
    return (None, None, None, None) if server is None else (server.host, server.port, server.tls, server.ca_file)


def _service(row: MailboxRow) -> EywsService | None:
    """The SOAP service without its secrets."""
    if row.eyws_url is None:
        return None
    return EywsService.model_validate(
        {
            "url": row.eyws_url,
            "fallback_url": row.eyws_fallback_url,
            "ca_file": row.eyws_ca_file,
            "login": row.eyws_login,
        }
    )


def _smtp(row: MailboxRow) -> ServerAddress | None:
    if row.smtp_host is None:
        return None
    return ServerAddress.model_validate(
        {"host": row.smtp_host, "port": row.smtp_port, "tls": row.smtp_tls, "ca_file": row.smtp_ca_file}
    )


def _imap(row: MailboxRow) -> ServerAddress | None:
    if row.imap_host is None:
        return None
    return ServerAddress.model_validate(
        {"host": row.imap_host, "port": row.imap_port, "tls": row.imap_tls, "ca_file": row.imap_ca_file}
    )


class MailboxLease:
    """The right to drain one mailbox. ``lost`` is set when it could not be renewed in time: stop then."""

    def __init__(self, mailbox_id: str) -> None:
        self.mailbox_id = mailbox_id
        self.lost = asyncio.Event()


@asynccontextmanager
async def mailbox_lease(
    database: Database, mailbox_id: str, *, revision: int, instance_id: UUID, clock: Clock, ttl_seconds: float
) -> AsyncIterator[MailboxLease | None]:
    """Hold the drain lease of a mailbox for the block; None when another instance holds it.

    None as well when the mailbox was stopped or changed since ``revision`` was read: a password the
    provider has just refused must not be tried again. Renewed every third of ``ttl_seconds``; given
    back at the end.
    """
    as_known = and_(
        MailboxRow.revision == revision, MailboxRow.active.is_(True), MailboxRow.stopped_at.is_(None)
    )  # fmt: skip
    good_until = asyncio.get_running_loop().time() + ttl_seconds
    if not await _take_lease(database, mailbox_id, instance_id, clock, ttl_seconds, as_known):
        yield None
        return
    lease = MailboxLease(mailbox_id)
    renewing = asyncio.create_task(_keep_lease(database, lease, instance_id, clock, ttl_seconds, good_until))
    try:
        yield lease
    finally:
        renewing.cancel()
        await asyncio.wait({renewing})
        with contextlib.suppress(DomainError):
            async with database.autocommit() as session:
                await session.execute(
                    update(MailboxRow)
                    .where(MailboxRow.mailbox_id == mailbox_id, MailboxRow.leased_by == instance_id)
                    .values(leased_by=None, lease_expires_at=None)
                    .execution_options(synchronize_session=False)
                )


async def _take_lease(
    database: Database,
    mailbox_id: str,
    instance_id: UUID,
    clock: Clock,
    ttl_seconds: float,
    *conditions: ColumnElement[bool],
) -> bool:
    now = clock.now()
    holder_alive = (
        select(InstanceRow.instance_id)
        .where(InstanceRow.instance_id == MailboxRow.leased_by, InstanceRow.expires_at > now)
        .exists()
    )
    async with database.autocommit() as session:
        taken = await session.execute(
            update(MailboxRow)
            .where(
                MailboxRow.mailbox_id == mailbox_id,
                *conditions,
                or_(
                    MailboxRow.leased_by.is_(None),
                    MailboxRow.leased_by == instance_id,
                    MailboxRow.lease_expires_at <= now,
                    ~holder_alive,
                ),
            )
            .values(leased_by=instance_id, lease_expires_at=now + timedelta(seconds=ttl_seconds))
            .returning(MailboxRow.mailbox_id)
            .execution_options(synchronize_session=False)
        )
        return taken.scalar_one_or_none() is not None


async def _keep_lease(
    database: Database,
    lease: MailboxLease,
    instance_id: UUID,
    clock: Clock,
    ttl_seconds: float,
    good_until: float,
) -> None:
    # Counted from before each renewal, so it errs on the safe side.
    loop = asyncio.get_running_loop()
    while loop.time() < good_until:
        await asyncio.sleep(ttl_seconds / 3)
        before = loop.time()
        try:
            async with asyncio.timeout_at(good_until):
                if not await _take_lease(database, lease.mailbox_id, instance_id, clock, ttl_seconds):
                    break
        except TimeoutError:
            break
        except DomainError as error:
            log.warning("mailbox_lease_not_renewed", mailbox=lease.mailbox_id, reason=error.detail)
            continue
        except Exception:
            # Whoever reads the mailbox on would do so without a right, beside the next one.
            log.exception("mailbox_lease_broke", mailbox=lease.mailbox_id)
            break
        good_until = before + ttl_seconds
    lease.lost.set()
    log.warning("mailbox_lease_lost", mailbox=lease.mailbox_id)
