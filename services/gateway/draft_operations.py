"""What the operations on packages under way share: problems, headers, bodies, and the answer."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from services.gateway.conditional import matches
from services.gateway.drafts.drafting import Drafts
from services.gateway.drafts.rows import Draft
from services.gateway.operations import JSON_BODY, SCOPED
from shared.errors import ErrorCode

OCTETS = "application/octet-stream"
BY_ID = (*SCOPED, ErrorCode.VALIDATION_FAILED, ErrorCode.NOT_FOUND)
STEP = (*BY_ID, ErrorCode.STATE_CONFLICT)
JSON_STEP = (*JSON_BODY, *STEP)
RAW_STEP = (*STEP, ErrorCode.TOO_LARGE, ErrorCode.UPLOAD_TRUNCATED, ErrorCode.DIGEST_MISMATCH)
SIGNING = (*RAW_STEP, ErrorCode.SIGNATURE_INVALID, ErrorCode.SIGNER_UNAVAILABLE)
SEALING = (ErrorCode.PACKAGE_INVALID, ErrorCode.SIGNATURE_INVALID, ErrorCode.SIGNER_UNAVAILABLE)
FILLING = (ErrorCode.DIRECTORY_REFUSED, ErrorCode.DIRECTORY_UNAVAILABLE)
ETAG = {"ETag": "Of this state of the package, for If-None-Match and If-Match."}
_BYTES: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            OCTETS: {"schema": {"type": "string", "format": "binary"}, "example": "(the bytes)"},
        },
    },
}
_DIGESTS: list[dict[str, Any]] = [
    {
        "name": name, "in": "header", "required": False, "schema": {"type": "string", "maxLength": 500},
        "description": "SHA-256 or SHA-512 of the body (RFC 9530); other bytes are refused as `digest-mismatch`.",
    }
    for name in ("Repr-Digest", "Content-Digest")
]  # fmt: skip
FILE_BODY = {**_BYTES, "parameters": _DIGESTS}


async def draft_answer(request: Request, drafts: Drafts, draft: Draft) -> Response:
    """A package as it is now, under its ETag; 304 for a GET by who has that already."""
    etag = f'"{draft.row.revision}"'
    headers = {"ETag": etag, "Cache-Control": "private, no-cache"}
    if request.method == "GET" and matches(request.headers.get("if-none-match"), etag):
        return Response(status_code=304, headers=headers)
    body = (await drafts.answer(draft)).model_dump_json()
    return Response(body, media_type="application/json", headers=headers)
