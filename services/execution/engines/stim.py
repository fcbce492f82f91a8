"""Stim: stabilizer circuits, thousands of qubits wide; samples are flips against one reference sample.

A seed repeats its counts on the same version and kind of processor: stim uses the widest vectors that there are.
"""

from __future__ import annotations

from functools import lru_cache
from importlib.metadata import version
from typing import TYPE_CHECKING

import numpy as np
from stim import Circuit

from services.execution.engines.engine import Capabilities, EngineError, Method
from services.execution.engines.sampling import distinct
from services.execution.engines.seeds import spread_seed
from services.execution.engines.simulating import Draw, Simulating
from services.execution.programs.clifford import clifford_form

if TYPE_CHECKING:
    from collections.abc import Mapping

    from services.execution.engines.readout import Readout
    from services.execution.programs.program import Program
    from services.execution.programs.tape import Tape

ENGINE = "stim"
_WIDEST = 4_096
_NAMES: Mapping[str, str] = {
    "id": "I", "x": "X", "y": "Y", "z": "Z", "h": "H", "s": "S", "sdg": "S_DAG", "sx": "SQRT_X", "sxdg": "SQRT_X_DAG",
    "cx": "CX", "cy": "CY", "cz": "CZ", "swap": "SWAP", "reset": "R", "measure": "M",
}  # fmt: skip
_BATCH = 2**28
"""Measured bits that are held at once, of however many shots that is."""


class StimEngine(Simulating):
    """Clifford circuits with measurements and resets anywhere in them."""

    def __init__(self, *, threads: int, memory_limit: int) -> None:  # noqa: ARG002 - it has one thread, and needs little
        """Make the engine."""
        methods: frozenset[Method] = frozenset({"stabilizer"})
        self.capabilities = Capabilities(ENGINE, version(ENGINE), {"stabilizer": _WIDEST}, dynamic=methods)

    def draw(self, program: Program, readout: Readout, *, shots: int, seed: int, method: Method) -> Draw:  # noqa: ARG002 - it has one
        """Sample all measurements, and keep the last one into each classical bit."""
        tape = program.tape
        sampler = transcode(tape).compile_sampler(seed=spread_seed(seed, ENGINE))
        into = [clbits[0] for name, _, _, clbits in tape.operations() if name == "measure"]
        last = {clbit: measurement for measurement, clbit in enumerate(into)}
        rows, counts = [], []
        batch = max(1, _BATCH // len(into))
        for first in range(0, shots, batch):
            packed = sampler.sample_bit_packed(min(batch, shots - first))
            packed, count = distinct(packed, np.ones(len(packed), dtype=np.int64))
            records = np.unpackbits(packed, axis=1, count=len(into), bitorder="little")
            found = np.zeros((len(records), readout.num_clbits), dtype=np.uint8)
            found[:, list(last)] = records[:, list(last.values())]
            rows.append(found)
            counts.append(count)
        return Draw(*distinct(np.concatenate(rows), np.concatenate(counts)))


def transcode(tape: Tape) -> Circuit:
    """Return the circuit of a tape. Raises EngineError for a gate outside the Clifford group."""
    lines = []
    for name, qubits, angles, _ in tape.operations():
        if name in _NAMES:
            lines.append(
                f"{_NAMES[name]} {qubits[0]}" if len(qubits) == 1 else f"{_NAMES[name]} {qubits[0]} {qubits[1]}"
            )
        else:
            lines += [
                f"{gate} {' '.join([str(qubits[place]) for place in places])}" for gate, places in _form(name, angles)
            ]
    return Circuit("\n".join(lines))


@lru_cache(maxsize=4_096)
def _form(name: str, angles: tuple[float, ...]) -> tuple[tuple[str, tuple[int, ...]], ...]:
    """Return stim's gates for a gate that is Clifford at its angles, with the places of its qubits."""
    form = clifford_form(name, angles)
    if form is None:
        raise EngineError("NOT_CLIFFORD", f"gate {name} is outside the Clifford group")
    place = {bit: index for index, bit in enumerate(form.qubits)}
    return tuple((_NAMES[item.name], tuple(place[bit] for bit in item.qubits)) for item in form.data)
