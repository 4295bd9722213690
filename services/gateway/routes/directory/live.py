"""When DETSİS itself is asked instead of the nightly copy, and as whom."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query

from services.gateway.operations import SCOPED
from services.gateway.schemas.text import DetsisNo
from shared.errors import ErrorCode

LIVE_PROBLEMS = (*SCOPED, ErrorCode.STATE_CONFLICT, ErrorCode.DIRECTORY_REFUSED)
"""What may come on top of a mirror answer's problems: the institution has no account, or DETSİS says no."""

AS_INSTITUTION = "/query/institution_no"
"""Where the parameter below stands."""

AsInstitution = Annotated[
    DetsisNo | None,
    Query(
        description="The institution whose DETSİS account asks; may be left out when the API key is bound to one only."
    ),
]
