"""The authorities our HTTP clients trust unless they are told others."""

from __future__ import annotations

import ssl
from functools import cache

import httpx


@cache
def default_context() -> ssl.SSLContext:
    """The context httpx would make for each client: reading its authorities takes up to a tenth of a second."""
    return httpx.create_ssl_context(trust_env=False)
