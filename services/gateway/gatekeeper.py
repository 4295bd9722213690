"""The door: nothing under /v1 is reached without a caller, so no route can forget to ask."""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from services.gateway.auth import Authenticator
from services.gateway.problems import ProblemAnswers
from shared.errors import DomainError

_GUARDED = "/v1"


class Gatekeeper:
    """Authenticates and puts the ``Caller`` into ``request.state.caller``."""

    def __init__(self, app: ASGIApp, authenticator: Authenticator, answer: ProblemAnswers) -> None:
        self._app = app
        self._answer = answer
        self._authenticator = authenticator

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI entry point."""
        path = scope.get("path", "")
        if scope["type"] == "http" and (path == _GUARDED or path.startswith(f"{_GUARDED}/")):
            try:
                caller = await self._authenticator.authenticate(Headers(scope=scope))
            except DomainError as error:
                await self._answer(error, Request(scope))(scope, receive, send)
                return
            scope.setdefault("state", {})["caller"] = caller
        await self._app(scope, receive, send)
