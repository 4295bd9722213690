"""Bounds a request body before anything reads it: large where files come in, small elsewhere."""

from __future__ import annotations

import re

from starlette.types import ASGIApp, Receive, Scope, Send

from services.gateway.problems import ProblemAnswers
from shared.http import RequestBodyLimit

JSON_LIMIT = 256 * 1024
CERTIFICATES_LIMIT = 2 * 1024 * 1024
"""As many certificates as one request may ask about, each as long as it may be."""
FORM_SLACK = 512 * 1024
"""What a form may have besides its file: boundaries, headers, the JSON part."""

_UPLOADS = frozenset(
    {
        "/v1/message-contents",
        "/v1/outbound-messages",
        "/v1/package-encryptions",
        "/v1/package-inspections",
        "/v1/package-updates",
        "/v1/prints",
        "/v1/signature-verifications",
        "/v1/signature-verifications/batch",
        "/v1/timestamp-verifications",
    }
)
_RAW = re.compile(r"/v1/packages/[^/]+/(?:cover-letter|annexes/[^/]+/content|initials|signature|seal)")
"""Where a file is the body of a PUT."""


class BodyLimits:
    """Chooses the limit by path."""

    def __init__(self, app: ASGIApp, *, largest_file: int, answer: ProblemAnswers) -> None:
        self._certificates = RequestBodyLimit(app, CERTIFICATES_LIMIT, answer)
        self._uploads = RequestBodyLimit(app, largest_file + FORM_SLACK, answer)
        self._others = RequestBodyLimit(app, JSON_LIMIT, answer)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI entry point."""
        uploads = scope["type"] == "http" and (
            scope["path"] in _UPLOADS or (scope["method"] == "PUT" and _RAW.fullmatch(scope["path"]) is not None)
        )
        chosen = self._uploads if uploads else self._others
        if scope["type"] == "http" and scope["path"] == "/v1/certificate-verifications":
            chosen = self._certificates
        await chosen(scope, receive, send)
