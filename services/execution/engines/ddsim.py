"""MQT DDSIM: decision diagrams, for wide circuits whose state repeats itself: GHZ, W, transforms of basis states."""

from __future__ import annotations

import cmath
from importlib.metadata import version
from typing import TYPE_CHECKING

import numpy as np
from mqt.core.ir import QuantumComputation
from mqt.ddsim import CircuitSimulator

from services.execution.engines.engine import COMPARABLE_QUBITS, Capabilities, Method
from services.execution.engines.seeds import spread_seed
from services.execution.engines.simulating import Draw, Simulating
from services.execution.programs.tape import tape_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray
    from qiskit import QuantumCircuit

    from services.execution.engines.readout import Readout
    from services.execution.programs.program import Program
    from services.execution.programs.tape import Tape

ENGINE = "mqt-ddsim"
_WIDEST = 1_024


class DdsimEngine(Simulating):
    """Noise-free simulation by decision diagram; only running shows how large one gets."""

    def __init__(self, *, threads: int, memory_limit: int) -> None:  # noqa: ARG002 - it has one thread, and no bound
        """Make the engine."""
        self.capabilities = Capabilities(ENGINE, version(ENGINE), {"decision_diagram": _WIDEST})

    def draw(self, program: Program, readout: Readout, *, shots: int, seed: int, method: Method) -> Draw:  # noqa: ARG002 - it has one
        """Sample the measured qubits, each into a bit of its own."""
        circuit = transcode(program.tape, len(readout.qubits))
        circuit.measure(list(readout.qubits), list(range(len(readout.qubits))))
        found = CircuitSimulator(circuit, seed=spread_seed(seed, ENGINE)).simulate(shots)
        keys = sorted(found)
        bits = np.frombuffer("".join(keys).encode(), dtype=np.uint8).reshape(len(keys), -1)[:, ::-1] - ord("0")
        rows = np.zeros((len(keys), readout.num_clbits), dtype=np.uint8)
        rows[:, readout.clbits] = bits[:, readout.places]
        return Draw(rows, np.array([found[key] for key in keys], dtype=np.int64))

    def amplitudes(self, circuit: QuantumCircuit, method: Method) -> NDArray[np.complex128]:
        """Return the state at the end of a circuit, written out."""
        if circuit.num_qubits > COMPARABLE_QUBITS:
            return super().amplitudes(circuit, method)
        simulator = CircuitSimulator(transcode(tape_of(circuit, with_idle=True), 0), seed=0)
        simulator.simulate(1)
        state: NDArray[np.complex128] = simulator.get_constructed_dd().get_vector()
        return state * cmath.exp(1j * circuit.global_phase)


def transcode(tape: Tape, clbits: int) -> QuantumComputation:
    """Return the gates of a tape, in a circuit with so many classical bits."""
    circuit = QuantumComputation(tape.width, clbits)
    for name, qubits, angles, _ in tape.operations():
        if name != "measure":
            _ADD[name](circuit, *angles, *qubits)
    return circuit


_Q = QuantumComputation
_ADD: Mapping[str, Callable[..., None]] = {
    "id": _Q.i, "x": _Q.x, "y": _Q.y, "z": _Q.z, "h": _Q.h, "s": _Q.s, "sdg": _Q.sdg, "sx": _Q.sx, "sxdg": _Q.sxdg,
    "t": _Q.t, "tdg": _Q.tdg, "p": _Q.p, "u1": _Q.p, "u2": _Q.u2, "u3": _Q.u, "u": _Q.u, "r": _Q.r,
    "rx": _Q.rx, "ry": _Q.ry, "rz": _Q.rz, "cx": _Q.cx, "cy": _Q.cy, "cz": _Q.cz, "cp": _Q.cp, "csx": _Q.csx,
    "ecr": _Q.ecr, "swap": _Q.swap, "rxx": _Q.rxx, "ryy": _Q.ryy, "rzz": _Q.rzz, "rzx": _Q.rzx,
    "ccx": lambda c, first, second, target: c.mcx({first, second}, target), "cswap": _Q.cswap,
}  # fmt: skip
