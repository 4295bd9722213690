"""What every operation declares once: scopes, problems and examples, for the router and for OpenAPI alike."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypedDict

from fastapi import Depends, Request
from fastapi import params as fastapi_params
from pydantic import BaseModel

from services.gateway.callers import Caller, Scope
from services.gateway.problem_texts import TEXTS
from services.gateway.problems import MEDIA_TYPE, describe
from shared.errors import DomainError, ErrorCode
from shared.http import STATUS

EVERYWHERE = (
    ErrorCode.UNAUTHENTICATED,
    ErrorCode.SCOPE_MISSING,
    ErrorCode.RATE_LIMITED,
    ErrorCode.DURABILITY_UNAVAILABLE,
    ErrorCode.INTERNAL,
)
"""What any authenticated operation may answer."""

JSON_BODY = (
    ErrorCode.MALFORMED_REQUEST,
    ErrorCode.VALIDATION_FAILED,
    ErrorCode.UNSUPPORTED_MEDIA_TYPE,
    ErrorCode.TOO_LARGE,
)
"""What an operation with a JSON body may answer on top."""

FORM_BODY = (*JSON_BODY, ErrorCode.UPLOAD_TRUNCATED)
"""What an operation with a multipart body may answer on top."""

SCOPED = (ErrorCode.INSTITUTION_FORBIDDEN,)
"""What an operation confined to the caller's institutions may answer on top."""

_HEADERS: dict[str, dict[str, Any]] = {
    "Retry-After": {"description": "Seconds to wait before the next try.", "schema": {"type": "integer"}},
    "WWW-Authenticate": {"description": "How to authenticate.", "schema": {"type": "string"}},
    "Content-Range": {"description": "Size of the whole content.", "schema": {"type": "string"}},
}
_HEADERS_OF: dict[ErrorCode, str] = {
    ErrorCode.UNAUTHENTICATED: "WWW-Authenticate",
    ErrorCode.RATE_LIMITED: "Retry-After",
    ErrorCode.IDEMPOTENCY_IN_PROGRESS: "Retry-After",
    ErrorCode.SERVICE_UNAVAILABLE: "Retry-After",
    ErrorCode.DURABILITY_UNAVAILABLE: "Retry-After",
    ErrorCode.RANGE_INVALID: "Content-Range",
}


class OperationParts(TypedDict):
    """Arguments for a FastAPI route."""

    dependencies: Sequence[fastapi_params.Depends]
    responses: dict[int | str, dict[str, Any]]
    openapi_extra: dict[str, Any]


def operation(
    *scopes: Scope,
    problems: Sequence[ErrorCode] = (),
    status: int = 200,
    answer: BaseModel | Sequence[BaseModel] | None = None,
    request: BaseModel | None = None,
    headers: dict[str, str] | None = None,
    others: dict[int, str] | None = None,
    binary: Sequence[str] = (),
    extra: dict[str, Any] | None = None,
) -> OperationParts:
    """Declare an operation that needs one of ``scopes``.

    ``answer`` and ``request`` are examples; ``headers`` describes headers of the good answer, ``others``
    further good answers without body; ``binary`` lists the media types of an answer that is a file; ``extra`` is merged into the OpenAPI operation.
    """
    good: dict[str, Any] = {}
    if answer is not None:
        good["content"] = {"application/json": {"example": _plain(answer)}}
    if binary:
        good["content"] = {name: {"schema": {"type": "string", "format": "binary"}} for name in binary}
    if headers:
        good["headers"] = {name: {"description": text, "schema": {"type": "string"}} for name, text in headers.items()}
    responses: dict[int | str, dict[str, Any]] = {status: good} if good else {}
    responses |= {number: {"description": text} for number, text in (others or {}).items()}
    responses |= problem_answers((*EVERYWHERE, *problems))
    openapi: dict[str, Any] = {
        "security": [{"bearer": []}, {"apiKey": []}],
        "x-required-scopes": [scope.value for scope in scopes],
    }
    dependencies = [Depends(_requires(scopes))]
    if request is not None:
        body = {"content": {"application/json": {"examples": {"example": {"value": _plain(request)}}}}}
        openapi["requestBody"] = body
        dependencies.append(Depends(_json_only))
    return {"dependencies": dependencies, "responses": responses, "openapi_extra": {**openapi, **(extra or {})}}


def problem_answers(codes: Sequence[ErrorCode]) -> dict[int | str, dict[str, Any]]:
    """OpenAPI responses for problem codes, one per status, an example for each code."""
    by_status: dict[int, list[ErrorCode]] = defaultdict(list)
    for code in dict.fromkeys(codes):
        by_status[STATUS[code]].append(code)
    answers: dict[int | str, dict[str, Any]] = {}
    for status, members in sorted(by_status.items()):
        examples = {code.value: {"summary": TEXTS[code].title_en, "value": _example(code)} for code in members}
        headers = {name: _HEADERS[name] for code in members if (name := _HEADERS_OF.get(code))}
        answers[status] = {
            "description": "; ".join(f"`{code}`: {TEXTS[code].title_en}" for code in members),
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}, "examples": examples}},
        } | ({"headers": headers} if headers else {})
    return answers


def _example(code: ErrorCode) -> dict[str, Any]:
    problem = describe(DomainError(code, TEXTS[code].advice_en), "en").model_copy(
        update={"trace_id": "5f0c4f0d7f5b4e0e9a3b0d6f8c1e2a34"}
    )
    return problem.model_dump(mode="json")


def _plain(example: BaseModel | Sequence[BaseModel]) -> Any:
    if isinstance(example, BaseModel):
        return example.model_dump(mode="json", exclude_none=False)
    return [_plain(item) for item in example]


def _requires(scopes: Sequence[Scope]) -> Callable[[Request], Awaitable[None]]:
    async def check(request: Request) -> None:  # a coroutine: see deps
        caller: Caller = request.state.caller
        caller.require(scopes)

    return check


async def _json_only(request: Request) -> None:
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise DomainError(ErrorCode.UNSUPPORTED_MEDIA_TYPE, "the body must be application/json")
