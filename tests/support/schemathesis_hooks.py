"""Loaded by schemathesis (``SCHEMATHESIS_HOOKS``): keeps its requests from waiting."""

from __future__ import annotations

from typing import Any

import schemathesis


@schemathesis.hook
def before_call(_context: Any, case: Any, _options: Any) -> None:
    """A lease may wait up to half a minute for a letter; a valid wait is made a short one."""
    body = case.body
    if isinstance(body, dict) and isinstance(body.get("wait"), (int, float)) and 0 < body["wait"] <= 30:
        body["wait"] = 0.05
