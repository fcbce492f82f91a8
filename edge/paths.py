"""From a method and a path to the operation behind it.

Static paths are one dictionary look-up. Everything else walks a tree of segments, each percent-decoded on its own, so
that a value such as `vajra://txid/…` fits into one. A static segment wins over a parameter. Trailing slashes count.
A last parameter that ends in a plus (`{tile+}`) takes all the segments that are left, with their slashes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Generic, TypeVar
from urllib.parse import unquote_to_bytes

from edge.errors import Refusal

T = TypeVar("T")
_NO_PARAMETERS: dict[str, str] = {}


@dataclass
class _Node(Generic[T]):
    """One segment of the tree."""

    children: dict[str, _Node[T]] = field(default_factory=dict)
    parameter: _Node[T] | None = None
    rest: _Node[T] | None = None
    methods: dict[str, T] = field(default_factory=dict)
    names: tuple[str, ...] = ()


class PathTable(Generic[T]):
    """What lies behind every path, by method."""

    def __init__(self) -> None:
        """Start with no paths."""
        self._static: dict[bytes, _Node[T]] = {}
        self._root: _Node[T] = _Node()

    def add(self, method: str, template: str, value: T) -> None:
        """Put `value` behind a path such as `/v1/jobs/{job_id}`; raises ValueError where something is there already."""
        node = self._root
        names = []
        for segment in template.split("/")[1:]:
            if segment.endswith("+}"):
                names.append(segment[1:-2])
                node.rest = node.rest or _Node()
                node = node.rest
            elif segment.startswith("{"):
                names.append(segment[1:-1])
                node.parameter = node.parameter or _Node()
                node = node.parameter
            else:
                node = node.children.setdefault(segment, _Node())
        if method in node.methods:
            message = f"{method} {template} is declared twice"
            raise ValueError(message)
        node.methods[method] = value
        node.names = tuple(names)
        if not names:
            self._static[template.encode()] = node

    def find(self, method: str, raw_path: bytes) -> tuple[T, dict[str, str]]:
        """What is behind a path as it stood on the request line, and its parameters.

        HEAD is served by GET. Raises Refusal 404 for an unknown path, and 405 with `Allow` for an unknown method.
        """
        values: tuple[str, ...] = ()
        node = self._static.get(raw_path)
        if node is None:
            node, values = self._walk(raw_path)
        value = node.methods.get("GET" if method == "HEAD" else method)
        if value is None:
            raise _method_not_allowed(method, node)
        return value, dict(zip(node.names, values, strict=True)) if values else _NO_PARAMETERS

    def allowed(self, raw_path: bytes) -> str:
        """The methods of a path as an `Allow` header says them; raises Refusal 404 for an unknown path."""
        return _allow(self._static.get(raw_path) or self._walk(raw_path)[0])

    def _walk(self, raw_path: bytes) -> tuple[_Node[T], tuple[str, ...]]:
        node: _Node[T] | None = self._root
        values: list[str] = []
        segments = _segments(raw_path)
        for number, segment in enumerate(segments):
            assert node is not None  # noqa: S101 - tells the type checker what the loop's end ensures
            child = node.children.get(segment)
            if child is None and node.rest is not None:
                node, values = node.rest, [*values, "/".join(segments[number:])]
                break
            if child is None and segment:
                child = node.parameter
                values.append(segment)
            if child is None:
                raise _not_found()
            node = child
        if node is None or not node.methods:
            raise _not_found()
        return node, tuple(values)


def _segments(raw_path: bytes) -> list[str]:
    try:
        return [unquote_to_bytes(part).decode("utf-8") for part in raw_path.split(b"/")[1:]]
    except UnicodeDecodeError:
        raise _not_found() from None


def _not_found() -> Refusal:
    return Refusal(404, "There is nothing at this path. /docs lists all of them.", reason="UNKNOWN_PATH")


def _allow(node: _Node[T]) -> str:
    methods = {*node.methods, "OPTIONS", *(("HEAD",) if "GET" in node.methods else ())}
    return ", ".join(sorted(methods))


def _method_not_allowed(method: str, node: _Node[T]) -> Refusal:
    allow = _allow(node)
    shown = method if method.isascii() and method.isalpha() and len(method) <= 16 else "This method"  # noqa: PLR2004
    message = f"{shown} is not possible here; this path takes {allow}."
    return Refusal(405, message, reason="METHOD_NOT_ALLOWED", headers=((b"allow", allow.encode()),))
