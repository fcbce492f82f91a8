"""Programs fitted to a machine: transpiled onto its gates and wiring, on the qubits whose errors are least."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qiskit import QuantumCircuit
from qiskit.transpiler import TranspilerError, generate_preset_pass_manager

from services.execution.engines.engine import EngineError
from services.execution.engines.transpiled import Transpiled

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from qiskit.circuit import CircuitInstruction
    from qiskit.transpiler import PassManager

    from services.execution.programs.program import Program
    from services.execution.twins.device import CalibratedDevice

_LEVEL = 2
_OPTIONAL = frozenset({"reset", "delay"})
"""What is no gate, and what not every machine can do."""
_LEVEL_OF_WIDE = 1
_WIDE = 100
"""Past so many qubits level 2 takes seconds (GHZ on 156: 3.1 s, level 1: 0.08 s)."""
_SEED = 20_260_225
"""The same circuit is fitted to a calibration in the same way every time, whatever the job's seed."""


class Fitter:
    """Fits programs to one machine, with pass managers that stay warm."""

    def __init__(self, device: CalibratedDevice) -> None:
        """Fit to `device`."""
        self._device = device
        self._managers: dict[int, PassManager] = {}

    def fit(self, program: Program) -> Transpiled:
        """Transpile a program. Raises EngineError (UNSUPPORTED) for one that the machine has no means for."""
        self._check(program)
        used, circuit = on_used_qubits(program.circuit)
        level = _LEVEL_OF_WIDE if len(used) > _WIDE else _LEVEL
        try:
            fitted = self._manager(level).run(circuit)
        except TranspilerError as error:
            message = f"{self._device.snapshot.device} has no means for this circuit: {error.message}"
            raise EngineError("UNSUPPORTED", message) from error
        working = self._device.working
        layout: list[int | None] = [None] * program.circuit.num_qubits
        for qubit, place in zip(used, fitted.layout.initial_index_layout(filter_ancillas=True), strict=True):
            layout[qubit] = working[place]
        wide = QuantumCircuit(self._device.snapshot.qubit_count)
        wide.add_bits(fitted.clbits)
        wide.add_register(*fitted.cregs)
        wide.compose(fitted, qubits=working, clbits=fitted.clbits, inplace=True)
        return Transpiled(wide, tuple(layout), level)

    def _manager(self, level: int) -> PassManager:
        if level not in self._managers:
            self._managers[level] = generate_preset_pass_manager(
                level, target=self._device.target, seed_transpiler=_SEED
            )
        return self._managers[level]

    def _check(self, program: Program) -> None:
        name, most = self._device.snapshot.device, len(self._device.working)
        if program.features.active_qubits > most:
            message = f"the program has {program.features.active_qubits} qubits; {name} has {most} that work together"
            raise EngineError("UNSUPPORTED", message)
        names = self._device.target.operation_names
        for item, _ in operations(program.circuit):
            if (item.is_control_flow() or item.name in _OPTIONAL) and item.name not in names:
                message = f"{name} cannot do {item.name} as it was calibrated; use a simulator, or another machine"
                raise EngineError("UNSUPPORTED", message)


def operations(
    circuit: QuantumCircuit, outer: Sequence[int] | None = None
) -> Iterator[tuple[CircuitInstruction, tuple[int, ...]]]:
    """Every operation of a circuit, those inside its branches too, and the circuit's qubits that it acts on.

    `outer` renames the circuit's qubits.
    """
    index = dict(zip(circuit.qubits, outer or range(circuit.num_qubits), strict=True))
    for item in circuit.data:
        qubits = tuple(index[qubit] for qubit in item.qubits)
        yield item, qubits
        if item.is_control_flow():
            for block in item.operation.blocks:
                yield from operations(block, qubits)


def on_used_qubits(circuit: QuantumCircuit, first: Sequence[int] = ()) -> tuple[list[int], QuantumCircuit]:
    """The qubits that something but a barrier touches, and the circuit on them alone, with all its classical bits.

    They are in ascending order, after those of `first` that are used.
    """
    index = {qubit: place for place, qubit in enumerate(circuit.qubits)}
    touched = {index[qubit] for item in circuit.data if item.name != "barrier" for qubit in item.qubits}
    used = [qubit for qubit in first if qubit in touched]
    used += sorted(touched.difference(used))
    if used == list(range(circuit.num_qubits)):
        return used, circuit
    place = {circuit.qubits[qubit]: new for new, qubit in enumerate(used)}
    bare = QuantumCircuit(len(used), global_phase=circuit.global_phase)
    bare.add_bits(circuit.clbits)
    bare.add_register(*circuit.cregs)
    for item in circuit.data:
        qubits = [place[qubit] for qubit in item.qubits if qubit in place]
        if item.name != "barrier":
            bare.append(item.operation, qubits, item.clbits, copy=False)
        elif qubits:
            bare.barrier(qubits)
    return used, bare
