"""Circuits fitted to machines, and what errs where they then run. Heavy: for child processes alone."""

from __future__ import annotations

import math
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from qiskit import QuantumCircuit
from qiskit.circuit import CircuitInstruction, Clbit, Measure, Qubit, Reset
from qiskit.circuit.library import get_standard_gate_name_mapping
from qiskit.transpiler import TranspilerError, generate_preset_pass_manager

from services.routing.prediction.calibration import Rate, read
from services.routing.prediction.profile import Profile, UnfitError
from services.routing.prediction.target import target_of

if TYPE_CHECKING:
    from qiskit.circuit import Operation
    from qiskit.transpiler import PassManager

    from services.routing.prediction.circuit import Structure

_LEVEL = 2
_LEVEL_OF_WIDE = 1
_WIDE = 100
"""Past so many qubits level 2 takes seconds (GHZ on 156: 3.1 s, level 1: 0.08 s)."""
_SEED = 20_260_225
"""That of services/execution/twins/fitting.py: a circuit is fitted to a calibration in the same way every time."""
_WARM = 96
"""Machines that stay ready, about 1 MB each."""
_GATES = get_standard_gate_name_mapping()
_UNKNOWN = Rate(None, None)


class Fitter:
    """Fits circuits to one machine, with pass managers that stay warm."""

    def __init__(self, folder: Path, calibration_id: str) -> None:
        """Fit to a calibration of `folder`. Raises UnknownCalibrationError."""
        self._calibration = read(folder, calibration_id)
        self._target = target_of(self._calibration)
        self._managers: dict[int, PassManager] = {}
        self._rates = {gate.name: dict(self._calibration.rates(gate)) for gate in self._calibration.gates}

    def fit(self, structure: Structure, angles: tuple[float, ...]) -> Profile:
        """What errs where a circuit runs. Raises UnfitError."""
        if structure.qubit_count > len(self._calibration.working):
            raise UnfitError(f"{structure.qubit_count} qubits on {len(self._calibration.working)}")
        level = _LEVEL_OF_WIDE if structure.qubit_count > _WIDE else _LEVEL
        try:
            fitted = self._manager(level).run(circuit_of(structure, angles))
        except TranspilerError as error:
            raise UnfitError(error.message) from error
        return self._profile(fitted, structure)

    def _manager(self, level: int) -> PassManager:
        if level not in self._managers:
            self._managers[level] = generate_preset_pass_manager(level, target=self._target, seed_transpiler=_SEED)
        return self._managers[level]

    def _profile(self, fitted: QuantumCircuit, structure: Structure) -> Profile:
        machine = dict(zip(fitted.qubits, self._calibration.working, strict=True))
        bit = {clbit: index for index, clbit in enumerate(fitted.clbits)}
        singles = pairs = 0.0
        ends = dict.fromkeys(self._calibration.working, 0.0)
        read_at: dict[int, float] = {}
        for item in fitted.data:
            if item.name == "barrier":
                continue
            place = tuple(machine[qubit] for qubit in item.qubits)
            if item.name == "measure":
                qubit = self._calibration.qubits[place[0]]
                read_at[bit[item.clbits[0]]] = qubit.readout_error or 0.0
                seconds = (qubit.readout_ns or 0.0) * 1e-9
            else:
                rate = self._rates.get(item.name, {}).get(place, _UNKNOWN)
                lost = -math.log1p(-min(self._calibration.gate_error(place, rate), Profile.MOST_ERROR))
                singles, pairs = (singles + lost, pairs) if len(place) == 1 else (singles, pairs + lost)
                seconds = rate.seconds or 0.0
            end = max(ends[qubit] for qubit in place) + seconds
            ends.update(dict.fromkeys(place, end))
        wrong = {qubits[0]: read_at[clbits[0]] for name, qubits, clbits, _ in structure.steps if name == "measure"}
        return Profile(
            single_loss=singles,
            pair_loss=pairs,
            readout_errors=tuple(wrong[qubit] for qubit in sorted(wrong)),
            depth=fitted.depth(),
            two_qubit_gate_count=fitted.num_nonlocal_gates(),
            seconds=max(ends.values()),
        )


@lru_cache(_WARM)
def fitter(folder: Path, calibration_id: str) -> Fitter:
    """The fitter of a calibration, made once."""
    return Fitter(folder, calibration_id)


def circuit_of(structure: Structure, angles: tuple[float, ...]) -> QuantumCircuit:
    """The circuit as Qiskit's object. Raises UnfitError for a gate that Qiskit does not know."""
    qubits, clbits = [Qubit() for _ in range(structure.qubit_count)], [Clbit() for _ in range(structure.clbit_count)]
    circuit = QuantumCircuit(qubits, clbits)
    taken = 0
    for name, on, into, count in structure.steps:
        gate = _operation(name, angles[taken : taken + count])
        circuit._append(CircuitInstruction(gate, [qubits[q] for q in on], [clbits[c] for c in into]))  # noqa: SLF001 - what qiskit's own readers call: a tenth of append's time
        taken += count
    return circuit


def _operation(name: str, angles: tuple[float, ...]) -> Operation:
    if name == "measure":
        return Measure()
    if name == "reset":
        return Reset()
    if name not in _GATES:
        raise UnfitError(f"there is no gate {name}")
    known = _GATES[name]
    return type(known)(*angles) if angles else known
