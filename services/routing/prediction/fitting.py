"""Circuits fitted to machines, and what errs where they then run. Heavy: for child processes alone."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from qiskit import QuantumCircuit
from qiskit.circuit import Barrier, CircuitInstruction, Clbit, Measure, Qubit, Reset
from qiskit.circuit.library import get_standard_gate_name_mapping
from qiskit.transpiler import TranspilerError, generate_preset_pass_manager

from services.routing.prediction.calibration import Place, Rate, read
from services.routing.prediction.noisy import WIDEST, NoisyMachine
from services.routing.prediction.profile import Profile, UnfitError, loss_of
from services.routing.prediction.target import target_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from qiskit.circuit import Operation
    from qiskit.transpiler import PassManager, Target

    from services.routing.prediction.circuit import Structure

_LEVEL = 2
_LEVEL_OF_WIDE = 1
_WIDE = 100
"""Past so many qubits level 2 takes seconds (GHZ on 156: 3.1 s, level 1: 0.08 s)."""
_SEED = 20_260_225
"""That of services/execution/twins/fitting.py: a circuit is fitted to a calibration in the same way every time."""
_WARM = 96
"""Machines that stay ready, about 1 MB each."""
_LAST = 2
"""Circuits that stay as Qiskit's objects."""
_MOST_PLACES = 48
"""Of which the shares are told: a circuit of 20 qubits has some 60, and the last of them count for little."""
_GATES = get_standard_gate_name_mapping()
_UNKNOWN = Rate(None, None)


@dataclass(frozen=True, slots=True)
class Fitted:
    """What became of a circuit on a machine."""

    profile: Profile
    read: NDArray[np.float32] | None
    """The distribution of what will be read, errors and all, over the measured qubits of the program, the first one
    lowest; None where that takes too long."""


