"""Whether a letter handed over now would go out at once: one named check per thing that must hold."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

from services.kep_relay.drivers.protocol import KepDriver
from services.kep_relay.mailboxes import AddressBook, Mailboxes
from services.kep_relay.tables import MailboxRow
from shared.clock import Clock
from shared.contracts.mailboxes import MailboxReadiness, ReadinessCheck
from shared.contracts.signatures import SigningKey, SigningPurpose
from shared.errors import DomainError

KeyLookup = Callable[[str], Awaitable[SigningKey | None]]
"""The signing key of that id, None if signer has none; raises ``DomainError`` when it cannot be asked."""

MoreChecks = Callable[[MailboxRow], Awaitable[list[ReadinessCheck]]]
"""Checks that only some providers' accounts have."""

CERTIFICATE_WARNING = timedelta(days=30)
"""From so long before its end the certificate's check says so (kep.md 7.41); it fails only at the end."""

_RECENT_SUBMISSION = timedelta(minutes=5)
_PROBE_KEPT_SECONDS = 30.0
_LEAST_POLL_PATIENCE = timedelta(minutes=2)


class ReadinessOfMailboxes:
    """Answers for one mailbox at a time. A look at the provider is kept for a while: dashboards ask often."""

    def __init__(
        self,
        *,
        mailboxes: Mailboxes,
        addresses: AddressBook,
        driver: KepDriver,
        key: KeyLookup,
        clock: Clock,
        account: MoreChecks | None = None,
    ) -> None:
        self._mailboxes = mailboxes
        self._addresses = addresses
        self._driver = driver
        self._key = key
        self._clock = clock
        self._account = account
        self._probes: dict[tuple[str, int], tuple[float, str | None]] = {}

    async def check(self, row: MailboxRow) -> MailboxReadiness:
        """All checks of a mailbox; ready when every one holds."""
        submission, (key, certificate) = await asyncio.gather(self._submission(row), self._signing(row))
        checks = [
            ReadinessCheck(
                id="configuration",
                ok=row.active and row.sends and self._addresses.allows(row.address),
                detail=self._configuration(row),
            ),
            ReadinessCheck(
                id="account",
                ok=row.stopped_at is None,
                detail="in use" if row.stopped_at is None else f"stopped: {row.stopped_reason}",
            ),
            submission,
            polling_check(row, self._clock.now()),
            key,
            certificate,
            *([] if self._account is None else await self._account(row)),
        ]
        return MailboxReadiness(
            mailbox_id=row.mailbox_id,
            ready=all(item.ok for item in checks),
            last_successful_poll_at=row.last_successful_poll_at,
            checks=checks,
        )

    def _configuration(self, row: MailboxRow) -> str:
        if not row.active:
            return "the mailbox is switched off"
        if not row.sends:
            return "the mailbox only receives"
        if not self._addresses.allows(row.address):
            return "the address is outside the configured KEP domains"
        return "active, sends"

    async def _submission(self, row: MailboxRow) -> ReadinessCheck:
        now = self._clock.now()
        recent = row.last_submission_at is not None and now - row.last_submission_at < _RECENT_SUBMISSION
        if recent and row.last_submission_fault is None:
            return ReadinessCheck(id="submission", ok=True, detail="the provider answered a submission just now")
        fault = await self._probe(row)
        return ReadinessCheck(id="submission", ok=fault is None, detail=fault or "the provider answers")

    async def _probe(self, row: MailboxRow) -> str | None:
        loop = asyncio.get_running_loop()
        kept = self._probes.get((row.mailbox_id, row.revision))
        if kept is not None and loop.time() - kept[0] < _PROBE_KEPT_SECONDS and kept[1] is None:
            return None
        try:
            await self._driver.probe(self._mailboxes.account(row))
            fault = None
        except DomainError as error:
            fault = error.detail
        self._probes[row.mailbox_id, row.revision] = (loop.time(), fault)
        return fault

    async def _signing(self, row: MailboxRow) -> tuple[ReadinessCheck, ReadinessCheck]:
        if row.signing_key_id is None:
            none = "none here: each letter brings its message's signature along"
            return (
                ReadinessCheck(id="signing-key", ok=True, detail=none),
                ReadinessCheck(id="certificate", ok=True, detail=none),
            )
        try:
            key = await self._key(row.signing_key_id)
        except DomainError as error:
            unknown = f"signer cannot be asked: {error.detail}"
            return (
                ReadinessCheck(id="signing-key", ok=False, detail=unknown),
                ReadinessCheck(id="certificate", ok=False, detail=unknown),
            )
        if key is None or key.institution_no != row.institution_no or SigningPurpose.KEP_MESSAGE not in key.purposes:
            missing = f"signer has no key {row.signing_key_id!r} for this institution's KEP messages"
            return (
                ReadinessCheck(id="signing-key", ok=False, detail=missing),
                ReadinessCheck(id="certificate", ok=False, detail=missing),
            )
        return (
            ReadinessCheck(id="signing-key", ok=True, detail=key.subject),
            _certificate(key.not_after, self._clock.now()),
        )


def polling_check(row: MailboxRow, now: datetime) -> ReadinessCheck:
    """Whether the mailbox was read not too long ago."""
    patience = max(timedelta(seconds=3 * row.poll_interval_seconds), _LEAST_POLL_PATIENCE)
    last = row.last_successful_poll_at
    if last is None:
        return ReadinessCheck(id="polling", ok=False, detail=row.last_poll_fault or "the mailbox has not been read yet")
    if now - last > patience:
        detail = f"last read at {last.isoformat()}: {row.last_poll_fault or 'no fault recorded'}"
        return ReadinessCheck(id="polling", ok=False, detail=detail)
    return ReadinessCheck(id="polling", ok=True, detail=f"last read at {last.isoformat()}")


def _certificate(not_after: datetime, now: datetime) -> ReadinessCheck:
    left = not_after - now
    days = max(0, left.days)
    if left <= timedelta(0):
        return ReadinessCheck(id="certificate", ok=False, detail=f"ran out at {not_after.isoformat()}")
    warning = ": renew it" if left < CERTIFICATE_WARNING else ""
    return ReadinessCheck(id="certificate", ok=True, detail=f"{days} days left{warning}")
