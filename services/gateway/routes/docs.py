"""/docs, /redoc and /openapi.json, from local files alone: they work without the internet."""

from __future__ import annotations

import asyncio
import functools
import json
from importlib.resources import files
from typing import Any

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from services.gateway.openapi import openapi_document
from shared.errors import DomainError, ErrorCode

_SWAGGER = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>KEP Gateway: API</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="{root}/docs/static/favicon.png"><link rel="stylesheet" href="{root}/docs/static/swagger-ui.css">
</head><body><div id="swagger-ui" data-document="{root}/openapi.json"></div>
<script src="{root}/docs/static/swagger-ui-bundle.js"></script><script src="{root}/docs/assets/swagger.js"></script>
</body></html>
"""
_REDOC = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>KEP Gateway: API reference</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="{root}/docs/static/favicon.png"><link rel="stylesheet" href="{root}/docs/assets/redoc.css">
</head><body><redoc spec-url="{root}/openapi.json"></redoc>
<script src="{root}/docs/static/redoc.standalone.js"></script></body></html>
"""
_ASSETS: dict[str, tuple[str, str]] = {
    "swagger.js": (
        "text/javascript",
        """const place = document.getElementById("swagger-ui");
SwaggerUIBundle({
  url: place.dataset.document, domNode: place, deepLinking: true, displayRequestDuration: true,
  validatorUrl: null, persistAuthorization: false, presets: [SwaggerUIBundle.presets.apis],
});
""",
    ),
    "redoc.css": ("text/css", "body { margin: 0; padding: 0; }\n"),
    "pages.css": (
        "text/css",
        """body { font: 1rem/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 46rem; padding: 0 1rem; }
code { font-size: 1em; } li { margin: .4rem 0; } section { margin-top: 2rem; }
""",
    ),
}
_KEPT = {"Cache-Control": "public, max-age=3600"}


def docs_routes(app: FastAPI) -> list[BaseRoute]:
    """The routes; they need no API key."""

    @functools.cache
    def document() -> bytes:
        return json.dumps(openapi_document(app), ensure_ascii=False, separators=(",", ":")).encode()

    async def openapi_json(_request: Request) -> Response:
        # Made once, which takes a second or two that other requests do not have to wait for.
        return Response(await asyncio.to_thread(document), media_type="application/json", headers=_KEPT)

    async def swagger(request: Request) -> Response:
        return HTMLResponse(_SWAGGER.format(root=_root(request)))

    async def redoc(request: Request) -> Response:
        return HTMLResponse(_REDOC.format(root=_root(request)))

    async def asset(request: Request) -> Response:
        media_type, text = _ASSETS.get(request.path_params["name"], ("", ""))
        if not media_type:
            raise DomainError(ErrorCode.NOT_FOUND, "no such file")
        return Response(text, media_type=media_type, headers=_KEPT)

    async def home(request: Request) -> Response:
        return RedirectResponse(f"{_root(request)}/docs")

    return [
        Route("/", home),
        Route("/openapi.json", openapi_json),
        Route("/docs", swagger),
        Route("/redoc", redoc),
        Route("/docs/assets/{name}", asset),
        Mount("/docs/static", StaticFiles(directory=str(files("fastapi_offline") / "static"))),
    ]


def _root(request: Request) -> Any:
    return request.scope.get("root_path", "")
