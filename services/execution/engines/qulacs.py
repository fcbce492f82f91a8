"""Qulacs: state vectors of double precision, with the least overhead for narrow circuits."""

from __future__ import annotations

import cmath
import os
from importlib.metadata import version
from math import pi
from typing import TYPE_CHECKING, cast

import numpy as np
from qulacs import QuantumCircuit as Circuit
from qulacs import QuantumGateBase, QuantumGateMatrix, QuantumState
from qulacs.gate import FREDKIN, TOFFOLI, U1, DenseMatrix, DiagonalMatrix, PauliRotation, Y, to_matrix_gate

from services.execution.engines.engine import COMPARABLE_QUBITS, Capabilities, EngineError, Method
from services.execution.engines.matrices import matrix
from services.execution.engines.midway import run_midway
from services.execution.engines.sampling import marginal
from services.execution.engines.simulating import Draw, Simulating, draw_from
from services.execution.programs.tape import tape_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray
    from qiskit import QuantumCircuit

    from services.execution.engines.readout import Readout
    from services.execution.programs.program import Program
    from services.execution.programs.tape import Operation, Tape

ENGINE = "qulacs"
_WIDEST = 26
_BYTES = 48
"""For each amplitude at the peak: the state, its copy as an array, and the distribution."""


class QulacsEngine(Simulating):
    """Noise-free simulation by state vector; `memory_limit` bounds in bytes what a run may need."""

    def __init__(self, *, threads: int, memory_limit: int) -> None:
        """Set the threads of the library, for the whole process."""
        os.environ["QULACS_NUM_THREADS"] = str(threads)
        widest = min(_WIDEST, (memory_limit // _BYTES).bit_length() - 1)
        self.capabilities = Capabilities(
            ENGINE, version(ENGINE), {"statevector": widest}, dynamic=frozenset({"statevector"})
        )

    def check(self, program: Program, method: Method) -> None:
        """Refuse also a state too wide to be copied for every branch. Raises EngineError."""
        super().check(program, method)
        if program.features.dynamic and program.features.active_qubits > COMPARABLE_QUBITS:
            message = f"{ENGINE} measures midway on {COMPARABLE_QUBITS} qubits at most; qiskit-aer takes more"
            raise EngineError("OUT_OF_MEMORY", message)

    def draw(self, program: Program, readout: Readout, *, shots: int, seed: int, method: Method) -> Draw:  # noqa: ARG002 - it has one
        """Sample the exact distribution, of each branch where measurements midway part the shots."""
        tape = program.tape
        if program.features.dynamic:
            return Draw(*run_midway(tape, lambda gates: _circuit(tape.width, gates), shots=shots, seed=seed))
        return draw_from(distribution(program.tape, readout), readout, shots, seed)

    def amplitudes(self, circuit: QuantumCircuit, method: Method) -> NDArray[np.complex128]:  # noqa: ARG002 - it has one
        """Return the state at the end of a circuit."""
        tape = tape_of(circuit, with_idle=True)
        short = sum(angles[0] for name, _, angles, _ in tape.operations() if name in _SHORT_OF_PHASE) / 2
        return amplitudes(tape) * cmath.exp(1j * (circuit.global_phase + short))


def distribution(tape: Tape, readout: Readout) -> NDArray[np.float64]:
    """Return the exact probabilities of the readout's indices for a tape that is not dynamic."""
    state = amplitudes(tape)
    return marginal(state.real**2 + state.imag**2, readout.qubits)


def amplitudes(tape: Tape) -> NDArray[np.complex128]:
    """Return the state at the end of a tape that is not dynamic, qubit 0 lowest, up to a global phase."""
    state = QuantumState(tape.width)
    _circuit(tape.width, tape.operations()).update_quantum_state(state)
    found: NDArray[np.complex128] = state.get_vector()
    return found


def _circuit(width: int, operations: Sequence[Operation]) -> Circuit:
    circuit = Circuit(width)
    for name, qubits, angles, _ in operations:
        if name not in _NOTHING:
            _ADD[name](circuit, qubits, angles)
    return circuit


def _controlled(gate: QuantumGateBase, control: int) -> QuantumGateBase:
    made = cast("QuantumGateMatrix", to_matrix_gate(gate))
    made.add_control_qubit(control, 1)
    return made


def _rzz(qubits: tuple[int, ...], angle: float) -> QuantumGateBase:
    less, more = cmath.exp(-0.5j * angle), cmath.exp(0.5j * angle)
    made: QuantumGateBase = DiagonalMatrix(list(qubits), np.array([less, more, more, less]))
    return made


def _dense(name: str, qubits: tuple[int, ...]) -> QuantumGateBase:
    made: QuantumGateBase = DenseMatrix(list(qubits), np.array(matrix(name)))
    return made


_NOTHING = frozenset({"id", "measure"})
_SHORT_OF_PHASE = frozenset({"p", "u1"})
"""Run as RZ, which takes half the time: half the angle is left as a global phase."""
_X, _Y, _Z = 1, 2, 3
_ADD: Mapping[str, Callable[[Circuit, tuple[int, ...], tuple[float, ...]], None]] = {
    "x": lambda c, q, _: c.add_X_gate(*q),
    "y": lambda c, q, _: c.add_Y_gate(*q),
    "z": lambda c, q, _: c.add_Z_gate(*q),
    "h": lambda c, q, _: c.add_H_gate(*q),
    "s": lambda c, q, _: c.add_S_gate(*q),
    "sdg": lambda c, q, _: c.add_Sdag_gate(*q),
    "sx": lambda c, q, _: c.add_sqrtX_gate(*q),
    "sxdg": lambda c, q, _: c.add_sqrtXdag_gate(*q),
    "t": lambda c, q, _: c.add_T_gate(*q),
    "tdg": lambda c, q, _: c.add_Tdag_gate(*q),
    "rx": lambda c, q, a: c.add_RotX_gate(*q, *a),
    "ry": lambda c, q, a: c.add_RotY_gate(*q, *a),
    "rz": lambda c, q, a: c.add_RotZ_gate(*q, *a),
    "p": lambda c, q, a: c.add_RotZ_gate(*q, *a),
    "u1": lambda c, q, a: c.add_RotZ_gate(*q, *a),
    "u2": lambda c, q, a: c.add_U2_gate(*q, *a),
    "u3": lambda c, q, a: c.add_U3_gate(*q, *a),
    "u": lambda c, q, a: c.add_U3_gate(*q, *a),
    "r": lambda c, q, a: c.add_U3_gate(q[0], a[0], a[1] - pi / 2, pi / 2 - a[1]),
    "cx": lambda c, q, _: c.add_CNOT_gate(*q),
    "cz": lambda c, q, _: c.add_CZ_gate(*q),
    "swap": lambda c, q, _: c.add_SWAP_gate(*q),
    "cy": lambda c, q, _: c.add_gate(_controlled(Y(q[1]), q[0])),
    "cp": lambda c, q, a: c.add_gate(_controlled(U1(q[1], a[0]), q[0])),
    "csx": lambda c, q, _: c.add_gate(_dense("csx", q)),
    "ecr": lambda c, q, _: c.add_gate(_dense("ecr", q)),
    "rxx": lambda c, q, a: c.add_gate(PauliRotation(list(q), [_X, _X], -a[0])),
    "ryy": lambda c, q, a: c.add_gate(PauliRotation(list(q), [_Y, _Y], -a[0])),
    "rzx": lambda c, q, a: c.add_gate(PauliRotation(list(q), [_Z, _X], -a[0])),
    "rzz": lambda c, q, a: c.add_gate(_rzz(q, a[0])),
    "ccx": lambda c, q, _: c.add_gate(TOFFOLI(*q)),
    "cswap": lambda c, q, _: c.add_gate(FREDKIN(*q)),
}
