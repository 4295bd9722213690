"""HTTP between our services: service tokens, correlation, one error format, one client.

The interface is for the loopback or the cluster network only. Every call carries its service's
token; a failure travels as ``application/problem+json`` and arrives as the same ``DomainError``.
"""

from __future__ import annotations

import hmac
import time
from collections.abc import AsyncIterable, AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import httpx
import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, SecretStr, ValidationError
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.contracts.problems import FieldError, Problem
from shared.errors import DomainError, ErrorCode, Fault
from shared.telemetry.logging import CORRELATION_HEADER, correlated, correlation_id
from shared.telemetry.metrics import HttpMetrics
from shared.tls import default_context

log = structlog.get_logger(__name__)

STATUS: dict[ErrorCode, int] = {
    ErrorCode.VALIDATION_FAILED: 422,
    ErrorCode.MALFORMED_REQUEST: 400,
    ErrorCode.UNAUTHENTICATED: 401,
    ErrorCode.SCOPE_MISSING: 403,
    ErrorCode.INSTITUTION_FORBIDDEN: 403,
    ErrorCode.NOT_FOUND: 404,
    ErrorCode.METHOD_NOT_ALLOWED: 405,
    ErrorCode.STATE_CONFLICT: 409,
    ErrorCode.IDEMPOTENCY_KEY_MISSING: 400,
    ErrorCode.IDEMPOTENCY_IN_PROGRESS: 409,
    ErrorCode.IDEMPOTENCY_KEY_REUSED: 422,
    ErrorCode.LEASE_LOST: 409,
    ErrorCode.TOO_LARGE: 413,
    ErrorCode.UPLOAD_TRUNCATED: 400,
    ErrorCode.DIGEST_MISMATCH: 422,
    ErrorCode.RANGE_INVALID: 416,
    ErrorCode.UNSUPPORTED_MEDIA_TYPE: 415,
    ErrorCode.RECIPIENT_UNKNOWN: 422,
    ErrorCode.RECIPIENT_INACTIVE: 422,
    ErrorCode.RECIPIENT_KEP_MISSING: 422,
    ErrorCode.RECIPIENT_KEP_INACTIVE: 422,
    ErrorCode.PACKAGE_INVALID: 422,
    ErrorCode.NOT_A_PACKAGE: 422,
    ErrorCode.CONFIDENTIALITY_FORBIDDEN: 422,
    ErrorCode.DECISION_REQUIRED: 422,
    ErrorCode.CLASSIFIED_SEALED: 403,
    ErrorCode.SIGNATURE_INVALID: 422,
    ErrorCode.ENVELOPE_INVALID: 422,
    ErrorCode.LETTER_UNPRINTABLE: 422,
    ErrorCode.PRINT_UNAUTHORISED: 403,
    ErrorCode.CERTIFICATE_UNFIT: 422,
    ErrorCode.SIGNING_KEY_UNAVAILABLE: 503,
    ErrorCode.MAILBOX_NOT_READY: 503,
    ErrorCode.MAILBOX_MISSING: 409,
    ErrorCode.KEP_ADDRESS_LISTED: 409,
    ErrorCode.KEP_CREDIT_EXHAUSTED: 503,
    ErrorCode.PROVIDER_UNAVAILABLE: 503,
    ErrorCode.PROVIDER_REFUSED: 502,
    ErrorCode.DIRECTORY_UNAVAILABLE: 503,
    ErrorCode.DIRECTORY_REFUSED: 502,
    ErrorCode.SIGNER_UNAVAILABLE: 503,
    ErrorCode.SERVICE_UNAVAILABLE: 503,
    ErrorCode.DURABILITY_UNAVAILABLE: 503,
    ErrorCode.RATE_LIMITED: 429,
    ErrorCode.INTERNAL: 500,
}
"""HTTP status of every code; a test walks ``ErrorCode`` and fails on a missing row."""


def internal_app(
    name: str, *, tokens: Mapping[str, SecretStr], metrics: HttpMetrics, body_limit: int = 32 * 1024 * 1024
) -> FastAPI:
    """The FastAPI application of a service that only our own services call.

    ``tokens`` maps the name of each service to the token it presents; ``body_limit`` is the size of the
    largest request body in bytes. A request passes, in this order: telemetry, token, limit, routes.
    """
    app = FastAPI(title=f"KEP Gateway: {name} (internal)", docs_url=None, redoc_url=None, openapi_url=None)
    accepted = [f"Bearer {token.get_secret_value()}".encode() for token in tokens.values()]
    app.add_middleware(RequestBodyLimit, limit=body_limit)
    app.add_middleware(_ServiceToken, accepted=accepted)
    install_error_answers(app, problem_response)
    app.add_middleware(RequestTelemetry, metrics=metrics)
    return app


