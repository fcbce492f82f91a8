"""Machines that drift, and err in ways that their calibration does not say.

A machine's calibration of a day is its snapshot with every place's errors and times scattered; the same holds for the
machine itself that day, once more and less. Of the reported error of a gate on two qubits a part is coherent (a ZZ
rotation by an angle that stays), and while such a gate runs, its neighbours in the circuit pick up ZZ phases that no
calibration knows. The run is the exact distribution of the density matrix (services/execution/twins).
"""

from __future__ import annotations

import datetime as dt
import math

import msgspec
import numpy as np
from numpy.typing import NDArray
from qiskit import QuantumCircuit
from qiskit.circuit import Gate

from bench.routing_rivals import selector_score
from noise.density import Plan
from noise.fusion import Channels
from services.execution.engines.qulacs import distribution
from services.execution.engines.readout import readout_of
from services.execution.engines.seeds import spread_seed
from services.execution.programs.program import Program
from services.execution.programs.tape import tape_of
from services.execution.twins.device import CalibratedDevice
from services.execution.twins.estimate import success_probability
from services.execution.twins.fitting import Fitter
from services.execution.twins.shelf import snapshot
from services.execution.twins.snapshot import Gate as Rates
from services.execution.twins.snapshot import Snapshot

SEED = 20_261_121
"""Of the training and the validation side."""
_WORK = 4e8
"""Numbers that a run may write, 4 s; a circuit that would need more on a machine is left out there."""
_OF_DAY, _OF_MACHINE_AND_DAY = 0.30, 0.15
"""The scatter of a calibration from day to day: standard deviations of logarithms, of each place and of all at once."""
_HIDDEN, _HIDDEN_OF_MACHINE = 0.10, 0.03
"""The same between what is reported and what is so, on the same day."""
_MOST_ERROR = 0.5
SHOTS = 1024
"""Of what is measured of a run, beside its exact distribution."""


class World(msgspec.Struct, frozen=True):
    """The day of the calibration that is known, the day of the run, and how coherently machines err.

    Worlds with another seed have other days and other hidden errors, of the same machines.
    """

    name: str
    known: int
    run: int
    coherent: float = 0.05
    """The part of a pair's error that is a ZZ rotation."""
    crosstalk: float = 0.02
    """The rotation that a gate brings to each neighbour besides, as a part of its error."""
    seed: int = SEED


def reported(device: str, day: int, seed: int) -> Snapshot:
    """The calibration of a machine on a day. Who publishes averages alone publishes the same every day."""
    base = snapshot(device)
    if base.source.basis != "averages":
        base = scattered(base, seed, f"{device} day {day}", _OF_DAY, _OF_MACHINE_AND_DAY)
    date = base.date + dt.timedelta(days=day)
    return msgspec.structs.replace(base, date=date, calibration_id=f"{device}@{date.isoformat()}")


def actual(device: str, day: int, seed: int) -> Snapshot:
    """The machine itself on that day, without its coherent errors."""
    base = reported(device, day, seed)
    if snapshot(device).source.basis == "averages":
        base = scattered(base, seed, f"{device} day {day}", _OF_DAY, _OF_MACHINE_AND_DAY)
    return scattered(base, seed, f"{device} truth {day}", _HIDDEN, _HIDDEN_OF_MACHINE)


def scattered(base: Snapshot, seed: int, purpose: str, of_place: float, of_machine: float) -> Snapshot:
    """A snapshot with errors multiplied, and T1 and T2 divided, by log-normal factors."""
    random = np.random.default_rng(spread_seed(seed, purpose))
    common = of_machine * random.standard_normal()

    def factor() -> float:
        return math.exp(common + of_place * random.standard_normal())

    def error(value: float | None) -> float | None:
        # An error of 1 marks a gate that had failed, and stays.
        return value if value in {None, 0.0, 1.0} else min(float(value or 0) * factor(), _MOST_ERROR)

    qubits = tuple(
        msgspec.structs.replace(
            each,
            t1_us=each.t1_us and each.t1_us / factor(),
            t2_us=each.t2_us and each.t2_us / factor(),
            readout_error=error(each.readout_error),
        )
        for each in base.qubits
    )
    gates = tuple(_spread(base, gate) for gate in base.gates)
    gates = tuple(msgspec.structs.replace(each, error=tuple(error(value) for value in _errors(each))) for each in gates)
    return msgspec.structs.replace(base, qubits=qubits, gates=gates)


def _spread(base: Snapshot, gate: Rates) -> Rates:
    """The gate with a number for each place."""
    rates = base.rates(gate)
    return msgspec.structs.replace(
        gate,
        places=tuple(rates),
        error=tuple(error for error, _ in rates.values()),
        duration_ns=tuple(span for _, span in rates.values()),
    )


