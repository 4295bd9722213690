"""The append-only audit log."""

from __future__ import annotations

from typing import Any

from sqlalchemy import insert

from services.gateway.callers import Caller
from services.gateway.tables import AuditEntry
from shared.clock import Clock
from shared.db.session import UnitOfWork
from shared.telemetry.logging import correlation_id


async def record(
    work: UnitOfWork, clock: Clock, *, actor: Caller | None, action: str, subject: str, **detail: str | int | list[str]
) -> None:
    """Add one line in the caller's transaction: the change and its trace are one. ``detail`` holds no secret."""
    values: dict[str, Any] = {
        "at": clock.now(),
        "client_id": actor.client_id if actor else None,
        "key_prefix": actor.key_prefix if actor else None,
        "action": action,
        "subject": subject,
        "detail": detail,
        "correlation_id": correlation_id.get() or None,
    }
    await work.session.execute(insert(AuditEntry).values(values))
