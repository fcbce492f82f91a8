"""Schemas: from msgspec's JSON Schema 2020-12 to the older dialect of OpenAPI 3.0.

Null types become `nullable`, `const` becomes `enum`, `examples` `example`; an exclusive bound is a bound and a flag; a
`$ref` with neighbours goes into `allOf`.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

import msgspec

from edge.money import Usd

Schema = dict[str, Any]
REFERENCE = "#/components/schemas/{name}"


def schemas_of(kinds: Sequence[type]) -> tuple[dict[type, Schema], dict[str, Schema]]:
    """A reference to each type, and the schemas behind all references, by name."""
    references, components = msgspec.json.schema_components(kinds, schema_hook=_schema_hook, ref_template=REFERENCE)
    converted = {name: to_openapi(schema) for name, schema in components.items()}
    return dict(zip(kinds, references, strict=True)), converted


def _schema_hook(kind: type) -> Schema:
    if kind is Usd:
        return dict(Usd.schema)
    raise NotImplementedError(kind)


def to_openapi(schema: Any) -> Any:  # noqa: ANN401 - a JSON value of any kind
    """A JSON Schema 2020-12 as OpenAPI 3.0 understands it."""
    if isinstance(schema, list):
        return [to_openapi(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    literal = {key: schema[key] for key in ("example", "default", "enum") if key in schema}
    result = {key: to_openapi(value) for key, value in schema.items() if key not in _REWRITTEN} | literal
    if "properties" in schema:
        result["properties"] = {name: to_openapi(value) for name, value in schema["properties"].items()}
    if "const" in schema:
        result["enum"] = [schema["const"]]
    if all(isinstance(value, str) for value in result.get("enum", (None,))):
        result["type"] = "string"
    if isinstance(schema.get("description"), str):
        result["description"] = inspect.cleandoc(schema["description"])
    if schema.get("examples"):
        result["example"] = schema["examples"][0]
    _rewrite_bounds(schema, result)
    if not result.get("required", True):
        del result["required"]
    _rewrite_union(schema, result)
    if "$ref" in result and len(result) > 1:
        result["allOf"] = [{"$ref": result.pop("$ref")}]
    return result


_REWRITTEN = {"const", "examples", "example", "default", "enum", "anyOf", "properties"}


def _rewrite_bounds(schema: Schema, result: Schema) -> None:
    for bound, exclusive in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")):
        if exclusive in schema:
            result |= {bound: schema[exclusive], exclusive: True}


def _rewrite_union(schema: Schema, result: Schema) -> None:
    options = schema.get("anyOf")
    if options is None:
        return
    kept = [to_openapi(option) for option in options if option != {"type": "null"}]
    if len(kept) < len(options):
        result["nullable"] = True
    if len(kept) == 1 and "$ref" not in kept[0]:
        result.update({key: value for key, value in kept[0].items() if key not in result})
    else:
        result["allOf" if len(kept) == 1 else "anyOf"] = kept
