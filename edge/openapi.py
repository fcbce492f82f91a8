"""The OpenAPI 3.0.3 document, from the same declarations that route and validate."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from edge.illustration import fill, illustrate
from edge.operations import Example, HeaderField, Link, Nothing, Operation, Outcome
from edge.schemas import REFERENCE, Schema, schemas_of
from edge.values import encode

_RATE_HEADERS = {
    "X-RateLimit-Limit": "Requests that the team's bucket holds: the plan's burst.",
    "X-RateLimit-Remaining": "Requests that are left in it, whichever server or key of the team they go to.",
    "X-RateLimit-Reset": "Unix time in seconds at which the bucket is full again.",
}


@dataclass(frozen=True, kw_only=True)
class Document:
    """What a document says besides its operations."""

    title: str
    version: str
    description: str
    servers: Sequence[Mapping[str, str]]
    tags: Sequence[Mapping[str, str]]
    error: type[msgspec.Struct]
    error_examples: Mapping[int, Mapping[str, Any]]
    """A body of each status of 400 and more."""
    common_errors: Mapping[int, str]
    """What each status means that every operation has; 429 and 503 only where requests are counted."""
    key_errors: Mapping[int, str]
    """What each status means that every operation with a key has."""
    body_errors: Mapping[int, str]
    """What each status means that every operation with a body has."""
    security: Mapping[str, Any]
    security_name: str


def openapi(document: Document, operations: Sequence[Operation]) -> Schema:
    """The whole document, as JSON values."""
    shown = [operation for operation in operations if operation.documented]
    references, components = _schemas(document, shown)
    illustrate(components, shown)
    for example in document.error_examples.values():
        fill(components[document.error.__name__], example, components)
    paths: dict[str, Schema] = {}
    for operation in shown:
        for path in (path.replace("+}", "}") for path in (operation.path, *operation.aliases)):
            entry = _operation(operation, document, references, alias=path != operation.path.replace("+}", "}"))
            paths.setdefault(path, {})[operation.method.lower()] = entry
    return {
        "openapi": "3.0.3",
        "info": {
            "title": document.title,
            "version": document.version,
            "description": document.description,
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
        },
        "servers": list(document.servers),
        "tags": list(document.tags),
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {document.security_name: document.security},
            "responses": _error_responses(document, shown, references),
            "headers": _headers(),
        },
    }


def _schemas(document: Document, operations: Sequence[Operation]) -> tuple[dict[type, Schema], dict[str, Schema]]:
    """The reference to each type that operations name, and the schemas behind the references."""
    kinds: dict[type, None] = {document.error: None}
    for operation in operations:
        if operation.body is not None:
            kinds[operation.body] = None
        kinds.update({outcome.kind: None for outcome in operation.outcomes if outcome.kind is not None})
    return schemas_of(list(kinds))


def _operation(operation: Operation, document: Document, references: Mapping[type, Schema], *, alias: bool) -> Schema:
    identity = operation.id
    description = operation.description
    if alias:
        identity += "Alias"
        description = f"The same as `{operation.method} {operation.path}`.\n\n{description}"
    entry: Schema = {
        "operationId": identity,
        "tags": [operation.tag],
        "summary": operation.summary,
        "description": description,
        "security": [{document.security_name: []}] if operation.authenticated else [],
        "parameters": _parameters(operation),
        "responses": _responses(operation, document, references),
    }
    if operation.body is not None:
        entry["requestBody"] = {
            "required": not operation.body_optional,
            "description": _first_line(operation.body),
            "content": {
                "application/json": {"schema": references[operation.body], **_examples(operation.body_examples)},
                **{
                    media_type: {"schema": {"type": "string", "format": "binary", "description": description}}
                    for media_type, description in operation.documents.items()
                },
            },
        }
    return entry


def _parameters(operation: Operation) -> list[Schema]:
    fields: list[Schema] = [
        {
            "name": path.name,
            "in": "path",
            "required": True,
            "description": path.description,
            "schema": dict(path.schema),
            "example": path.example,
        }
        for path in operation.path_fields
    ]
    fields += _query_parameters(operation.query)
    fields += [_header_parameter(header) for header in operation.header_fields]
    return fields


def _query_parameters(query: type[msgspec.Struct]) -> list[Schema]:
    if query is Nothing:
        return []
    schema = schemas_of([query])[1][query.__name__]
    parameters = []
    for name, field in schema["properties"].items():
        inner = dict(field)
        parameter = {"name": name, "in": "query", "required": name in schema.get("required", ())}
        parameter["description"] = inner.pop("description")
        if "example" in inner:
            parameter["example"] = inner.pop("example")
        parameters.append({**parameter, "schema": inner})
    return parameters


def _header_parameter(header: HeaderField) -> Schema:
    return {
        "name": header.name,
        "in": "header",
        "required": False,
        "description": header.description,
        "schema": dict(header.schema),
        "example": header.example,
    }


def _responses(operation: Operation, document: Document, references: Mapping[type, Schema]) -> Schema:
    responses: Schema = {}
    for outcome in operation.outcomes:
        responses[str(outcome.status)] = _response(operation, outcome, references)
    for status, meaning in sorted(_errors(operation, document).items()):
        responses[str(status)] = _error_reference(operation, status, meaning, document)
    for status in operation.error_pages:
        responses[str(status)]["content"]["text/html"] = {"schema": {"type": "string"}}
    return responses


def _response(operation: Operation, outcome: Outcome, references: Mapping[type, Schema]) -> Schema:
    own = {name: {"description": text, "schema": {"type": "string"}} for name, text in outcome.headers.items()}
    response: Schema = {"description": outcome.description, "headers": own | _header_references(operation)}
    if outcome.status not in {204, 304}:
        schema = references[outcome.kind] if outcome.kind is not None else _free(outcome.media_type)
        also = {kind: {"schema": {"type": "string"}, "example": text} for kind, text in outcome.also.items()}
        response["content"] = {outcome.media_type: {"schema": schema, **_examples(outcome.examples)}, **also}
    if outcome.links:
        response["links"] = {link.operation: _link(link) for link in outcome.links}
    return response


def _link(link: Link) -> Schema:
    told: Schema = {"operationId": link.operation, "description": link.description}
    if link.parameters:
        told["parameters"] = dict(link.parameters)
    return told | ({"requestBody": link.body} if link.body else {})


def _free(media_type: str) -> Schema:
    """What is said of an answer of no type of ours: nothing of JSON and of events, whose data may be anything."""
    return {} if media_type in {"application/json", "text/event-stream"} else {"type": "string"}


def _errors(operation: Operation, document: Document) -> dict[int, str]:
    counted = operation.authenticated or operation.limited
    common = {status: text for status, text in document.common_errors.items() if counted or status not in {429, 503}}
    return {
        **common,
        **(document.key_errors if operation.authenticated else {}),
        **(document.body_errors if operation.body is not None else {}),
        **operation.errors,
    }


def _error_reference(operation: Operation, status: int, meaning: str, document: Document) -> Schema:
    """A shared response where the meaning is the common one, else one of the operation's own."""
    shared = {**document.common_errors, **document.key_errors, **document.body_errors}.get(status)
    if shared == meaning and status not in operation.errors:
        return {"$ref": f"#/components/responses/Error{status}"}
    return _error_response(status, meaning, document)


