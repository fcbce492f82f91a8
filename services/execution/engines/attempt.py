"""A simulator that first tries a short cut where its plan is long: how entangled a state is, features only bound.

Two short cuts are tried in turn, each for a share of the predicted time of the plan at most: clusters, and for the
longest plans a matrix product state whose bonds are looked at. What ends an attempt is counted in the circuit, never
timed, so that a seed repeats its counts.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from services.execution.engines.clusters import ClusterEngine
from services.execution.engines.cost import CostModel
from services.execution.engines.device import Simulator
from services.execution.engines.engine import EngineError
from services.execution.engines.slices import SliceEngine

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy import complex128
    from numpy.typing import NDArray
    from qiskit import QuantumCircuit

    from services.execution.engines.engine import Engine, Method, Outcome
    from services.execution.programs.features import Features
    from services.execution.programs.program import Program

LONG_SECONDS = 0.004
"""Plans below are run as they are."""
SHARE = 0.2
"""Of the predicted time of a plan, for an attempt."""
_AMPLITUDE_SECONDS = 4e-6
LONGEST_SECONDS = 0.1
"""Only plans above are cut into slices, each of which takes milliseconds to start."""
_SLICE_SECONDS = 4e-3


@functools.cache
def _model() -> CostModel:
    return CostModel.load()


class AttemptingSimulator(Simulator):
    """Runs circuits by a plan, or by a short cut that does the same sooner; `engine` names what ran, joined by +."""

    def __init__(self, engine: Engine, name: str, method: Method, threads: int) -> None:
        """`name` is that of the engine in the costs."""
        super().__init__(engine, method)
        self._name = name
        self._threads = threads
        self._ran: dict[str, str] = {}

    def run(
        self,
        program: Program,
        *,
        shots: int,
        seed: int,
        with_probabilities: bool = False,
        with_memory: bool = False,
    ) -> Outcome:
        """Run a program; see `Device.run`."""
        found = None if with_probabilities else self._attempt(program, shots, seed, with_memory=with_memory)
        if found is None:
            found = super().run(
                program, shots=shots, seed=seed, with_probabilities=with_probabilities, with_memory=with_memory
            )
        self._note(found.engine, found.engine_version)
        return found

    def statevector(self, circuit: QuantumCircuit) -> NDArray[complex128]:
        """The final state, by the plan; see `Device.statevector`."""
        can = self._engine.capabilities
        self._note(can.engine, can.engine_version)
        return super().statevector(circuit)

    def _note(self, engine: str, version: str) -> None:
        self._ran[engine] = version
        self.engine, self.engine_version = "+".join(self._ran), "+".join(self._ran.values())

    def _attempt(self, program: Program, shots: int, seed: int, *, with_memory: bool) -> Outcome | None:
        for engine in self._short_cuts(program.features, shots):
            try:
                return engine.run(
                    program, shots=shots, seed=seed, method="matrix_product_state", with_memory=with_memory
                )
            except EngineError:
                continue
        return None

    def _short_cuts(self, features: Features, shots: int) -> Iterator[Engine]:
        if features.dynamic or self._method not in {"statevector", "matrix_product_state"}:
            return
        planned = _model().seconds(self._name, self._method, features, shots)
        if planned is None or planned < LONG_SECONDS:
            return
        yield ClusterEngine(int(planned * SHARE / _AMPLITUDE_SECONDS))
        if self._method == "statevector" and planned >= LONGEST_SECONDS:
            yield SliceEngine(threads=self._threads, most_slices=int(planned * SHARE / _SLICE_SECONDS))
