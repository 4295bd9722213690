"""Which software this is, for records that must say so."""

from __future__ import annotations

import importlib.metadata
from functools import cache

_UNINSTALLED = "0.1.0"


@cache
def software_version() -> str:
    """Version of this software, as installed."""
    try:
        return importlib.metadata.version("kep-gateway")
    except importlib.metadata.PackageNotFoundError:
        return _UNINSTALLED
