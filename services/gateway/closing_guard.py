"""Keeps a KEP mailbox open while DETSİS lists its address or a registration needs it (EK-2/5, legal.md L.2)."""

from __future__ import annotations

from services.gateway.callers import Caller
from services.gateway.deps import Gateway
from services.gateway.schemas.admin import MailboxBody
from shared.contracts.directory.registrations import AddressGuard
from shared.contracts.mailboxes import Mailbox
from shared.domain.identifiers import ascii_lower
from shared.errors import DomainError, ErrorCode


async def allow_change(gateway: Gateway, caller: Caller, mailbox_id: str, body: MailboxBody) -> None:
    """Return if the change may be made, writing a forced one down first.

    Raises KEP_ADDRESS_LISTED, and DIRECTORY_UNAVAILABLE when nobody can say whether DETSİS lists the
    address: what is not known to be free is not closed. ``force_reason`` overrides both, for a stolen
    account must be shut off at once.
    """
    stored = next(
        (item for item in await gateway.relay.mailboxes([body.institution_no]) if item.mailbox_id == mailbox_id), None
    )
    if stored is None or not _closes(stored, body):
        return
    address = stored.configuration.address
    if body.force_reason is not None:
        await gateway.audit(
            caller, "mailbox.closed-by-force", mailbox_id, address=address, reason=body.force_reason,
            institution=body.institution_no,
        )  # fmt: skip
        return
    guard = await gateway.registrations.guard(body.institution_no, address)
    if guard.verdict == "unknown":
        raise DomainError(
            ErrorCode.DIRECTORY_UNAVAILABLE,
            f"neither DETSİS nor a fresh mirror can say whether {address} is still listed, so its mailbox stays open",
            retry_after_seconds=60,
        )
    if guard.verdict != "free":
        raise DomainError(ErrorCode.KEP_ADDRESS_LISTED, _reason(guard))


def _closes(stored: Mailbox, body: MailboxBody) -> bool:
    """Whether mail to the stored address would no longer be read."""
    moved = ascii_lower(body.address.strip()) != stored.configuration.address
    return stored.configuration.active and (moved or not body.active)


def _reason(guard: AddressGuard) -> str:
    if guard.verdict == "in-registration":
        return f"registration {guard.registration_id} needs {guard.address}: end it first"
    standing = "" if guard.standing is None else f" ({guard.standing.value})"
    when = "" if guard.as_of is None else f" as of {guard.as_of.isoformat()}"
    return f"DETSİS lists {guard.address} for {guard.detsis_no}{standing}, asked {guard.source}{when}"
