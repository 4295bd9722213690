"""What a document system does that signs its KEP messages itself."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any
from uuid import uuid4

import httpx

from tests.support.stack import MEDIA_TYPE, PATIENCE, A, B, Stack


def form(package: bytes, **message: Any) -> dict[str, Any]:
    text = json.dumps({"institution_no": A, "recipients": [{"detsis_no": B}], **message})
    return {"message": (None, text, "application/json"), "package": ("letter.eyp", package, MEDIA_TYPE)}


def post(stack: Stack, path: str, files: dict[str, Any], *, key: str | None = None) -> httpx.Response:
    headers = {
        "Authorization": f"Bearer {stack.gateway.keys[str(A)]}", "Accept-Language": "en",
        "Idempotency-Key": key or str(uuid4()),
    }  # fmt: skip
    with httpx.Client(base_url=f"{stack.url}/v1", timeout=PATIENCE, trust_env=False) as client:
        return client.post(path, files=files, headers=headers)


def with_signature(parts: dict[str, Any], signature: bytes) -> dict[str, Any]:
    return parts | {"message_signature": ("smime.p7s", signature, "application/pkcs7-signature")}


def hand_over(stack: Stack, package: bytes, signature: bytes, *, key: str | None = None) -> httpx.Response:
    return post(stack, "/outbound-messages", with_signature(form(package), signature), key=key)


def to_be_signed(stack: Stack, package: bytes) -> bytes:
    answer = post(stack, "/message-contents", form(package))
    assert answer.status_code == 200, answer.text
    digest = base64.b64encode(hashlib.sha256(answer.content).digest()).decode()
    assert answer.headers["Repr-Digest"] == f"sha-256=:{digest}:"
    return answer.content


def signed(stack: Stack, content: bytes, **options: Any) -> bytes:
    """By a person of A, as with a smart card."""
    options = {"sender_no": A, "detached": True} | options
    return stack.control("POST", "/signatures", content=content, params=options).content
