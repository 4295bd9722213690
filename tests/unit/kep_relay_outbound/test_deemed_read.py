"""A letter that counts as read is only shown so: by the rule chosen, while it is delivered and not read."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from services.kep_relay.outbound.deemed_read import DeemedRead, DeemedReadRule
from shared.contracts.outbound import OutboundMessage, RecipientStatus
from shared.domain.message import OutboundState
from shared.domain.working_days import WorkingDays

FRIDAY = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


def letter(*, delivered: datetime | None, read: datetime | None = None) -> OutboundMessage:
    recipient = RecipientStatus(
        recipient_id=UUID(int=1), detsis_no=10000002, state=OutboundState.DELIVERED, message_id_header="<a@b>",
        rem_id="r", attempts=1, delivered_at=delivered, read_at=read,
    )  # fmt: skip
    return OutboundMessage(
        message_id=UUID(int=2), institution_no=10000001, client_ref=None, subject="s", document_id=None,
        document_no=None, package_sha256="0" * 64, package_size=1, package_filename="a.eyp",
        state=OutboundState.DELIVERED, state_counts={}, accepted_at=FRIDAY, updated_at=FRIDAY, expires_at=None,
        recipients=[recipient],
    )  # fmt: skip


def shown(rule: DeemedReadRule, message: OutboundMessage) -> tuple[datetime | None, str | None]:
    (recipient,) = DeemedRead(rule, WorkingDays()).shown_in(message).recipients
    assert recipient.state is OutboundState.DELIVERED
    assert recipient.read_at == message.recipients[0].read_at
    return recipient.deemed_read_at, recipient.deemed_read_rule


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (DeemedReadRule.NONE, (None, None)),
        (DeemedReadRule.AFTER_24_HOURS, (FRIDAY + timedelta(hours=24), "24-hours")),
        # Monday at 17.00 in Turkey.
        (DeemedReadRule.END_OF_NEXT_WORKING_DAY, (datetime(2026, 11, 23, 14, 0, tzinfo=UTC), "next-working-day")),
    ],
)
def test_rules(rule: DeemedReadRule, expected: tuple[datetime | None, str | None]) -> None:
    assert shown(rule, letter(delivered=FRIDAY)) == expected


@pytest.mark.parametrize("rule", DeemedReadRule)
def test_not_of_what_is_not_delivered_or_was_read(rule: DeemedReadRule) -> None:
    assert shown(rule, letter(delivered=None)) == (None, None)
    assert shown(rule, letter(delivered=FRIDAY, read=FRIDAY)) == (None, None)
