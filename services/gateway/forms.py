"""The forms clients upload: which parts, how they are documented, how a JSON part is read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from services.gateway.schemas.packages import InspectionOptions
from services.gateway.schemas.verifications import VerificationOptions
from services.gateway.uploads import FieldPart
from shared.contracts.outbound import LONGEST_MESSAGE_SIGNATURE
from shared.errors import DomainError, ErrorCode, Fault
from shared.http import fault_text

ModelT = TypeVar("ModelT", bound=BaseModel)

JSON_PART_LIMIT = 128 * 1024
SIGNATURE_PART = FieldPart(
    LONGEST_MESSAGE_SIGNATURE,
    required=False,
    media_types=("application/octet-stream", "application/pkcs7-signature", "application/x-pkcs7-signature"),
)
OUTBOUND_FORM = {"message": FieldPart(JSON_PART_LIMIT, media_types=("application/json",))}


def form_document(
    message: type[BaseModel],
    example: BaseModel,
    *,
    package_required: bool = True,
    more: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """The OpenAPI request body of a form with a JSON part ``message``, a file ``package`` and ``more`` optional files."""
    optional = more or {}
    return {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["message", "package"] if package_required else ["message"],
                    "properties": {
                        "message": {"$ref": f"#/components/schemas/{message.__name__}"},
                        "package": {
                            "type": "string",
                            "format": "binary",
                            "description": "The .eyp, .eyps or .eypg file.",
                        },
                        **{
                            name: {"type": "string", "format": "binary", "description": text}
                            for name, text in optional.items()
                        },
                    },
                },
                "encoding": {
                    "message": {"contentType": "application/json"},
                    "package": {"contentType": "application/octet-stream"},
                    **{name: {"contentType": "application/octet-stream"} for name in optional},
                },
                "example": {"message": example.model_dump(mode="json", exclude_none=True), "package": "(the file)"},
            }
        },
    }


def file_form_document(
    required: dict[str, str], optional: dict[str, str] | None = None, fields: dict[str, dict[str, Any]] | None = None
) -> dict[str, Any]:
    """The OpenAPI request body of a form with files, each with a description, and further fields."""
    files = {
        name: {"type": "string", "format": "binary", "description": text}
        for name, text in {**required, **(optional or {})}.items()
    }
    return {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {"type": "object", "required": list(required), "properties": {**files, **(fields or {})}},
                "encoding": {name: {"contentType": "application/octet-stream"} for name in files},
                "example": dict.fromkeys(required, "(the file)"),
            }
        },
    }


def read_verification_options(fields: Mapping[str, bytes]) -> VerificationOptions:
    """The plain fields of a verification form. Raises VALIDATION_FAILED with JSON pointers."""
    return _read_fields(VerificationOptions, fields)


def read_inspection_options(fields: Mapping[str, bytes]) -> InspectionOptions:
    """The plain fields of an inspection form. Raises VALIDATION_FAILED with JSON pointers."""
    return _read_fields(InspectionOptions, fields)


def _read_fields(model: type[ModelT], fields: Mapping[str, bytes]) -> ModelT:
    texts = {name: value.decode("utf-8", "replace") for name, value in fields.items() if value}
    try:
        return model.model_validate(texts)
    except ValidationError as error:
        items = error.errors(include_url=False, include_context=False, include_input=False)
        faults = [Fault("/" + "/".join(map(_step, item["loc"])), fault_text(item["msg"])) for item in items]
        raise DomainError(ErrorCode.VALIDATION_FAILED, "a field of the form is not valid", faults=faults) from None


def read_json_part(model: type[ModelT], name: str, content: bytes) -> ModelT:
    """A JSON part of a form. Raises MALFORMED_REQUEST, VALIDATION_FAILED with JSON pointers."""
    try:
        return model.model_validate_json(content)
    except ValidationError as error:
        raise invalid_part(name, error) from None


def invalid_part(name: str, error: ValidationError) -> DomainError:
    """What pydantic found, as one of our errors."""
    items = error.errors(include_url=False, include_context=False, include_input=False)
    faults = [Fault("/" + "/".join([name, *map(_step, item["loc"])]), fault_text(item["msg"])) for item in items[:50]]
    if any(item["type"] == "json_invalid" for item in items):
        return DomainError(ErrorCode.MALFORMED_REQUEST, f"the part {name} is not valid JSON", faults=faults)
    return DomainError(ErrorCode.VALIDATION_FAILED, f"the part {name} does not have the documented form", faults=faults)


def _step(step: int | str) -> str:
    return str(step).replace("~", "~0").replace("/", "~1")
