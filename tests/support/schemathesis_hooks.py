"""Loaded by schemathesis (``SCHEMATHESIS_HOOKS``): keeps its requests from waiting, and its threads apart."""

from __future__ import annotations

import ast
from threading import RLock
from typing import Any

import schemathesis

_parse, _one_at_a_time = ast.parse, RLock()


def _parse_alone(*arguments: Any, **options: Any) -> Any:
    """CPython 3.11 counts the depth of a syntax tree for all threads together, and fails when two build one at once."""
    with _one_at_a_time:
        return _parse(*arguments, **options)


ast.parse = _parse_alone


@schemathesis.hook
def before_call(_context: Any, case: Any, _options: Any) -> None:
    """A lease may wait up to half a minute for a letter; a valid wait is made a short one."""
    body = case.body
    if isinstance(body, dict) and isinstance(body.get("wait"), (int, float)) and 0 < body["wait"] <= 30:
        body["wait"] = 0.05
