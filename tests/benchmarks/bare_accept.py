"""The least a service must do to accept a letter durably, as a program: the reference of ``letters``.

FastAPI on uvicorn receives the same form, writes the file and syncs it and its directory, commits one row, answers 202. No
key, no policy, no inspection, no signature check, no second service.

``python -m tests.benchmarks.bare_accept <port> <directory> <conninfo>``
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated
from uuid import uuid4

import uvicorn
from fastapi import FastAPI, Form, UploadFile
from psycopg_pool import AsyncConnectionPool


def bare_app(directory: Path, conninfo: str) -> FastAPI:
    """``POST /v1/outbound-messages`` and nothing else."""
    pool = AsyncConnectionPool(conninfo, min_size=10, max_size=10, open=False)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        async with pool:
            await pool.wait()
            yield

    app = FastAPI(lifespan=lifespan)

    @app.post("/v1/outbound-messages", status_code=202)
    async def accept(message: Annotated[str, Form()], package: UploadFile) -> dict[str, str]:
        message_id = uuid4()
        await asyncio.to_thread(_keep, directory / str(message_id), await package.read())
        async with pool.connection() as connection:
            await connection.execute("INSERT INTO bare_letters VALUES (%s, %s)", [message_id, message])
        return {"message_id": str(message_id)}

    return app


def _keep(path: Path, content: bytes) -> None:
    with path.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    descriptor = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


if __name__ == "__main__":
    uvicorn.run(
        bare_app(Path(sys.argv[2]), sys.argv[3]), port=int(sys.argv[1]), loop="uvloop", http="httptools",
        log_level="warning", access_log=False,
    )  # fmt: skip
