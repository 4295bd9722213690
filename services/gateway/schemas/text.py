"""Field types every request shares: what people and machines type is bounded before it goes anywhere."""

from __future__ import annotations

import unicodedata
from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

_UNFIT = frozenset({"Cc", "Cs", "Zl", "Zp"})
_EARLIEST_YEAR, _LATEST_YEAR = 1990, 2200


def _one_line(text: str) -> str:
    if any(unicodedata.category(character) in _UNFIT for character in text):
        raise ValueError("must not contain control characters or line breaks")
    return text


def _whole(value: object) -> object:
    """JSON has one kind of number, so 5.0 is 5; text and truth values are not numbers."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError("must be a whole number")  # noqa: TRY004 - pydantic turns only this into a fault
    return value


def _written_out(value: object) -> object:
    if not isinstance(value, (str, datetime)) or (isinstance(value, str) and "T" not in value.upper()):
        raise ValueError("must be an RFC 3339 date and time with its zone")
    return value


def _plausible(moment: datetime) -> datetime:
    if not _EARLIEST_YEAR <= moment.year <= _LATEST_YEAR:
        raise ValueError("is not a plausible time")
    return moment


_ONE_LINE = r"^[^\u0000-\u001f\u007f-\u009f\u2028\u2029]*$"

Line = Annotated[str, AfterValidator(_one_line), Field(json_schema_extra={"pattern": _ONE_LINE})]
"""Text without control characters; each field sets its own length."""

Moment = Annotated[AwareDatetime, BeforeValidator(_written_out), AfterValidator(_plausible)]
"""A time with its zone, as RFC 3339 writes it."""

DetsisNo = Annotated[
    int, Field(ge=10_000_000, le=99_999_999, description="DETSİS number: eight digits.", examples=[10000002])
]
"""In a path or a query."""

Whole = Annotated[int, BeforeValidator(_whole)]
"""A whole number in a JSON body."""

StrictDetsisNo = Annotated[
    int,
    # The bounds stand before the validator: behind it pydantic writes them into the schema as "ge" and "le".
    Field(ge=10_000_000, le=99_999_999, description="DETSİS number: eight digits.", examples=[10000002]),
    BeforeValidator(_whole),
]
"""In a JSON body, where a number is a number."""

Sha256Text = Annotated[str, StringConstraints(pattern=r"^[0-9a-fA-F]{64}$")]

Cursor = Annotated[
    str,
    Field(
        min_length=1, max_length=500, pattern=r"^[!-~]+$",
        description="``next_cursor`` of the page before; nothing else is accepted.",
    ),
]  # fmt: skip


class Body(BaseModel):
    """A request body: unknown members are refused, so a misspelt one is noticed."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)
