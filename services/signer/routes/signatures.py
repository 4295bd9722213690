"""POST /internal/v1/signatures and /seals, GET /keys and /trust."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from services.signer.keys import KeyRing
from services.signer.metrics import SignerMetrics
from services.signer.policy import POLICY_VERSION
from services.signer.routes.answers import AnchorList, TrustAnswer
from services.signer.routes.bodies import bounded, requester
from services.signer.sealing import Sealing
from services.signer.trust import ANCHOR_PURPOSES, TrustDirectory
from shared.contracts.signatures import SigningKey, SigningPurpose
from shared.errors import DomainError, ErrorCode

_SIGNATURE_TYPE = "application/pkcs7-signature"
KeyId = Annotated[str, Query(max_length=64)]
InstitutionNo = Annotated[int | None, Query(ge=10_000_000, le=99_999_999)]


def signature_routes(
    sealing: Sealing, keys: KeyRing, trust: TrustDirectory, metrics: SignerMetrics, *, file_limit: int, seal_limit: int
) -> APIRouter:
    """The two uses of a key, and what this signer holds."""
    router = APIRouter()

    @router.post("/signatures")
    async def sign(
        request: Request, key_id: KeyId, purpose: SigningPurpose, institution_no: InstitutionNo = None
    ) -> Response:
        with _counted(metrics, SigningPurpose.KEP_MESSAGE):
            if purpose is not SigningPurpose.KEP_MESSAGE:
                raise DomainError(ErrorCode.VALIDATION_FAILED, f"this resource signs for kep-message, not {purpose}")
            key = sealing.message_key(key_id, institution_no)
            signed = await sealing.sign_message(key, bounded(request, file_limit), requester(request))
        return Response(signed, media_type=_SIGNATURE_TYPE)

    @router.post("/seals")
    async def seal(request: Request, key_id: KeyId, institution_no: InstitutionNo = None) -> Response:
        with _counted(metrics, SigningPurpose.PACKAGE_SEAL):
            key = sealing.seal_key(key_id, institution_no)
            component = b"".join([chunk async for chunk in bounded(request, seal_limit)])
            signed = await sealing.seal(key, component, requester(request))
        return Response(signed, media_type=_SIGNATURE_TYPE)

    @router.get("/keys")
    async def list_keys() -> list[SigningKey]:
        return [key.describe() for key in keys.all()]

    @router.get("/trust")
    async def show_trust() -> TrustAnswer:
        store = trust.store
        return TrustAnswer(
            trust_store_sha256=store.sha256,
            policy_version=POLICY_VERSION,
            version=trust.version,
            approved_by=list(trust.approved_by),
            anchors=[AnchorList.of(purpose, store.anchors.get(purpose, ()), store.ends) for purpose in ANCHOR_PURPOSES],
        )

    return router


class _counted:  # noqa: N801 - reads as a statement
    def __init__(self, metrics: SignerMetrics, purpose: SigningPurpose) -> None:
        self._counter = metrics.signatures
        self._purpose = purpose.value

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, *_rest: object) -> None:
        self._counter.labels(self._purpose, "made" if kind is None else "refused").inc()
