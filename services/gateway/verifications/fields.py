"""The plain fields of verification forms, as the OpenAPI document shows them."""

from __future__ import annotations

from typing import Any

from services.gateway.verifications.answers import LONGEST_WAIT, USUAL_WAIT
from shared.contracts.signatures import Profile, SignatureFormat

_JUDGING: dict[str, dict[str, Any]] = {
    "format": {
        "type": "string",
        "enum": [item.value for item in SignatureFormat],
        "default": SignatureFormat.AUTO.value,
        "description": "`auto` looks at the bytes; the others refuse what does not look like them.",
    },
    "profile": {
        "type": "string",
        "enum": [item.value for item in Profile],
        "default": Profile.QUALIFIED_SIGNATURE.value,
        "description": "Which rules the signer's certificate must satisfy.",
    },
    "moment": {
        "type": "string",
        "format": "date-time",
        "description": "Judge as of this time; now unless given. A valid time-stamp takes precedence.",
    },
    "offline": {
        "type": "boolean",
        "default": False,
        "description": "Fetch nothing: judge by what the file brings along and what is at hand.",
    },
}
_KEEPING: dict[str, dict[str, Any]] = {
    "keep": {
        "type": "boolean",
        "default": False,
        "description": "Store file and report, so that it is found again, judged again and put on paper.",
    },
    "institution": {
        "type": "integer",
        "minimum": 10_000_000,
        "maximum": 99_999_999,
        "description": "With `keep`: whose verification it is; may be left out when the API key is bound to one "
        "institution only.",
    },
    "client_ref": {
        "type": "string",
        "minLength": 1,
        "maxLength": 200,
        "description": "With `keep`: your own reference; it stands in the resource and on paper.",
    },
}
FIELDS = {**_JUDGING, **_KEEPING}
BATCH_FIELDS = _JUDGING
TIMESTAMP_FIELDS = {name: field for name, field in FIELDS.items() if name not in {"format", "profile"}}
PREFER: dict[str, Any] = {
    "name": "Prefer",
    "in": "header",
    "required": False,
    "description": f"`wait=<seconds>` (RFC 7240): how long to wait for a verification that is kept, {USUAL_WAIT} unless "
    f"given, at most {LONGEST_WAIT}.",
    "schema": {"type": "string", "maxLength": 200},
    "example": "wait=10",
}