def _error_responses(document: Document, operations: Sequence[Operation], references: Mapping[type, Schema]) -> Schema:
    assert document.error in references  # noqa: S101 - `_schemas` puts it first
    used = {status for operation in operations for status in _errors(operation, document)}
    meanings = {**document.common_errors, **document.key_errors, **document.body_errors}
    return {
        f"Error{status}": _error_response(status, meaning, document)
        for status, meaning in sorted(meanings.items())
        if status in used
    }


def _error_response(status: int, meaning: str, document: Document) -> Schema:
    reference = {"$ref": REFERENCE.format(name=document.error.__name__)}
    headers: Schema = {"X-Request-Id": {"$ref": "#/components/headers/X-Request-Id"}}
    if status in {429, 503}:
        headers["Retry-After"] = {"$ref": "#/components/headers/Retry-After"}
    media: Schema = {"schema": reference}
    if status in document.error_examples:
        media["example"] = document.error_examples[status]
    return {"description": meaning, "headers": headers, "content": {"application/json": media}}


def _header_references(operation: Operation) -> Schema:
    names = ["X-Request-Id", *(_RATE_HEADERS if operation.authenticated or operation.limited else ())]
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def _headers() -> Schema:
    rates = {
        name: {"description": text, "schema": {"type": "integer", "minimum": 0}} for name, text in _RATE_HEADERS.items()
    }
    return {
        "X-Request-Id": {
            "description": "The id of this exchange: the caller's own, where it sent a valid one, else a new one.",
            "schema": {"type": "string", "maxLength": 128},
        },
        "Retry-After": {
            "description": "Seconds to wait before the next try.",
            "schema": {"type": "integer", "minimum": 0},
        },
        **rates,
    }


def _examples(examples: Mapping[str, Example]) -> Schema:
    if not examples:
        return {}
    values = {
        name: {"summary": example.summary, "value": msgspec.json.decode(encode(example.value))}
        for name, example in examples.items()
    }
    return {"examples": values}


def _first_line(kind: type) -> str:
    return re.split(r"\n\s*\n", (kind.__doc__ or "").strip())[0]
