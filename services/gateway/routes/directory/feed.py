"""State of the mirror, its changes, and the refreshes that made them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from starlette.responses import Response

from services.gateway import directory_examples, examples
from services.gateway.callers import Caller, Scope
from services.gateway.conditional import json_answer
from services.gateway.deps import CurrentCaller, GatewayParts
from services.gateway.exports import ExportAnswer
from services.gateway.operations import JSON_BODY, operation
from services.gateway.routes.directory.caching import HEADERS, UNCHANGED
from services.gateway.schemas.directory import ReleaseBody
from services.gateway.schemas.text import Cursor
from shared.contracts.directory import DirectoryStatus, RefreshRun
from shared.contracts.directory.export import MEDIA_TYPE
from shared.contracts.directory.history import ChangeFeed, ChangeSubject
from shared.contracts.directory.runs import RefreshRunAnswer, RefreshRuns, ReleaseOrder
from shared.errors import ErrorCode

router = APIRouter(prefix="/v1/directory", tags=["Directory"])
_RunId = Annotated[int, Path(ge=1, le=2**31 - 1, description="Of a refresh: the `snapshot_id` of what it published.")]


@router.get(
    "/status",
    response_model=DirectoryStatus,
    operation_id="getDirectoryStatus",
    summary="Read the mirror's state",
    **operation(
        Scope.DIRECTORY_READ, Scope.ADMIN, answer=examples.DIRECTORY_STATUS, headers=HEADERS, others=UNCHANGED,
        problems=(ErrorCode.DIRECTORY_UNAVAILABLE,),
    ),
)  # fmt: skip
async def get_status(request: Request, caller: CurrentCaller, gateway: GatewayParts) -> Response:
    """Age and size of the mirror; last refreshes and accounts of the caller's institutions (scope admin: of all)."""
    return json_answer(request, await gateway.directory.status(_institutions(caller)))


@router.get(
    "/changes",
    response_model=ChangeFeed,
    operation_id="listDirectoryChanges",
    summary="Follow the register's changes",
    **operation(
        Scope.DIRECTORY_READ, answer=directory_examples.CHANGES, headers=HEADERS, others=UNCHANGED,
        problems=(ErrorCode.VALIDATION_FAILED, ErrorCode.DIRECTORY_UNAVAILABLE),
    ),
)  # fmt: skip
async def list_changes(
    request: Request,
    gateway: GatewayParts,
    after: Annotated[
        Cursor | None, Query(description="`next_cursor` of the answer before; left out: from the beginning of history.")
    ] = None,
    types: Annotated[list[ChangeSubject] | None, Query(max_length=8, description="Only these subjects.")] = None,
    limit: Annotated[int, Query(ge=1, le=1000, description="At most so many changes.")] = 200,
) -> Response:
    """Every change that a refresh made in the mirror, oldest first, each once, with old and new values.

    Keep `next_cursor` and ask again with it: it is given also when there was nothing new. What the first refresh
    brought is the baseline and no change.
    """
    return json_answer(request, await gateway.directory.changes(after=after, types=types or (), limit=limit))


@router.get(
    "/export",
    response_class=Response,
    operation_id="exportDirectory",
    summary="Export the whole register",
    **operation(
        Scope.DIRECTORY_READ, binary=(MEDIA_TYPE,), headers={**HEADERS, "Content-Encoding": "gzip, if it was accepted."},
        others=UNCHANGED,
        problems=(ErrorCode.VALIDATION_FAILED, ErrorCode.NOT_FOUND, ErrorCode.DIRECTORY_UNAVAILABLE),
    ),
)  # fmt: skip
async def export(
    request: Request,
    gateway: GatewayParts,
    open_only: Annotated[bool, Query(description="Leave out closed units.")] = False,
) -> Response:
    """Every unit with its KEP addresses, as lines of JSON (NDJSON), all from one snapshot.

    The first line is `{"header": …}` with the snapshot and the `changes_cursor` to go on from, each further one
    `{"unit": …}`, the last one `{"trailer": {"units": n}}`: without it, or with another number of lines, the export was cut off and must
    be dropped. A reader that takes longer than the operator allows is cut off too.
    """
    return ExportAnswer(gateway.directory, request, open_only=open_only)


@router.get(
    "/runs",
    response_model=RefreshRuns,
    operation_id="listDirectoryRuns",
    summary="List refreshes",
    **operation(
        Scope.DIRECTORY_READ, Scope.ADMIN, answer=directory_examples.RUNS, headers=HEADERS, others=UNCHANGED,
        problems=(ErrorCode.VALIDATION_FAILED, ErrorCode.DIRECTORY_UNAVAILABLE),
    ),
)  # fmt: skip
async def list_runs(
    request: Request,
    caller: CurrentCaller,
    gateway: GatewayParts,
    cursor: Annotated[Cursor | None, Query()] = None,
    limit: Annotated[int, Query(ge=1, le=100, description="At most so many refreshes.")] = 20,
) -> Response:
    """Refreshes of the caller's institutions (scope admin: of all), newest first."""
    return json_answer(request, await gateway.directory.runs(_institutions(caller), cursor=cursor, limit=limit))


@router.get(
    "/runs/{run_id}",
    response_model=RefreshRunAnswer,
    operation_id="getDirectoryRun",
    summary="Read the report of a refresh",
    **operation(
        Scope.DIRECTORY_READ, Scope.ADMIN, answer=directory_examples.RUN_ANSWER, headers=HEADERS, others=UNCHANGED,
        problems=(ErrorCode.VALIDATION_FAILED, ErrorCode.NOT_FOUND, ErrorCode.DIRECTORY_UNAVAILABLE),
    ),
)  # fmt: skip
async def get_run(request: Request, run_id: _RunId, caller: CurrentCaller, gateway: GatewayParts) -> Response:
    """List by list: what came, how it was judged, what it changed; and why the refresh ended as it did."""
    return json_answer(request, await gateway.directory.run_of(run_id, _institutions(caller)))


@router.post(
    "/runs/{run_id}/release",
    operation_id="releaseDirectoryRun",
    summary="Release a refused refresh",
    **operation(
        Scope.ADMIN, request=directory_examples.RELEASE, answer=directory_examples.RELEASED,
        problems=(*JSON_BODY, ErrorCode.NOT_FOUND, ErrorCode.STATE_CONFLICT, ErrorCode.DIRECTORY_UNAVAILABLE),
    ),
)  # fmt: skip
async def release_run(run_id: _RunId, body: ReleaseBody, caller: CurrentCaller, gateway: GatewayParts) -> RefreshRun:
    """Publish what a guard held back, exactly as it was fetched and judged. Who did it, and why, stays on record.

    `state-conflict` when the refresh was not refused, when a newer one was accepted, or when its rows are gone.
    """
    await gateway.audit(caller, "directory-run.release", str(run_id), note=body.note)
    return await gateway.directory.release(run_id, ReleaseOrder(released_by=caller.client_id, note=body.note))


def _institutions(caller: Caller) -> Sequence[int] | None:
    """Whose refreshes the caller may see; None: everybody's."""
    return None if Scope.ADMIN in caller.scopes else caller.institutions
