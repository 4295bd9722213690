"""Examples of second factors for the documentation of the API."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from services.gateway.schemas.second_factor import ChallengeBody, ConfirmationBody
from shared.contracts.second_factor import SecondFactor, SecondFactorState

_NOW = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
_WHO = "Ayşe Yılmaz"

NEEDED = SecondFactor(
    mailbox_id="ornek-bakanligi", state=SecondFactorState.NEEDED, reason="Güvenli giriş yapılmalıdır", needed_at=_NOW,
    challenges_left=2,
)  # fmt: skip
BEGINNING = ChallengeBody(by=_WHO)
CHALLENGED = NEEDED.model_copy(
    update={
        "state": SecondFactorState.CHALLENGED, "kind": "sms", "challenged_at": _NOW + timedelta(minutes=5),
        "challenged_by": _WHO, "challenges_left": 1,
    }
)  # fmt: skip
CONFIRMING = ConfirmationBody(by=_WHO, sms_code="135790")
CONFIRMED = CHALLENGED.model_copy(
    update={
        "state": SecondFactorState.CONFIRMED, "kind": None, "reason": None, "challenges_left": 2,
        "confirmed_at": _NOW + timedelta(minutes=6), "confirmed_by": _WHO,
    }
)  # fmt: skip