class _ServiceToken:
    def __init__(self, app: ASGIApp, accepted: list[bytes]) -> None:
        self._app = app
        self._accepted = accepted

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            presented = Headers(scope=scope).get("authorization", "").encode()
            if sum(hmac.compare_digest(presented, token) for token in self._accepted) == 0:
                answer = problem_response(DomainError(ErrorCode.UNAUTHENTICATED, "service token missing or wrong"))
                await answer(scope, receive, send)
                return
        await self._app(scope, receive, send)


class RequestTelemetry:
    """Gives every request its correlation id, log line and metrics."""

    def __init__(
        self,
        app: ASGIApp,
        metrics: HttpMetrics,
        answer: Callable[[DomainError, Request], JSONResponse] | None = None,
    ) -> None:
        self._app = app
        self._metrics = metrics
        self._answer = answer or (lambda error, _request: problem_response(error))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI entry point."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        with correlated(Headers(scope=scope).get(CORRELATION_HEADER)) as identifier:
            started, status, answering = time.perf_counter(), 500, False

            async def send_with_id(message: Message) -> None:
                nonlocal status, answering
                if message["type"] == "http.response.start":
                    status, answering = message["status"], True
                    MutableHeaders(scope=message)[CORRELATION_HEADER] = identifier
                await send(message)

            try:
                await self._app(scope, receive, send_with_id)
            except ClientDisconnect:
                status = status if answering else _CLIENT_GONE
                log.info("client_gone")
            except Exception as error:
                log.exception("unforeseen_error")
                if answering:
                    raise
                known = error if isinstance(error, DomainError) else DomainError(ErrorCode.INTERNAL, _UNFORESEEN)
                await self._answer(known, Request(scope))(scope, receive, send_with_id)
            finally:
                route = getattr(scope.get("route"), "path", "unmatched")
                seconds = time.perf_counter() - started
                method = scope["method"] if scope["method"] in _METHODS else "OTHER"
                self._metrics.requests.labels(method, route, str(status)).inc()
                self._metrics.duration.labels(method, route).observe(seconds)
                log.info("request", method=method, route=route, status=status, milliseconds=round(seconds * 1000, 1))


_UNFORESEEN = "an unforeseen error; the log has it under this trace_id"
_CLIENT_GONE = 499  # nobody's failure, so it must not count among the 500s
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class RequestBodyLimit:
    """Refuses a body larger than ``limit`` bytes, announced or not, before it fills anything."""

    def __init__(
        self, app: ASGIApp, limit: int, answer: Callable[[DomainError, Request], JSONResponse] | None = None
    ) -> None:
        self._app = app
        self._limit = limit
        self._answer = answer or (lambda error, _request: problem_response(error))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI entry point."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        too_large = DomainError(ErrorCode.TOO_LARGE, f"the request body is larger than {self._limit} bytes")
        announced = Headers(scope=scope).get("content-length", "0")
        if announced.isdecimal() and int(announced) > self._limit:
            await self._answer(too_large, Request(scope))(scope, receive, send)
            return
        received = 0

        async def counted() -> Message:
            nonlocal received
            message = await receive()
            if message["type"] == "http.request":
                received += len(message.get("body", b""))
                if received > self._limit:
                    raise too_large
            return message

        await self._app(scope, counted, send)


def install_error_answers(app: FastAPI, answer: Callable[..., JSONResponse]) -> None:
    """Make every foreseen failure of ``app`` a problem; ``RequestTelemetry`` answers the unforeseen."""

    async def domain(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, DomainError)
        return _answered(answer, error, request)

    async def invalid(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)
        return _answered(answer, from_validation(error), request)

    async def http(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)
        if isinstance(error.__cause__, DomainError):  # FastAPI wraps whatever reading the body raises
            return _answered(answer, error.__cause__, request)
        code = _FROM_STATUS.get(error.status_code, ErrorCode.MALFORMED_REQUEST)
        response = _answered(answer, DomainError(code, str(error.detail)), request)
        for name, value in (error.headers or {}).items():  # Allow, which 405 must have; ours names more than one route
            response.headers.setdefault(name, value)
        return response

    app.add_exception_handler(DomainError, domain)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, http)


def _answered(answer: Callable[..., JSONResponse], error: DomainError, request: Request) -> JSONResponse:
    return answer(error) if answer is problem_response else answer(error, request)


_FROM_STATUS = {
    400: ErrorCode.MALFORMED_REQUEST,
    404: ErrorCode.NOT_FOUND,
    405: ErrorCode.METHOD_NOT_ALLOWED,
    413: ErrorCode.TOO_LARGE,
    415: ErrorCode.UNSUPPORTED_MEDIA_TYPE,
    416: ErrorCode.RANGE_INVALID,
}


def from_validation(error: RequestValidationError) -> DomainError:
    """FastAPI's list of what is wrong, as one error with JSON pointers."""
    malformed = any(item["type"] == "json_invalid" for item in error.errors())
    faults = [
        Fault("".join(f"/{_pointer_step(step)}" for step in item["loc"]), fault_text(item["msg"]))
        for item in error.errors()[:50]
    ]
    if malformed:
        return DomainError(ErrorCode.MALFORMED_REQUEST, "the body is not valid JSON", faults=faults)
    return DomainError(ErrorCode.VALIDATION_FAILED, "the request does not have the documented form", faults=faults)


