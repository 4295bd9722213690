"""The least a service must do to answer from a directory, as a program: the reference of ``directory_api``.

FastAPI on uvicorn looks the answer up in memory and writes it as JSON. No key, no search, no database, no second service.

``python -m tests.benchmarks.bare_directory <port> <file of path → answer>``
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote

import uvicorn
from fastapi import FastAPI
from fastapi.responses import JSONResponse


def bare_app(answers: dict[str, Any]) -> FastAPI:
    """``GET /v1/directory/units`` and ``GET /v1/directory/units/{number}``."""
    app = FastAPI()

    @app.get("/v1/directory/units")
    async def search(q: str) -> JSONResponse:
        return JSONResponse(answers[f"/v1/directory/units?q={quote(q)}"])

    @app.get("/v1/directory/units/{number}")
    async def unit(number: int) -> JSONResponse:
        return JSONResponse(answers[f"/v1/directory/units/{number}"])

    return app


if __name__ == "__main__":
    found = json.loads(Path(sys.argv[2]).read_text(encoding="utf-8"))
    uvicorn.run(
        bare_app(found), port=int(sys.argv[1]), loop="uvloop", http="httptools", log_level="warning", access_log=False
    )
