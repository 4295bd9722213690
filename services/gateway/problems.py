"""Errors as callers see them: RFC 9457, and nothing else ever leaves."""

from __future__ import annotations

from typing import Literal

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Match

from services.gateway.problem_texts import TEXTS
from shared.contracts.problems import FieldError, Problem
from shared.errors import DomainError, ErrorCode
from shared.http import STATUS
from shared.telemetry.logging import correlation_id

Language = Literal["tr", "en"]
MEDIA_TYPE = "application/problem+json"
_MOST_FAULTS = 50


class RangeRefusedError(DomainError):
    """RANGE_INVALID, which must say how large the content is (RFC 9110, 15.5.17)."""

    def __init__(self, size: int) -> None:
        super().__init__(ErrorCode.RANGE_INVALID, f"the content has {size} bytes")
        self.size = size


class ProblemAnswers:
    """Makes the answer to a failed request, in the language the caller prefers."""

    def __init__(self, default_language: Language) -> None:
        self._default_language = default_language

    def __call__(self, error: DomainError, request: Request) -> JSONResponse:
        """The problem for ``error``."""
        language = chosen_language(request.headers.get("accept-language", ""), self._default_language)
        headers = {"Content-Language": language, "Vary": "Accept-Language", "Cache-Control": "no-store"}
        if error.retry_after_seconds is not None:
            headers["Retry-After"] = str(error.retry_after_seconds)
        if error.code is ErrorCode.UNAUTHENTICATED:
            headers["WWW-Authenticate"] = 'Bearer realm="kep-gateway"'
        if isinstance(error, RangeRefusedError):
            headers["Content-Range"] = f"bytes */{error.size}"
        if error.code is ErrorCode.METHOD_NOT_ALLOWED:
            headers["Allow"] = ", ".join(_allowed_methods(request))
        problem = describe(error, language)
        body = problem.model_dump(mode="json")
        return JSONResponse(body, status_code=problem.status, media_type=MEDIA_TYPE, headers=headers)


def describe(error: DomainError, language: Language) -> Problem:
    """The problem document of an error."""
    text = TEXTS[error.code]
    return Problem(
        type=f"/problems/{error.code}",
        title=text.title_tr if language == "tr" else text.title_en,
        status=STATUS[error.code],
        detail=_encodable(error.detail),
        code=error.code,
        retryable=error.retryable,
        trace_id=correlation_id.get() or None,
        errors=[
            FieldError(pointer=_encodable(fault.pointer), detail=_encodable(fault.detail))
            for fault in error.faults[:_MOST_FAULTS]
        ],
    )


def chosen_language(accept_language: str, default: Language) -> Language:
    """The better of our two languages for an Accept-Language header (RFC 9110, 12.5.4)."""
    weights: dict[str, float] = {}
    for item in accept_language.split(",")[:20]:
        tag, _, parameter = item.partition(";")
        name, _, quality = parameter.strip().partition("=")
        try:
            weight = float(quality) if name.strip() == "q" else 1.0
        except ValueError:
            weight = 0.0
        weights.setdefault(tag.strip().lower().partition("-")[0], weight)
    anything = weights.get("*", 0.0)
    turkish, english = weights.get("tr", anything), weights.get("en", anything)
    if turkish == english or max(turkish, english) <= 0:
        return default
    return "tr" if turkish > english else "en"


def _allowed_methods(request: Request) -> list[str]:
    """All methods of the resource: a router knows only the first route that fits the path."""
    return [
        method
        for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
        if any(
            route.matches({**request.scope, "method": method, "path_params": {}})[0] is Match.FULL
            for route in request.app.router.routes
        )
    ]


def _encodable(text: str) -> str:
    """A caller's lone surrogate must not make the answer itself fail."""
    return text.encode("utf-8", "replace").decode()
