"""The OpenAPI document is a promise: valid, complete, and the same as what the routes do."""

from __future__ import annotations

import importlib
import json
import pkgutil
import re
from functools import cache
from typing import Any, cast

import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate
from pydantic import BaseModel

from services import gateway
from services.gateway.app import web_app
from services.gateway.auth import Authenticator
from services.gateway.callers import Scope
from services.gateway.deps import Gateway
from services.gateway.openapi import openapi_document
from services.gateway.problems import ProblemAnswers
from shared.errors import ErrorCode
from shared.telemetry.metrics import HttpMetrics, new_registry


class _Sizes:
    max_package_bytes = 1000


@cache
def document() -> dict[str, Any]:
    app = web_app(
        cast("Gateway", _Sizes()), cast("Authenticator", None), HttpMetrics(new_registry()), ProblemAnswers("tr")
    )
    return openapi_document(app)


def operations() -> list[tuple[str, str, dict[str, Any]]]:
    return [(method, path, found) for path, item in document()["paths"].items() for method, found in item.items()]


def test_the_document_is_valid_openapi() -> None:
    validate(document())


def test_operation_ids_are_unique_and_everything_is_described() -> None:
    ids = [found["operationId"] for _, _, found in operations()]
    assert len(set(ids)) == len(ids)
    for method, path, found in operations():
        assert found["summary"], (method, path)
        assert len(found["description"]) > 40, (method, path)
        assert found["tags"], (method, path)
        assert found["x-required-scopes"], (method, path)
        assert found["security"] == [{"bearer": []}, {"apiKey": []}], (method, path)
    assert {tag for _, _, found in operations() for tag in found["tags"]} == {tag["name"] for tag in document()["tags"]}


def test_every_scope_is_explained_and_used() -> None:
    used = {scope for _, _, operation in operations() for scope in operation["x-required-scopes"]}
    assert used == {scope.value for scope in Scope}
    explained = re.findall(r"^- `([a-z:]+)`: \w", document()["info"]["description"], re.MULTILINE)
    assert sorted(explained) == sorted(used)


def test_every_good_answer_has_an_example_and_every_problem_too() -> None:
    for method, path, found in operations():
        for status, answer in found["responses"].items():
            if status in {"204", "206", "304"}:
                continue
            for media_type, content in answer["content"].items():
                if media_type == "application/json":
                    assert content["example"], (method, path, status)
                elif media_type == "application/problem+json":
                    assert content["examples"], (method, path, status)
                    assert content["schema"] == {"$ref": "#/components/schemas/Problem"}
                    for code, example in content["examples"].items():
                        assert example["value"]["code"] == code
                        assert example["value"]["status"] == int(status)


def test_every_request_body_has_an_example() -> None:
    for method, path, found in operations():
        for content in found.get("requestBody", {}).get("content", {}).values():
            assert "example" in content or "examples" in content, (method, path)


def test_only_our_own_errors_are_documented() -> None:
    assert "HTTPValidationError" not in document()["components"]["schemas"]
    for method, path, found in operations():
        for status, answer in found["responses"].items():
            if int(status) >= 400:
                assert list(answer["content"]) == ["application/problem+json"], (method, path, status)
        codes = {code for answer in found["responses"].values()
                 for code in answer.get("content", {}).get("application/problem+json", {}).get("examples", {})}  # fmt: skip
        assert codes <= {code.value for code in ErrorCode}
        has_input = "parameters" in found or "requestBody" in found
        assert ("validation-failed" in codes) or not has_input, (method, path)


def test_every_reference_leads_somewhere() -> None:
    names = set(document()["components"]["schemas"])
    used = set(re.findall(r"#/components/schemas/([A-Za-z0-9_-]+)", str(document())))
    assert used <= names


EXAMPLES = [
    pytest.param(value, id=f"{found.name}.{name}")
    for found in pkgutil.iter_modules(gateway.__path__)
    if found.name.endswith("examples")
    for name, value in sorted(vars(importlib.import_module(f"{gateway.__name__}.{found.name}")).items())
    if name.isupper() and not name.startswith("_") and isinstance(value, (BaseModel, list))
]


@pytest.mark.parametrize("example", EXAMPLES)
def test_examples_are_what_they_claim_to_be(example: BaseModel | list[Any]) -> None:
    """A JSON round trip through the model: an example that a server would refuse is worse than none."""
    for item in example if isinstance(example, list) else [example]:
        assert isinstance(item, BaseModel)
        type(item).model_validate_json(item.model_dump_json())


def test_every_schema_member_of_a_request_body_is_bounded() -> None:
    """Text without a length or a pattern would be an invitation."""
    bodies = {name: schema for name, schema in document()["components"]["schemas"].items() if name.endswith("Body")}
    assert bodies
    for name, schema in bodies.items():
        for member, rule in schema["properties"].items():
            for option in [rule, *rule.get("anyOf", [])]:
                if option.get("type") == "string" and "format" not in option and "enum" not in option:
                    assert "maxLength" in option or "pattern" in option or "const" in option, (name, member)
                if option.get("type") == "array":
                    assert "maxItems" in option, (name, member)


@pytest.mark.parametrize(("method", "path", "operation"), operations())
def test_examples_fit_the_schemas_a_client_is_generated_from(method: str, path: str, operation: dict[str, Any]) -> None:
    """Not only our models must accept them: what stands in the document must fit the document."""
    for status, answer in operation["responses"].items():
        content = answer.get("content", {}).get("application/json")
        if content is None or "example" not in content:
            continue
        schema = {**content["schema"], "components": document()["components"]}
        faults = [
            f"{method} {path} {status} {fault.json_path}: {fault.message}"
            for fault in Draft202012Validator(schema).iter_errors(content["example"])
        ]
        assert not faults


def test_only_keywords_of_json_schema_are_used() -> None:
    """Pydantic writes its own constraint names into a schema when it cannot translate them."""
    text = json.dumps(document())
    assert not [word for word in ("ge", "gt", "le", "lt", "max_length") if f'"{word}":' in text]
