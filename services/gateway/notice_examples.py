"""Examples of notices of refusal for the OpenAPI document."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from services.gateway import examples
from services.gateway.schemas.inbound import RefusalNoticeBody
from shared.contracts.outbound import OutboundKind, OutboundMessage
from shared.domain.message import OutboundState

ORDER = RefusalNoticeBody(decided_by="Evrak Birimi, F. Örnek", text="Eksik ek ayrıca gönderilebilir.")
_RECIPIENT = examples.ACCEPTED.recipients[0]
NOTICE = OutboundMessage(
    message_id=UUID("0195578f-9d11-7a2c-8e3f-1b2c3d4e5f60"), kind=OutboundKind.NOTICE,
    reply_to=examples.INBOUND.message_id, institution_no=examples.INBOUND.institution_no, client_ref=None,
    subject="Ret bildirimi", document_id=None, document_no=None,
    package_sha256=examples.ACCEPTED.package_sha256, package_size=1204, package_filename="ret-bildirimi.txt",
    state=OutboundState.QUEUED, state_counts={"queued": 1},
    accepted_at=examples.INBOUND.received_at + timedelta(hours=4),
    updated_at=examples.INBOUND.received_at + timedelta(hours=4),
    expires_at=examples.INBOUND.received_at + timedelta(hours=76),
    recipients=[
        _RECIPIENT.model_copy(
            update={
                "detsis_no": None, "kep_address": examples.INBOUND.sender_address, "address_rule": "reply",
            }
        )
    ],
)  # fmt: skip