def fault_text(message: str) -> str:
    """What pydantic says is wrong; it takes the letters of a text with a check of its own for items."""
    if not message.startswith("Value should have at "):
        return message
    return message.replace(" item", " character").replace(" after validation, not", ", not")


def _pointer_step(step: object) -> str:
    """One step of a JSON pointer (RFC 6901): keys a caller chose may hold its separators."""
    return str(step).replace("~", "~0").replace("/", "~1")


def problem_response(error: DomainError) -> JSONResponse:
    """The plain English form our services use among themselves."""
    problem = Problem(
        type=f"urn:kepgw:problem:{error.code}",
        title=error.code.value,
        status=STATUS[error.code],
        detail=error.detail,
        code=error.code,
        retryable=error.retryable,
        trace_id=correlation_id.get() or None,
        errors=[FieldError(pointer=fault.pointer, detail=fault.detail) for fault in error.faults],
    )
    headers = {} if error.retry_after_seconds is None else {"Retry-After": str(error.retry_after_seconds)}
    return JSONResponse(
        problem.model_dump(mode="json"),
        status_code=problem.status,
        media_type="application/problem+json",
        headers=headers,
    )


ModelT = TypeVar("ModelT", bound=BaseModel)


class ServiceClient:
    """Calls one of our services.

    Every method raises ``DomainError``: the code the other side gave, or ``unavailable`` (the code
    that stands for "this service cannot be reached") when there was no proper answer.
    """

    def __init__(self, base_url: str, *, token: SecretStr, unavailable: ErrorCode, timeout_seconds: float = 30) -> None:
        self._unavailable = unavailable
        self._http = httpx.AsyncClient(
            base_url=f"{base_url.rstrip('/')}/internal/v1",
            headers={"Authorization": f"Bearer {token.get_secret_value()}"},
            timeout=httpx.Timeout(timeout_seconds, connect=3),
            limits=httpx.Limits(max_connections=200, max_keepalive_connections=50),
            verify=default_context(),
            trust_env=False,
        )

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def json(
        self, answer: type[ModelT], method: str, path: str, *, body: BaseModel | None = None, **options: Any
    ) -> ModelT:
        """One call with a JSON body and a JSON answer of the given contract.

        ``options`` are httpx's (params, files, data, content, headers, timeout).
        """
        response = await self.call(method, path, body=body, **options)
        try:
            return answer.model_validate_json(response.content)
        except ValidationError as error:
            raise DomainError(self._unavailable, f"unexpected answer to {method} {path}") from error

    async def call(self, method: str, path: str, *, body: BaseModel | None = None, **options: Any) -> httpx.Response:
        """One call; the answer is read whole."""
        if body is not None:
            options["content"] = body.model_dump_json()
            options["headers"] = {**options.get("headers", {}), "Content-Type": "application/json"}
        async with self._guarded():
            response = await self._http.request(method, path, **self._correlated(options))
        if response.is_error:
            raise self._failure(response)
        return response

    async def upload(self, method: str, path: str, content: AsyncIterable[bytes], **options: Any) -> httpx.Response:
        """Send a stream of bytes as the body."""
        return await self.call(method, path, content=content, **options)

    @asynccontextmanager
    async def download(self, path: str, *, method: str = "GET", **options: Any) -> AsyncIterator[httpx.Response]:
        """A call whose answer is read by the caller, as a stream.

        A refusal is raised before the block starts; an answer that breaks off is raised out of it.
        """
        async with self._guarded():
            request = self._http.build_request(method, path, **self._correlated(options))
            response = await self._http.send(request, stream=True)
            try:
                if response.is_error:
                    await response.aread()
                    raise self._failure(response)
                yield response
            finally:
                await response.aclose()

    def _correlated(self, options: dict[str, Any]) -> dict[str, Any]:
        if identifier := correlation_id.get():
            options["headers"] = {**options.get("headers", {}), CORRELATION_HEADER: identifier}
        return options

    @asynccontextmanager
    async def _guarded(self) -> AsyncIterator[None]:
        try:
            yield
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise DomainError(
                self._unavailable, f"no answer ({type(error).__name__})", retry_after_seconds=5
            ) from error

    def _failure(self, response: httpx.Response) -> DomainError:
        try:
            problem = Problem.model_validate_json(response.content)
        except ValidationError:
            return DomainError(self._unavailable, f"HTTP {response.status_code} without explanation")
        if problem.code in {ErrorCode.UNAUTHENTICATED, ErrorCode.INTERNAL}:
            return DomainError(self._unavailable, f"the service answered {problem.code}")
        retry_after = response.headers.get("Retry-After", "")
        return DomainError(
            problem.code,
            problem.detail or problem.title,
            faults=[Fault(item.pointer, item.detail) for item in problem.errors],
            retry_after_seconds=int(retry_after) if retry_after.isdecimal() else None,
        )
