"""The OpenAPI document: FastAPI's, completed with what it cannot know."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel

from services.gateway.callers import Scope
from services.gateway.schemas.drafts import PackageUpdateBody
from services.gateway.schemas.encryption import PackageEncryptionRequest
from services.gateway.schemas.outbound import OutboundMessageRequest
from services.gateway.schemas.printing import PrintBody
from shared.contracts.problems import Problem
from shared.version import software_version

_DESCRIPTION = """\
Hands official letters (e-Yazışma packages) to other public bodies by registered e-mail (KEP), and incoming ones to
your document system, with the evidence that proves each step.

**Authentication**: an API key as `Authorization: Bearer kepgw_…` or `X-Api-Key: kepgw_…`. Each operation names the
scope it needs (`x-required-scopes`, any one of them). A key sees only its institutions; what belongs to others is
`not-found`.

**Errors** are `application/problem+json` (RFC 9457) with a closed list of `code`s, each explained on the page its
`type` names; `retryable` says whether the same request may succeed later. Titles are Turkish or English by
`Accept-Language`. Keep `trace_id` (also in the header `X-Correlation-ID`) for questions to the operator.

**Times** are RFC 3339 in UTC. **Lists** are pages: pass `next_cursor` back as `cursor` until it is null.

**Sending**: 202 means stored durably, nothing more. Only evidence moves a letter on. Repeat a request whose answer
was lost with the same `Idempotency-Key`.

**Receiving**: lease, download, register, acknowledge. A letter whose lease runs out is offered again, so registering
must be safe to repeat: recognise a letter by its `message_id`.

**Scopes** of keys; give each program the least it needs:

{scopes}
"""
_SCOPES = {
    Scope.MESSAGES_SEND: "hand letters over, repeat and cancel them",
    Scope.MESSAGES_READ: "follow letters and download them and their evidence",
    Scope.INBOUND_CONSUME: "take incoming letters and register them",
    Scope.CLASSIFIED_HANDLE: "for the security officer: letters sealed because KEP may not carry them",
    Scope.DIRECTORY_READ: "the directory, and the data of a letter",
    Scope.DIRECTORY_PEOPLE: "names of managers and DETSİS officers: personal data, for those who need it",
    Scope.REGISTRATIONS_MANAGE: "bring KEP addresses into DETSİS: shows the links that open an address to others",
    Scope.PACKAGES_INSPECT: "look into packages and judge them; opens those encrypted for the institution",
    Scope.PACKAGES_WRITE: "write packages step by step and download them; encrypt letters for recipients",
    Scope.DOCUMENTS_PRINT: "print letters, those encrypted for the institution included; every print is recorded",
    Scope.SIGNATURES_VERIFY: "verify signatures and certificates",
    Scope.ADMIN: "institutions, accounts, mailboxes, keys and releases, for the operator",
}
_TAGS = [
    {"name": "Outgoing letters", "description": "Hand letters over and follow them."},
    {"name": "Incoming letters", "description": "Take letters, verify and register them."},
    {"name": "Classified letters", "description": "What arrived more secret than KEP may carry, and was sealed."},
    {"name": "Events", "description": "What happened, in order: for systems that follow it."},
    {"name": "Directory", "description": "DETSİS: whom to write to, and where."},
    {
        "name": "KEP addresses",
        "description": "Bring a new KEP address into DETSİS, step by step, without a gap.",
    },
    {"name": "Package drafts", "description": "Write a package in steps: files, signatures made outside, seal."},
    {"name": "Packages and signatures", "description": "Look into packages and verify signatures."},
    {"name": "Prints", "description": "Letters on paper, under the rules for copies."},
    {"name": "Mailboxes", "description": "Whether the institution's KEP accounts are ready."},
    {"name": "Administration", "description": "For operators; needs scope `admin`."},
]


def openapi_document(app: FastAPI) -> dict[str, Any]:
    """The whole document. Server address is relative: the document moves with the gateway."""
    document = get_openapi(
        title="KEP Gateway",
        version=software_version(),
        summary="Official letters by KEP, from and to document systems.",
        description=_DESCRIPTION.format(scopes="\n".join(f"- `{scope}`: {what}" for scope, what in _SCOPES.items())),
        routes=app.routes,
        tags=_TAGS,
        servers=[{"url": "/", "description": "This gateway"}],
        license_info={"name": "GPL-3.0-or-later", "identifier": "GPL-3.0-or-later"},
    )
    components = document.setdefault("components", {})
    components["securitySchemes"] = {
        "bearer": {"type": "http", "scheme": "bearer", "description": "The API key as bearer token."},
        "apiKey": {"type": "apiKey", "in": "header", "name": "X-Api-Key", "description": "The API key."},
    }
    schemas = components.setdefault("schemas", {})
    for model in (Problem, PrintBody, OutboundMessageRequest, PackageEncryptionRequest, PackageUpdateBody):
        _add_schema(schemas, model)
    for leftover in ("HTTPValidationError", "ValidationError"):
        schemas.pop(leftover, None)
    for path in document["paths"].values():
        for operation in path.values():
            _restore_nulls(operation, schemas)
            scopes = " or ".join(f"`{scope}`" for scope in operation["x-required-scopes"])
            operation["description"] = f"{operation['description']}\n\nNeeds scope {scopes}."
    document["components"]["schemas"] = dict(sorted(schemas.items()))
    return document


def _add_schema(schemas: dict[str, Any], model: type[BaseModel]) -> None:
    schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
    for name, definition in schema.pop("$defs", {}).items():
        schemas.setdefault(name, definition)
    schemas[model.__name__] = schema


def _restore_nulls(operation: dict[str, Any], schemas: dict[str, Any]) -> None:
    """FastAPI drops every null of the document; in an example a null is part of the answer."""
    for answer in operation["responses"].values():
        content = answer.get("content", {}).get("application/json", {})
        if "example" in content:
            content["example"] = _completed(content["example"], content.get("schema", {}), schemas)


def _completed(example: Any, schema: dict[str, Any], schemas: dict[str, Any]) -> Any:
    if "$ref" in schema:
        schema = schemas[schema["$ref"].rpartition("/")[2]]
    if isinstance(example, list):
        return [_completed(item, schema.get("items", {}), schemas) for item in example]
    if not isinstance(example, dict):
        return example
    for choice in schema.get("anyOf", ()):
        if choice.get("type") != "null":
            return _completed(example, choice, schemas)
    properties = schema.get("properties", {})
    completed = {name: _completed(value, properties.get(name, {}), schemas) for name, value in example.items()}
    return completed | {name: None for name in schema.get("required", ()) if name not in completed}
