"""A program fitted to a machine, as text; in an engine child, because programs are from strangers."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from qiskit import QuantumCircuit, generate_preset_pass_manager
from qiskit.circuit import Parameter
from qiskit.circuit.library import Measure
from qiskit.circuit.library.standard_gates import get_standard_gate_name_mapping
from qiskit.transpiler import InstructionProperties
from qiskit.transpiler import Target as GateTarget

from services.execution.algorithms.algorithm import AlgorithmError
from services.execution.live.dialects import braket, ionq, openqasm2
from services.execution.live.target import Compiled, Target

if TYPE_CHECKING:
    from services.execution.programs.program import Program

_WRITERS = {"openqasm2": openqasm2, "braket": braket, "ionq": ionq}
_WIDE_QUBITS = 100
_LEVEL, _WIDE_LEVEL = 2, 1
"""Of optimisation: level 2 takes 0.3 s for 50 qubits and minutes for 156, and level 1 a tenth of it (facts)."""


def digest_of(program: Program, shots: int) -> str:
    """Names a circuit and its shots, so that a replay is known to ask the same again. Raises AlgorithmError."""
    if program.features.dynamic:
        raise AlgorithmError("a machine takes circuits here that measure once, at the end; choose a simulator")
    return hashlib.sha256(f"{shots}\n{openqasm2(_one_register(program.circuit))}".encode()).hexdigest()


def compiled(program: Program, shots: int, target: Target, digest: str) -> Compiled:
    """The program for the machine, the same text each time. Raises AlgorithmError where it cannot be fitted."""
    if program.features.active_qubits > target.qubit_count:
        message = (
            f"the circuit has {program.features.active_qubits} qubits and {target.device} has {target.qubit_count}"
        )
        raise AlgorithmError(message)
    placed = any(places for places in target.gates.values())
    bare = _one_register(program.circuit)
    circuit = bare if placed else _on_used_qubits(bare)
    level = _WIDE_LEVEL if program.features.active_qubits > _WIDE_QUBITS else _LEVEL
    passes = generate_preset_pass_manager(
        optimization_level=level,
        target=_gate_target(target, circuit.num_qubits),
        seed_transpiler=int(digest[:7], 16),
    )
    fitted = passes.run(circuit)
    readout = tuple(
        (fitted.find_bit(item.qubits[0]).index, fitted.find_bit(item.clbits[0]).index)
        for item in fitted.data
        if item.name == "measure"
    )
    return Compiled(
        text=_WRITERS[target.dialect](fitted),
        qubit_count=fitted.num_qubits,
        readout=readout,
        clbit_count=circuit.num_clbits,
        digest=digest,
        shots=shots,
        fidelity=_fidelity(fitted, target),
        depth=fitted.depth(),
        two_qubit_gates=fitted.num_nonlocal_gates(),
    )


def _one_register(circuit: QuantumCircuit) -> QuantumCircuit:
    """The circuit on one register of each kind, without what acts on nothing."""
    plain = QuantumCircuit(circuit.num_qubits, circuit.num_clbits)
    for item in circuit.data:
        qubits = [circuit.find_bit(qubit).index for qubit in item.qubits]
        plain.append(item.operation, qubits, [circuit.find_bit(clbit).index for clbit in item.clbits])
    return plain


def _on_used_qubits(circuit: QuantumCircuit) -> QuantumCircuit:
    """The circuit without qubits that nothing acts on."""
    used = sorted({circuit.find_bit(qubit).index for item in circuit.data for qubit in item.qubits})
    place = {qubit: index for index, qubit in enumerate(used)}
    narrow = QuantumCircuit(len(used), circuit.num_clbits)
    for item in circuit.data:
        qubits = [place[circuit.find_bit(qubit).index] for qubit in item.qubits]
        narrow.append(item.operation, qubits, [circuit.find_bit(clbit).index for clbit in item.clbits])
    return narrow


def _gate_target(target: Target, width: int) -> GateTarget:
    """Qiskit's form of a target; one whose provider finds the places is as wide as the circuit."""
    gates = get_standard_gate_name_mapping()
    placed = any(places for places in target.gates.values())
    made = GateTarget(num_qubits=target.qubit_count if placed else width)
    for name, places in target.gates.items():
        gate = gates[name]
        if gate.params:
            gate = type(gate)(*[Parameter(f"{name}{index}") for index in range(len(gate.params))])
        properties = {place.qubits: InstructionProperties(error=place.error) for place in places}
        made.add_instruction(gate, properties or None)
    if not placed:
        made.add_instruction(Measure())
        return made
    errors = target.readout_errors or (None,) * target.qubit_count
    made.add_instruction(
        Measure(), {(qubit,): InstructionProperties(error=error) for qubit, error in enumerate(errors)}
    )
    return made


def _fidelity(circuit: QuantumCircuit, target: Target) -> float | None:
    """The product of 1 - error over all gates and readouts; None where a gate's error is unknown."""
    errors = {(name, place.qubits): place.error for name, places in target.gates.items() for place in places}
    fidelity = 1.0
    for item in circuit.data:
        qubits = tuple(circuit.find_bit(qubit).index for qubit in item.qubits)
        if item.name == "measure":
            error = target.readout_errors[qubits[0]] if target.readout_errors else None
        elif item.name in ("barrier", "delay"):
            continue
        else:
            error = errors.get((item.name, qubits))
        if error is None:
            return None
        fidelity *= 1.0 - min(1.0, error)
    return fidelity
