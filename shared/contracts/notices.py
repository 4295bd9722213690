"""The notice of refusal, between gateway and kep_relay."""

from __future__ import annotations

from uuid import UUID

from pydantic import Field

from shared.contracts.base import Contract


class NoticeOrder(Contract):
    """``POST /internal/v1/inbound-messages/{message_id}/refusal-notice``: an authorised person has the sender told.

    One notice per letter: the same order again changes nothing, whatever id it names; another one is a
    state-conflict. The reasons are those of the recorded refusal.
    """

    notice_id: UUID
    """Id of the outgoing message, if this is the order that makes it."""
    decided_by: str = Field(min_length=1, max_length=200)
    """The person who has the notice sent."""
    text: str | None = Field(default=None, min_length=1, max_length=2000)
    """What that person adds; not of a letter whose content nobody on the way may read."""
    client_id: str
    correlation_id: str
