"""How long directory answers may be kept, and how that is documented."""

from __future__ import annotations

CACHED = "private, max-age=60"
HEADERS = {"ETag": "For If-None-Match.", "Cache-Control": "How long the answer may be kept."}
UNCHANGED = {304: "Unchanged since the ETag in If-None-Match."}
