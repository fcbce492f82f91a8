"""The measures of the molecules' circuits, from a table: nothing is computed and no engine imported."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from services.execution.programs.features import Features

if TYPE_CHECKING:
    from collections.abc import Mapping

FEATURES_FILE = Path(__file__).with_name("features.json")
"""Features of each molecule's circuit at its reference geometry; a test derives them anew.

`circuit_count` is the number of measurement settings. `classical_ms` is the median CPU time of five sampled runs of
4,096 shots on a 2-core x86-64 virtual machine.
"""


class VqeDescriber:
    """Knows what each molecule takes."""

    def __init__(self) -> None:
        """Read the table."""
        table = json.loads(FEATURES_FILE.read_text("utf-8"))
        self._features = {name: Features(**members, amplitudes=True) for name, members in table.items()}

    def features(self, parameters: Mapping[str, Any]) -> Features:
        """Return the measures of the molecule's circuit with all qubits measured; the geometry hardly matters.

        There is a circuit for each measurement setting of each bond length; an ideal simulator runs one of a length.
        """
        points = 1 + len(parameters.get("scan", {}).get("bond_lengths_angstrom", []))
        one = self._features[parameters["molecule"]]
        return dataclasses.replace(
            one, classical_ms=points * one.classical_ms, circuit_count=points * one.circuit_count
        )
