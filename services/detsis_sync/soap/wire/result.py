"""The wrapper every answer has around its rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lxml import etree

from services.detsis_sync.soap.wire.operations import tag

RESULT_FAILED = tag("SonucHatali")
RESULT_ITEMS = tag("Sonuclar")
RESULT_MESSAGE = tag("HataMsj")
RESULT_ELEMENTS = frozenset({RESULT_FAILED, RESULT_ITEMS, RESULT_MESSAGE, tag("TestSonuc")})


@dataclass(frozen=True)
class Reply:
    """What a result says about the call."""

    failed: bool | None
    """None when the result does not say: then it is no success."""
    message: str | None
    has_items: bool
    """Whether there is a list, be it empty: zeep gives None for an empty one as for a missing one."""


def reply(result: etree._Element) -> Reply:
    """Read the result wrapper."""
    failed = {"true": True, "1": True, "false": False, "0": False}.get((result.findtext(RESULT_FAILED) or "").strip())
    message = (result.findtext(RESULT_MESSAGE) or "").strip()
    return Reply(failed, message or None, result.find(RESULT_ITEMS) is not None)


def content(result: Any) -> Any:
    """What the result holds besides its wrapper, from zeep's object of it."""
    return None if result is None else result["Sonuclar"]


def items(wrapper: Any, name: str) -> list[Any]:
    """The items of a list wrapper; zeep gives None for an item without anything in it."""
    found = [] if wrapper is None else wrapper[name] or []
    return [item for item in found if item is not None]
