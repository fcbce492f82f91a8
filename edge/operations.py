"""Operations: each is declared once, and the declaration is its route, its validation and its documentation."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from edge.exchange import Answer, Request
from edge.faults import ANYWHERE

Handler = Callable[[Request[Any, Any]], Awaitable[Answer]]


class Nothing(msgspec.Struct, forbid_unknown_fields=True):
    """No fields at all."""


@dataclass(frozen=True, kw_only=True)
class Example:
    """One example, valid by the type that it stands beside; tests hold it to that."""

    summary: str
    value: Any


@dataclass(frozen=True, kw_only=True)
class Link:
    """What can be asked next, of an answer's own values, by the runtime expressions of OpenAPI (4.7.20)."""

    operation: str
    """The id of the operation that comes next."""
    description: str
    parameters: Mapping[str, str] = field(default_factory=dict)
    """Where each of its parameters comes from, such as `$response.body#/job_id`."""
    body: str = ""
    """Where its body comes from; empty for none."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """One way in which an operation succeeds."""

    status: int
    description: str
    kind: type[msgspec.Struct] | None = None
    """The JSON that is answered; None for none, or for another media type."""
    media_type: str = "application/json"
    also: Mapping[str, str] = field(default_factory=dict)
    """Further media types, which the client asks for as the description says, and an example of each."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """What each header of the answer says, by name."""
    examples: Mapping[str, Example] = field(default_factory=dict)
    links: tuple[Link, ...] = ()
    """What can be asked next."""


@dataclass(frozen=True, kw_only=True)
class HeaderField:
    """A header that an operation listens to."""

    name: str
    description: str
    schema: Mapping[str, Any]
    example: str


@dataclass(frozen=True, kw_only=True)
class PathField:
    """A parameter in an operation's path. The handler itself reads it: what it cannot be is simply not found."""

    name: str
    description: str
    schema: Mapping[str, Any]
    example: str


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One thing that can be done over HTTP."""

    id: str
    """Unique in the document, camelCase: code generators name methods after it."""
    method: str
    path: str
    handler: Handler
    summary: str = ""
    description: str = ""
    tag: str = ""
    aliases: tuple[str, ...] = ()
    """Further paths to the same operation, each documented with a pointer to the first."""
    body: type[msgspec.Struct] | None = None
    body_optional: bool = False
    """Whether an empty body stands for `{}`."""
    body_examples: Mapping[str, Example] = field(default_factory=dict)
    documents: Mapping[str, str] = field(default_factory=dict)
    """Other media types that a body may have, and what each is; the handler is given its bytes as `parsed_body`."""
    query: type[msgspec.Struct] = Nothing
    path_fields: tuple[PathField, ...] = ()
    header_fields: tuple[HeaderField, ...] = ()
    outcomes: tuple[Outcome, ...] = ()
    errors: Mapping[int, str] = field(default_factory=dict)
    """What each status of 400 and more means here, beyond those that every operation has."""
    error_pages: tuple[int, ...] = ()
    """The statuses of `errors` that answer a page for people too."""
    authenticated: bool = True
    faults: frozenset[str] = ANYWHERE
    """The faults that a test key can script for it, where it takes a key."""
    limited: bool = True
    """Whether an open operation counts against its client's address; documents and health do not."""
    documented: bool = True
