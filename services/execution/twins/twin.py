"""A machine's twin: a device that runs programs as the machine would, by the errors of its calibration."""

from __future__ import annotations

import functools
import time
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING

import numpy as np
from qiskit_aer import __version__ as aer_version

from noise.density import Plan
from noise.fusion import Channels
from services.execution.engines.engine import (
    COMPARABLE_QUBITS,
    MOST_PROBABILITIES,
    EngineError,
    FidelityMethod,
    Method,
    Outcome,
)
from services.execution.engines.memory import available_memory
from services.execution.engines.qulacs import distribution
from services.execution.engines.readout import check_memory, labels, readout_of
from services.execution.engines.sampling import (
    IMPOSSIBLE,
    distinct,
    generator,
    hellinger_fidelity,
    is_comparable,
    sample,
    shuffled,
)
from services.execution.programs.tape import tape_of
from services.execution.twins.device import CalibratedDevice
from services.execution.twins.estimate import success_probability
from services.execution.twins.fitting import Fitter
from services.execution.twins.method import cheapest_way
from services.execution.twins.prediction import MOST_MEMORY
from services.execution.twins.shelf import snapshot
from services.execution.twins.trajectories import Trajectories, TrajectoryMethod

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from qiskit import QuantumCircuit

    from services.execution.engines.readout import Readout
    from services.execution.engines.transpiled import Transpiled
    from services.execution.programs.program import Program
    from services.execution.twins.snapshot import Snapshot

ENGINE = "qmumma-twin"
"""Our own simulation of density matrices, and qiskit-aer for what has to go shot by shot."""
_WARM = 8
"""Twins that stay ready, a few MB each."""


@dataclass(frozen=True, slots=True)
class _Reading:
    """What was read: distinct rows of classical bits (see `Readout`), how often each, and how they were found."""

    rows: NDArray[np.uint8]
    counts: NDArray[np.int64]
    method: Method
    exact: NDArray[np.float64] | None = None
    """The distribution that they were drawn from, where that is known, over the indices of the readout."""