class Fitter:
    """Fits circuits to one machine, with pass managers that stay warm."""

    def __init__(self, folder: Path, calibration_id: str) -> None:
        """Fit to a calibration of `folder`. Raises UnknownCalibrationError."""
        self._calibration = read(folder, calibration_id)
        self._targets: dict[int, Target] = {}
        self._managers: dict[tuple[int, int], PassManager] = {}
        self._known: dict[tuple[str, Place], tuple[float, float, float]] = {}
        self._rates = {gate.name: dict(self._calibration.rates(gate)) for gate in self._calibration.gates}
        self._noisy = NoisyMachine(self._calibration, self._rates)

    def fit(self, structure: Structure, angles: tuple[float, ...]) -> Fitted:
        """What errs where a circuit runs, and what comes of it. Raises UnfitError."""
        if structure.qubit_count > len(self._calibration.working):
            raise UnfitError(f"{structure.qubit_count} qubits on {len(self._calibration.working)}")
        level = _LEVEL_OF_WIDE if structure.qubit_count > _WIDE else _LEVEL
        try:
            fitted = self._manager(level, self._room(structure)).run(_circuit(structure, angles))
        except TranspilerError as error:
            raise UnfitError(error.message) from error
        return Fitted(self._profile(fitted, structure), self._read(fitted, structure))

    def _read(self, fitted: QuantumCircuit, structure: Structure) -> NDArray[np.float32] | None:
        if structure.qubit_count > WIDEST or not structure.read_at_the_end:
            return None
        number = {qubit: index for index, qubit in enumerate(fitted.qubits)}
        home = {item.clbits[0]: number[item.qubits[0]] for item in fitted.data if item.name == "measure"}
        read = {
            qubits[0]: home[fitted.clbits[into[0]]] for name, qubits, into, _ in structure.steps if name == "measure"
        }
        return self._noisy.distribution(fitted, tuple(read[qubit] for qubit in sorted(read)))

    def _room(self, structure: Structure) -> int:
        """How many of the working qubits are taken into account: all, unless one is as good as another.

        Looking for the best of 56 qubits that all have every other as a neighbour takes 0.2 s and finds nothing.
        """
        alike = self._calibration.uniform
        return structure.qubit_count if alike else len(self._calibration.working)

    def _manager(self, level: int, room: int) -> PassManager:
        if room not in self._targets:
            self._targets[room] = target_of(self._calibration, room)
        if (level, room) not in self._managers:
            self._managers[level, room] = generate_preset_pass_manager(
                level, target=self._targets[room], seed_transpiler=_SEED
            )
        return self._managers[level, room]

    def _profile(self, fitted: QuantumCircuit, structure: Structure) -> Profile:
        number = {qubit: index for index, qubit in enumerate(fitted.qubits)}
        bit = {clbit: index for index, clbit in enumerate(fitted.clbits)}
        working = self._calibration.working
        singles = pairs = 0.0
        nonlocal_count = 0
        ends, layers = [0.0] * len(number), [0] * len(number)
        read_at: dict[int, float] = {}
        read_in = [0] * len(bit)
        lost: dict[Place, float] = {}
        place: Place
        for item in fitted.data:
            name, on = item.name, [number[qubit] for qubit in item.qubits]
            if name == "barrier":
                continue
            layer = 1 + max([layers[index] for index in on])
            if name == "measure":
                qubit, into = self._calibration.qubits[working[on[0]]], bit[item.clbits[0]]
                read_at[into] = qubit.readout_error or 0.0
                place, total = (working[on[0]],) * 2, loss_of(read_at[into])
                seconds = (qubit.readout_ns or 0.0) * 1e-9
                layer = read_in[into] = max(layer, 1 + read_in[into])
            else:
                place = tuple([working[index] for index in on])
                own, relaxed, seconds = self._losses(name, place)
                place, total = tuple(sorted(place)), own + relaxed
                singles += relaxed
                if len(on) == 1:
                    singles += own
                else:
                    pairs += own
                    nonlocal_count += 1
            lost[place] = lost.get(place, 0.0) + total
            end = max([ends[index] for index in on]) + seconds
            for index in on:
                ends[index], layers[index] = end, layer
        wrong = {qubits[0]: read_at[clbits[0]] for name, qubits, clbits, _ in structure.steps if name == "measure"}
        return Profile(
            pair_loss=pairs,
            single_loss=singles,
            readout_errors=tuple(wrong[qubit] for qubit in sorted(wrong)),
            depth=max(layers),
            two_qubit_gate_count=nonlocal_count,
            seconds=max(ends),
            places=_shares(lost),
        )

    def _losses(self, name: str, place: Place) -> tuple[float, float, float]:
        """What a gate adds to the losses (`Calibration.losses`), and its seconds."""
        key = (name, place)
        if key not in self._known:
            rate = self._rates.get(name, {}).get(place, _UNKNOWN)
            self._known[key] = (*self._calibration.losses(place, rate), rate.seconds or 0.0)
        return self._known[key]


def _shares(lost: dict[Place, float]) -> tuple[tuple[Place, float], ...]:
    """The share of each place in what is lost at all of them, the largest first, as far as they count."""
    whole = sum(lost.values()) or 1.0
    first = sorted(lost.items(), key=lambda each: (-each[1], each[0]))[:_MOST_PLACES]
    return tuple([(place, round(each / whole, 4)) for place, each in first if each > 0])


@lru_cache(_WARM)
def fitter(folder: Path, calibration_id: str) -> Fitter:
    """The fitter of a calibration, made once."""
    return Fitter(folder, calibration_id)


@lru_cache(_LAST)
def _circuit(structure: Structure, angles: tuple[float, ...]) -> QuantumCircuit:
    """The circuit that is fitted to one machine after another; fitting leaves it as it is."""
    return circuit_of(structure, angles)


def circuit_of(structure: Structure, angles: tuple[float, ...]) -> QuantumCircuit:
    """The circuit as Qiskit's object. Raises UnfitError for a gate that Qiskit does not know."""
    qubits, clbits = [Qubit() for _ in range(structure.qubit_count)], [Clbit() for _ in range(structure.clbit_count)]
    circuit = QuantumCircuit(qubits, clbits)
    taken = 0
    for name, on, into, count in structure.steps:
        gate = Barrier(len(on)) if name == "barrier" else _operation(name, angles[taken : taken + count])
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
