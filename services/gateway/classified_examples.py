"""Examples of incidents with classified letters for the OpenAPI document."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

from services.gateway.schemas.classified import ClosingBody
from shared.contracts.classified import ClassifiedIncident, ClassifiedIncidents, FoundIn, IncidentClosing

_NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
_SHA256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"

INCIDENT = ClassifiedIncident(
    incident_id=UUID("0195578f-7c3d-7e21-9f0a-445566778899"),
    message_id=UUID("0195578f-3a2b-7c4d-9e1f-2a3b4c5d6e7f"),
    institution_no=10000002, mailbox_address="ornek.belediyesi@hs02.example.kep.tr",
    sender_address="ornek.bakanligi@hs01.example.kep.tr", degree="secret", found_in=FoundIn.PACKAGE,
    raw_sha256=_SHA256, raw_size=140213, package_sha256=_SHA256, state_before="parsed", rule="L.27",
    rules_of="2022-04-26", measure="sealed", received_at=_NOW, detected_at=_NOW + timedelta(seconds=1),
)  # fmt: skip
INCIDENTS = ClassifiedIncidents(incidents=[INCIDENT])
CLOSING = ClosingBody(decision="Gönderen uyarıldı; kopya tutanakla imha edilecek.", decided_by="Örnek Görevli")
CLOSED = INCIDENT.model_copy(
    update={
        "closing": IncidentClosing(
            decision=CLOSING.decision, decided_by=CLOSING.decided_by, closed_at=_NOW + timedelta(hours=3)
        )
    }
)
