"""The features of several circuits that one job runs, as those of one circuit."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from services.execution.programs.features import Features


def joint_features(several: Sequence[Features]) -> Features:
    """Return what bounds every one of the circuits, in each measure the most demanding of them.

    The counts of circuits are added up. So a time that is predicted for it is an upper bound of theirs together.
    """
    members = {field.name: [getattr(features, field.name) for features in several] for field in _FIELDS}
    joint: dict[str, Any] = {name: _most(values) for name, values in members.items()}
    joint["clifford"] = all(members["clifford"])
    joint["circuit_count"] = sum(members["circuit_count"])
    return Features(**joint)


_FIELDS = dataclasses.fields(Features)


def _most(values: Sequence[Any]) -> Any:  # noqa: ANN401 - whatever the members are: numbers, or numbers by name
    if isinstance(values[0], Mapping):
        names = sorted({name for value in values for name in value})
        return {name: max(value.get(name, 0) for value in values) for name in names}
    return max(values)
