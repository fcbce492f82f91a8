"""Msgspec's faults in words for the public: "Expected `int` <= 5 - at `$.a.b`" becomes "a.b: must be at most 5"."""

from __future__ import annotations

import re

from msgspec import inspect

from edge.errors import Refusal

_AT = re.compile(r"^(?P<what>.*?)(?: - at `(?:key` in `)?\$\.?(?P<path>.*)`)?$", re.DOTALL)
_FIELD = re.compile(r"^Object (?P<fault>contains unknown|missing required) field `(?P<name>.*)`$", re.DOTALL)
_TYPE = re.compile(r"^Expected `(?P<kinds>[^`]+)`, got `(?P<got>[^`]+)`$")
_BOUND = re.compile(r"^Expected `(?P<kind>[^`]+)`(?P<length> of length)? (?P<sign>[<>]=?) (?P<bound>\S+)$")
_PATTERN = re.compile(r"^Expected `str` matching regex (?P<pattern>.*)$", re.DOTALL)
_ENUM = "Invalid enum value "
_NOUNS = {
    "int": "an integer",
    "float": "a number",
    "str": "a string",
    "bool": "true or false",
    "object": "an object",
    "array": "an array",
    "null": "null",
}
_FOUND = {**_NOUNS, "int": "a number", "float": "a fraction", "decimal": "a fraction", "bool": "a boolean"}
_SIGNS = {"<=": "at most", ">=": "at least", "<": "less than", ">": "more than"}
_STEP = re.compile(r"[^.\[\]]+")
_UNITS = {"str": " characters", "array": " items", "object": " members"}


def refusal_of_fault(text: str, kind: type, *, spelled: bool) -> Refusal:
    """The Refusal 400 for the message of a ValidationError.

    `spelled` where the value came as text, as those of a query string do: then what it is not is no news.
    """
    match = _AT.match(text)
    what, path = (match["what"], match["path"] or "") if match else (text, "")
    field = _FIELD.match(what)
    if field is not None:
        path = f"{path}.{field['name']}".lstrip(".")
        what = "is required" if field["fault"] == "missing required" else _unknown(path, kind)
    else:
        what = _worded(what, path, kind, spelled=spelled)
    shown = path[:200] if path.isprintable() else "the body"
    message = f"{shown}: {what[:400]}" if path else f"The body: {what[:400]}"
    return Refusal(400, message, param=shown if path else "", reason="INVALID_FIELD")


def _worded(what: str, path: str, kind: type, *, spelled: bool) -> str:
    if match := _TYPE.match(what):
        wanted = " or ".join(_NOUNS.get(one, one) for one in match["kinds"].split(" | "))
        return f"must be {wanted}" if spelled else f"must be {wanted}, not {_FOUND.get(match['got'], match['got'])}"
    if match := _BOUND.match(what):
        unit = _UNITS.get(match["kind"], "") if match["length"] else ""
        unit = unit[:-1] if match["bound"] == "1" and unit else unit
        verb = "have" if match["length"] else "be"
        return f"must {verb} {_SIGNS[match['sign']]} {match['bound']}{unit}"
    if match := _PATTERN.match(what):
        return f"must match {match['pattern']}"
    if what.startswith(_ENUM):
        words = _words(path, kind)
        return f"must be {'one of ' if len(words) > 1 else ''}{', '.join(words)}" if words else "is not a known word"
    return what.replace("`", "")


def _unknown(path: str, kind: type) -> str:
    of, _, _ = path.rpartition(".")
    known = ", ".join(
        field.encode_name
        for each in _types_at(of, kind)
        if isinstance(each, inspect.StructType)
        for field in each.fields
    )
    if known:
        return f"is not a known field; known are {known}"
    return "is not a known field" if of else "is not a known field; none are taken"


def _words(path: str, kind: type) -> list[str]:
    """The words that the field at `path` may be."""
    found = [each for each in _types_at(path, kind) if isinstance(each, inspect.LiteralType)]
    return [str(value) for each in found for value in each.values]


def _types_at(path: str, kind: type) -> list[inspect.Type]:
    """What may stand at `path` of a Struct, as `a.b[0]`; nothing where that cannot be told."""
    found = _options(inspect.type_info(kind))
    for step in _STEP.findall(path):
        inner: list[inspect.Type] = []
        for each in found:
            if isinstance(each, inspect.StructType):
                inner += [field.type for field in each.fields if field.encode_name == step]
            elif isinstance(each, inspect.CollectionType) and step.isdigit():
                inner.append(each.item_type)
        found = [option for each in inner for option in _options(each)]
    return found


def _options(found: inspect.Type) -> list[inspect.Type]:
    while isinstance(found, inspect.Metadata):
        found = found.type
    if isinstance(found, inspect.UnionType):
        return [option for each in found.types for option in _options(each)]
    return [found]