def _errors(gate: Rates) -> tuple[float | None, ...]:
    if not isinstance(gate.error, tuple):
        raise TypeError(f"{gate.name} has no number for each place")
    return gate.error


class Machine:
    """A machine in a world: fitted to what is known, run as it is."""

    def __init__(self, device: str, world: World) -> None:
        """Make it."""
        self._device, self._world = device, world
        self.known = CalibratedDevice(reported(device, world.known, world.seed))
        self._fitter = Fitter(self.known)
        self._actual = CalibratedDevice(_incoherent(actual(device, world.run, world.seed), world.coherent))
        self._channels = Channels(self._actual)
        random = np.random.default_rng(spread_seed(world.seed, f"{device} phases"))
        self._phases = {}
        self._neighbours: dict[int, set[int]] = {}
        for gate in self.known.snapshot.gates:
            for place, (error, _) in self.known.snapshot.rates(gate).items():
                if gate.width == 2:
                    size = 2 * math.sqrt(min(error or 0.0, _MOST_ERROR))
                    self._phases[place] = size * random.standard_normal(2) * np.sqrt([world.coherent, world.crosstalk])
                    self._neighbours.setdefault(place[0], set()).add(place[1])
                    self._neighbours.setdefault(place[1], set()).add(place[0])
        self._all_to_all = len(self._phases) > self.known.snapshot.qubit_count**2 / 2

    def run(self, name: str, program: Program) -> tuple[float, float, float, float] | None:
        """What a circuit of a name is worth; None where it is too large.

        The Hellinger fidelity of the exact distributions, that of the counts of SHOTS shots, the product of
        (1 - reported error) over the fitted circuit, and the score of qiskit-quantum-backend-selector.
        """
        if program.features.active_qubits > len(self.known.working):
            return None
        fitted = self._fitter.fit(program).circuit
        readout = readout_of(tape_of(fitted, with_idle=True))
        plan = Plan(self._with_phases(fitted), readout.qubits, self._actual, self._channels)
        if plan.distribution_work > _WORK:
            return None
        noisy, own = plan.distribution().astype(np.float64), readout_of(program.tape)
        ideal = distribution(program.tape, own)
        right = np.clip(ideal[own.indices(readout.rows(np.arange(len(noisy))))], 0, None)
        seed = spread_seed(self._world.seed, f"{self._device} {self._world.name} {name} shots")
        counts = np.random.default_rng(seed).multinomial(SHOTS, noisy / noisy.sum())
        return (
            round(float(np.sqrt(right * noisy).sum()) ** 2, 6),
            round(float(np.sqrt(right * counts / SHOTS).sum()) ** 2, 6),
            round(success_probability(fitted, self.known), 6),
            round(selector_score(self.known, program.circuit), 6),
        )

    def _with_phases(self, fitted: QuantumCircuit) -> QuantumCircuit:
        """The circuit with what each gate on two qubits really does besides, as matrices that no calibration has."""
        number = {qubit: index for index, qubit in enumerate(fitted.qubits)}
        used = {number[qubit] for item in fitted.data for qubit in item.qubits if item.name != "barrier"}
        made = fitted.copy_empty_like()
        for item in fitted.data:
            made.append(item)
            place = tuple(number[qubit] for qubit in item.qubits)
            if len(place) != 2 or place not in self._phases:
                continue
            own, across = self._phases[place]
            made.append(_Phase(own), list(place))
            if not self._all_to_all:
                for qubit, other in (place, place[::-1]):
                    for neighbour in sorted((self._neighbours[qubit] & used) - {other}):
                        made.append(_Phase(across), [qubit, neighbour])
        return made


class _Phase(Gate):  # type: ignore[misc]  # qiskit is untyped
    """A ZZ rotation that no machine has as a gate, and so no calibration an error for."""

    def __init__(self, angle: float) -> None:
        super().__init__("hidden_zz", 2, [angle])

    def to_matrix(self) -> NDArray[np.complex128]:
        return np.diag(np.exp(-0.5j * float(self.params[0]) * np.array([1, -1, -1, 1])))


def _incoherent(base: Snapshot, coherent: float) -> Snapshot:
    """The snapshot with the errors of pairs less what of them is coherent."""
    gates = []
    for gate in base.gates:
        kept = tuple(value and (value if value == 1 else value * (1 - coherent)) for value in _errors(gate))
        gates.append(msgspec.structs.replace(gate, error=kept) if gate.width > 1 else gate)
    return msgspec.structs.replace(base, gates=tuple(gates))
