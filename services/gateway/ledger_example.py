"""The ledger as the API's documentation shows it: one letter waits for credit, everything is accounted for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

from shared.contracts.outbound import InstitutionLedger, Ledger, LedgerSide, UnfinishedLetter

_NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
_SENDER = 10000001
_OUTBOUND = LedgerSide(
    accepted=1204, terminal=1203, in_flight=1, imbalance=0, states={"blocked": 1, "read": 1203}, oldest_in_flight_at=_NOW
)  # fmt: skip
_INBOUND = LedgerSide(accepted=877, terminal=877, in_flight=0, imbalance=0, states={"consumed": 877})
_OLDEST = UnfinishedLetter(
    message_id=UUID("0195578f-3a2b-7c4d-9e1f-2a3b4c5d6e7f"), institution_no=_SENDER, state="blocked", since=_NOW,
    reason_code="kep-credit-exhausted", reason="552 no credit left", next_step_at=_NOW + timedelta(minutes=15),
)  # fmt: skip
LEDGER = Ledger(
    outbound=_OUTBOUND.model_copy(update={"oldest": _OLDEST}),
    inbound=_INBOUND,
    institutions=[InstitutionLedger(institution_no=_SENDER, outbound=_OUTBOUND, inbound=_INBOUND)],
    checked_at=_NOW + timedelta(minutes=4),
)
