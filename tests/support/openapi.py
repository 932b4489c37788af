"""docs/openapi.json, and whether an answer is what it says."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

DOCS = Path(__file__).resolve().parents[2] / "docs"
ROOT = "openapi.json"


@cache
def document() -> dict[str, Any]:
    """The OpenAPI document."""
    found: dict[str, Any] = json.loads((DOCS / ROOT).read_text(encoding="utf-8"))
    return found


@cache
def _registry() -> Registry[Any]:
    files = {f"schema/{path.name}": json.loads(path.read_text()) for path in (DOCS / "schema").glob("*.json")}
    for schema in files.values():
        schema.pop("$id", None)  # they are found by their place
    schemas = {ROOT: document(), **files}
    resources = {name: Resource.from_contents(schema, default_specification=DRAFT202012) for name, schema in schemas.items()}
    return Registry().with_resources(resources.items())


def check(value: Any, schema: dict[str, Any]) -> None:
    """Fail if a value is not what a schema of the document says."""
    absolute = json.loads(json.dumps(schema).replace('"#/', f'"{ROOT}#/'))
    jsonschema.Draft202012Validator(absolute, registry=_registry()).validate(value)


def check_answer(method: str, path: str, status: int, kind: str, text: str) -> None:
    """Fail if an answer of the API is not in the document, or has another form.

    Args:
        method: HTTP method.
        path: The path as the document has it, with braces.
        status: Status of the answer.
        kind: Its content type; empty without one.
        text: Its body.
    """
    responses = document()["paths"][path][method.lower()]["responses"]
    assert str(status) in responses, f"{method} {path} answers {status}, which is not in docs/{ROOT}: {text[:300]}"
    content = responses[str(status)].get("content", {})
    if not content:
        assert text == ""
        return
    assert kind in content, f"{method} {path} answers {kind}, not {list(content)}"
    if kind == "application/json":
        check(json.loads(text), content[kind]["schema"])
