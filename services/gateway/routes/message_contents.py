"""What is to be signed of a letter's KEP messages, for document systems that sign them themselves."""

from __future__ import annotations

import asyncio
import hashlib
import tempfile
from contextlib import ExitStack

from fastapi import APIRouter, Request
from starlette.responses import Response

from services.gateway import examples
from services.gateway.callers import Scope
from services.gateway.conditional import attachment, digest_headers
from services.gateway.deps import CurrentCaller, GatewayParts
from services.gateway.forms import form_document, read_json_part
from services.gateway.operations import FORM_BODY, SCOPED, operation
from services.gateway.routes.outbound import JUDGED, letter_form
from services.gateway.schemas.outbound import OutboundMessageRequest
from services.gateway.uploads import receive_form
from shared.files import FileAnswer

router = APIRouter(prefix="/v1/message-contents", tags=["Outgoing letters"])


@router.post(
    "",
    response_class=Response,
    operation_id="prepareMessageContent",
    summary="Get what is to be signed",
    **operation(
        Scope.MESSAGES_SEND, problems=(*FORM_BODY, *SCOPED, *JUDGED), binary=("application/octet-stream",),
        headers={"Content-Disposition": "A file name.", "Repr-Digest": "RFC 9530."},
        extra={"requestBody": form_document(OutboundMessageRequest, examples.SUBMISSION, package_required=False)},
    ),
)  # fmt: skip
async def prepare_content(request: Request, caller: CurrentCaller, gateway: GatewayParts) -> Response:
    """The part of the letter's KEP messages that a signature covers, for document systems that sign them themselves.

    Send the form that will hand the letter over. The answer's exact bytes are signed with a detached CAdES signature
    (SHA-256, SHA-384 or SHA-512, the signer's certificate in it), as in `openssl cms -sign -cades -binary -outform DER
    -in content`; the same form with that signature as `message_signature` then goes to `/v1/outbound-messages`. One
    signature serves all recipients. The bytes follow from the package alone, so nothing is stored and no time is
    limited. What would not be accepted now is refused here, before anybody signs.
    """
    digest, size = hashlib.sha256(), 0
    with ExitStack() as stack:
        async with receive_form(request, letter_form(gateway), gateway.spool) as form:
            message = read_json_part(OutboundMessageRequest, "message", form.fields["message"])
            spool = stack.enter_context(await asyncio.to_thread(tempfile.TemporaryFile, "w+b", dir=gateway.spool))
            async with (
                gateway.finishing.handed_over(caller, message, form.files.get("package")) as package,
                gateway.submissions.message_content(caller, message, package) as content,
            ):
                async for chunk in content.aiter_bytes():
                    digest.update(chunk)
                    size += len(chunk)
                    await asyncio.to_thread(spool.write, chunk)
        stack.pop_all()  # the answer closes it
    headers = {
        "Content-Disposition": attachment("message-content"), "Content-Length": str(size), "Cache-Control": "no-store",
    }  # fmt: skip
    return FileAnswer(spool, "application/octet-stream", headers | digest_headers(digest.hexdigest()))
