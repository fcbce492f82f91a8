"""Examples of single fields, taken from the examples of the whole bodies that they are in: none is written twice."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from edge.operations import Operation
from edge.schemas import Schema
from edge.values import encode

_REFERENCE = "#/components/schemas/"


def illustrate(components: Mapping[str, Schema], operations: Iterable[Operation]) -> None:
    """Give each field of the `components` that has no example the first one found in a body of the `operations`."""
    for operation in operations:
        bodies = [(operation.body, example) for example in operation.body_examples.values()]
        for outcome in operation.outcomes:
            bodies += [(outcome.kind, example) for example in outcome.examples.values()]
        for kind, example in bodies:
            if kind is not None:
                fill(components[kind.__name__], msgspec.json.decode(encode(example.value)), components)


def fill(schema: Schema, value: Any, components: Mapping[str, Schema]) -> None:  # noqa: ANN401 - a JSON value
    """Give the fields of a schema, and of those that it refers to, the examples that `value` has for them."""
    for part in (schema, *schema.get("allOf", ()), *schema.get("anyOf", ())):
        if "$ref" in part:
            fill(components[part["$ref"].removeprefix(_REFERENCE)], value, components)
    if isinstance(value, list):
        for item in value:
            fill(schema.get("items", {}), item, components)
    elif isinstance(value, dict):
        for name, field in schema.get("properties", {}).items():
            if name in value:
                if value[name] is not None and not _shown(field):
                    field["example"] = value[name]
                fill(field, value[name], components)


def _shown(field: Schema) -> bool:
    """Whether a field is shown already: by an example, by its words, or by the fields of its own type."""
    inner = field.get("items", field)
    return not {"example", "enum", "$ref", "allOf"}.isdisjoint(field) or not {"enum", "$ref"}.isdisjoint(inner)