class Twin:
    """Simulates one machine from one snapshot of its calibration; see `engines.device.Device`."""

    ideal = False
    engine = ENGINE
    engine_version = f"{version('qmumma-cloud')}+qiskit-aer.{aer_version}"

    def __init__(self, snapshot: Snapshot, *, threads: int, memory_limit: int) -> None:
        """Make the twin; what it runs may need `memory_limit` bytes."""
        self._device = CalibratedDevice(snapshot)
        self._memory_limit = memory_limit
        self._fitter = Fitter(self._device)
        self._channels = Channels(self._device)
        self._trajectories = Trajectories(self._device, threads=threads, memory_limit=memory_limit)
        self.calibration_id = snapshot.calibration_id

    def expect(self, programs: Sequence[tuple[Program, int]]) -> None:
        """Do nothing; see `Device.expect`."""

    def run(  # what a caller may ask of a run, each part one thing
        self,
        program: Program,
        *,
        shots: int,
        seed: int,
        with_probabilities: bool = False,
        with_memory: bool = False,
    ) -> Outcome:
        """Run a program with the machine's noise; see `Device.run`.

        Its exact distribution is sampled where that can be had; else every shot is simulated. Raises EngineError.
        """
        if with_memory:
            check_memory(program, shots)
        started = time.perf_counter()
        transpiled = self._fitter.fit(program)
        readout = readout_of(tape_of(transpiled.circuit, with_idle=True))
        reading = self._read(program, transpiled, readout, shots, seed)
        fidelity, how = self._fidelity(program, transpiled, readout, reading)
        counts = dict(zip(labels(program, reading.rows), reading.counts.tolist(), strict=True))
        return Outcome(
            counts=counts,
            probabilities=_probabilities(program, readout, reading) if with_probabilities else None,
            shots=shots,
            seed=seed,
            engine=ENGINE,
            engine_version=self.engine_version,
            method=reading.method,
            duration_ms=(time.perf_counter() - started) * 1e3,
            fidelity=fidelity,
            fidelity_method=how,
            memory=shuffled(counts, generator(seed, "memory")) if with_memory else None,
            transpiled=transpiled,
        )

    def statevector(self, _circuit: QuantumCircuit) -> NDArray[np.complex128]:
        """Refuse: a machine shows no amplitudes, and its twin none either. Raises EngineError (UNSUPPORTED)."""
        message = (
            f"{self._device.snapshot.device} shows no amplitudes, only counts; use a simulator, or have the algorithm "
            "measure"
        )
        raise EngineError("UNSUPPORTED", message)

    def _read(self, program: Program, transpiled: Transpiled, readout: Readout, shots: int, seed: int) -> _Reading:
        """Run the fitted program in the cheapest way."""
        plan = None
        if not program.features.dynamic and _measured_once(transpiled.circuit):
            plan = Plan(transpiled.circuit, readout.qubits, self._device, self._channels)
        way = cheapest_way(plan, program.features, transpiled, shots=shots, memory_limit=self._memory_limit)
        random = generator(seed, "counts")
        if plan is not None and way.name == "distribution":
            exact = plan.distribution()
            indices, counts = sample(exact, shots, random)
            return _Reading(readout.rows(indices), counts, "density_matrix", exact)
        if plan is not None and way.name == "draws":
            rows = np.zeros((shots, readout.num_clbits), dtype=np.uint8)
            rows[:, readout.clbits] = plan.sample(shots, random)[:, readout.places]
            return _Reading(*distinct(rows, np.ones(shots, dtype=np.int64)), "density_matrix")
        method: TrajectoryMethod = "matrix_product_state" if way.name == "matrix_product_state" else "statevector"
        found = self._trajectories.run(transpiled, shots=shots, seed=seed, method=method)
        return _Reading(*found, method)

    def _fidelity(
        self, program: Program, transpiled: Transpiled, readout: Readout, reading: _Reading
    ) -> tuple[float, FidelityMethod]:
        """How well the counts agree with the ideal distribution, or are expected to.

        The estimate is the Hellinger fidelity of the noisy distribution where both are known, else the probability
        that no error happens at all.
        """
        features = program.features
        if not features.dynamic and features.active_qubits <= COMPARABLE_QUBITS:
            own = readout_of(program.tape)
            if len(own.qubits) < len(own.places):  # bits of the same qubit are alike in theory alone
                return success_probability(transpiled.circuit, self._device), "calibration_estimate"
            ideal = distribution(program.tape, own)
            if is_comparable(ideal, int(reading.counts.sum())):
                return hellinger_fidelity(ideal, own.indices(reading.rows), reading.counts), "ideal_comparison"
            if reading.exact is not None:
                possible = np.flatnonzero(reading.exact > 0)
                indices = own.indices(readout.rows(possible))
                return hellinger_fidelity(ideal, indices, reading.exact[possible]), "calibration_estimate"
        return success_probability(transpiled.circuit, self._device), "calibration_estimate"


def _measured_once(circuit: QuantumCircuit) -> bool:
    """Whether each qubit is read at most once; every reading has an error of its own."""
    measured = [item.qubits[0] for item in circuit.data if item.name == "measure"]
    return len(measured) == len(set(measured))


def _probabilities(program: Program, readout: Readout, reading: _Reading) -> dict[str, float] | None:
    """What is likely to be read, by bit string; None where that is unknown or too long."""
    if reading.exact is None:
        return None
    possible = np.flatnonzero(reading.exact > IMPOSSIBLE)
    if len(possible) > MOST_PROBABILITIES:
        return None
    return dict(zip(labels(program, readout.rows(possible)), reading.exact[possible].tolist(), strict=True))


@functools.lru_cache(_WARM)
def twin_of(device: str, *, threads: int = 1) -> Twin:
    """The twin of a device, from its newest snapshot. It may take half of this process's memory, and MOST_MEMORY.

    Raises UnknownDeviceError.
    """
    return Twin(snapshot(device), threads=threads, memory_limit=min(available_memory() // 2, MOST_MEMORY))
