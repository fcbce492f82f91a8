"""A JSON Schema compiled once, whose refusals name one field in few words."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from jsonschema import Draft202012Validator, SchemaError
from jsonschema.exceptions import best_match

from services.execution.algorithms.algorithm import ParameterError

if TYPE_CHECKING:
    from jsonschema import ValidationError

_DEEPEST = 16
_LONGEST_VALUE = 60
_WORDS = {
    "type": "must be of type {}",
    "enum": "must be one of {}",
    "minimum": "must be at least {}",
    "maximum": "must be at most {}",
    "minLength": "must have at least {} characters",
    "not": "is not allowed with the other parameters",
    "maxLength": "must have at most {} characters",
    "minItems": "must have at least {} items",
    "maxItems": "must have at most {} items",
    "maxProperties": "must have at most {} members",
    "pattern": "must match {}",
}
"""What each rule demands; the library's own words repeat the whole value."""


class Schema:
    """A JSON Schema of draft 2020-12."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        """Compile a schema, which `check` checks."""
        self.document = document
        self._validator = Draft202012Validator(document)
        self.defaults = {
            name: member["default"] for name, member in document.get("properties", {}).items() if "default" in member
        }

    def check(self) -> None:
        """Raise ValueError where it is no JSON Schema; takes tens of milliseconds."""
        try:
            Draft202012Validator.check_schema(self.document)
        except SchemaError as error:
            raise ValueError(f"not a JSON Schema: {error.message}") from error

    def checked(self, value: object, name: str) -> Mapping[str, Any]:
        """Return an object that fits the schema, with the defaults of its members filled in.

        Raises ParameterError with the path from `name` down to what does not fit.
        """
        _check_numbers(value, name, 0)
        error = best_match(self._validator.iter_errors(value))
        if error is not None:
            raise _parameter_error(error, name)
        if not isinstance(value, Mapping):
            raise ParameterError(name, "must be an object")
        return {**self.defaults, **value}


def _check_numbers(value: object, path: str, depth: int) -> None:
    """Refuse what JSON does not have and comparisons let through: NaN, infinities, endless depth."""
    if depth > _DEEPEST:
        raise ParameterError(path, f"is nested deeper than {_DEEPEST} levels")
    if isinstance(value, float) and not math.isfinite(value):
        raise ParameterError(path, "must be a finite number")
    if isinstance(value, Mapping):
        for name, member in value.items():
            _check_numbers(member, f"{path}.{_short(name)}", depth + 1)
    elif isinstance(value, list):
        for index, member in enumerate(value):
            _check_numbers(member, f"{path}[{index}]", depth + 1)


def _parameter_error(error: ValidationError, name: str) -> ParameterError:
    path = name + "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in error.absolute_path)
    rule: Any = error.validator_value
    instance: Any = error.instance
    if error.validator == "required":
        missing = next(member for member in rule if member not in instance)
        return ParameterError(f"{path}.{missing}", "is required")
    if error.validator == "additionalProperties" and rule is False:
        schema: Any = error.schema
        known = schema["properties"]
        unknown = next(member for member in instance if member not in known)
        return ParameterError(f"{path}.{_short(unknown)}", f"is unknown; known are {', '.join(known)}")
    if error.validator in {"oneOf", "anyOf"} and all("required" in each for each in rule):
        return ParameterError(path, f"needs one of: {'; '.join(' and '.join(each['required']) for each in rule)}")
    if error.validator in _WORDS:
        listed = ", ".join(map(str, rule)) if isinstance(rule, list) else str(rule)
        worded = _WORDS[error.validator].format(listed)
        return ParameterError(path, worded.removesuffix("s") if rule == 1 else worded)
    return ParameterError(path, error.message)


def _short(text: object) -> str:
    return str(text)[:_LONGEST_VALUE]
