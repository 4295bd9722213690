"""The wrapper every answer has around its rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from services.detsis_sync.soap.wire.operations import tag

RESULT_FAILED = tag("SonucHatali")
RESULT_ITEMS = tag("Sonuclar")
RESULT_MESSAGE = tag("HataMsj")
RESULT_ELEMENTS = frozenset({RESULT_FAILED, RESULT_ITEMS, RESULT_MESSAGE, tag("TestSonuc")})


@dataclass(frozen=True)
class Reply:
    """The parts every result has, from zeep's objects."""

    failed: bool | None
    """None when the result does not say: then it is no success."""
    message: str | None
    content: Any


def reply(result: Any) -> Reply:
    """Read the result wrapper."""
    failed = {"true": True, "1": True, "false": False, "0": False}.get((result["SonucHatali"] or "").strip())
    return Reply(failed=failed, message=result["HataMsj"], content=result["Sonuclar"])


def items(wrapper: Any, name: str) -> list[Any]:
    """The items of a list wrapper; zeep gives None, or an object full of None, for a nil item."""
    found = [] if wrapper is None else wrapper[name] or []
    return [item for item in found if item is not None and any(item[key] is not None for key in item)]
