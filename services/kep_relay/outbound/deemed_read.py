"""When a letter counts as read although nobody opened it: a figure that is worked out, never a state (legal.md L.35). Pure.

No text of law for a general rule was found, so there is none unless the operator chooses one; nothing else in this
service looks at it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from shared.contracts.outbound import OutboundMessage, RecipientStatus
from shared.domain.working_days import HalfDays, WorkingDays

_DAY = timedelta(hours=24)


class DeemedReadRule(StrEnum):
    """The rules that circulate (kep.md 1.5)."""

    NONE = "none"
    AFTER_24_HOURS = "24-hours"
    END_OF_NEXT_WORKING_DAY = "next-working-day"


@dataclass(frozen=True)
class DeemedRead:
    """The rule of this installation."""

    rule: DeemedReadRule
    calendar: WorkingDays

    def moment(self, delivered_at: datetime) -> datetime | None:
        """When a letter delivered at ``delivered_at`` counts as read; None without a rule."""
        if self.rule is DeemedReadRule.AFTER_24_HOURS:
            return delivered_at + _DAY
        if self.rule is DeemedReadRule.END_OF_NEXT_WORKING_DAY:
            return self.calendar.after(delivered_at, 1, HalfDays.SKIP).ends_at
        return None

    def shown_in(self, message: OutboundMessage) -> OutboundMessage:
        """The letter with the figure for each recipient that has it delivered and not read."""
        if self.rule is DeemedReadRule.NONE:
            return message
        return message.model_copy(update={"recipients": [self._recipient(item) for item in message.recipients]})

    def _recipient(self, status: RecipientStatus) -> RecipientStatus:
        if status.delivered_at is None or status.read_at is not None:
            return status
        found = {"deemed_read_at": self.moment(status.delivered_at), "deemed_read_rule": self.rule.value}
        return status.model_copy(update=found)
