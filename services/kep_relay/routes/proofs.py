"""The proof of an outgoing letter, as a file."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter

from services.kep_relay.proof.bundle import Proofs
from services.kep_relay.routes.institutions import Institutions
from shared.files import FileAnswer


def proof_routes(proofs: Proofs) -> APIRouter:
    """A letter of another institution is NOT_FOUND."""
    router = APIRouter()

    @router.get("/outbound-messages/{message_id}/proof", response_model=None)
    async def proof(message_id: UUID, institution: Institutions) -> FileAnswer:
        bundle = await proofs.make(message_id, institution)
        headers = {
            "Content-Length": str(bundle.size),
            "X-Content-SHA256": bundle.sha256,
            "X-Proof-Timestamped": str(bundle.timestamped).lower(),
        }
        return FileAnswer(bundle.file, "application/zip", headers)

    return router
