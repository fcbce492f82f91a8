"""Noisy circuits shot by shot, by qiskit-aer: those that measure on the way, or are too wide for a density matrix."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
from qiskit.circuit import Delay, Gate, Reset
from qiskit.circuit.library import UnitaryGate, get_standard_gate_name_mapping
from qiskit.transpiler import InstructionProperties, QubitProperties, Target
from qiskit_aer import AerError, AerSimulator
from qiskit_aer.noise import NoiseModel, ReadoutError, RelaxationNoisePass
from qiskit_aer.noise.device.models import basic_device_gate_errors

from services.execution.engines.aer import rows_of
from services.execution.engines.engine import EngineError
from services.execution.engines.seeds import spread_seed
from services.execution.twins.fitting import on_used_qubits, operations

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from qiskit import QuantumCircuit

    from services.execution.engines.transpiled import Transpiled
    from services.execution.twins.device import CalibratedDevice

TrajectoryMethod = Literal["statevector", "matrix_product_state"]
_UNKNOWN_TO_AER = frozenset({"iswap"})
Counted = tuple["NDArray[np.uint8]", "NDArray[np.int64]"]


class Trajectories:
    """Runs transpiled circuits of one machine with its noise."""

    def __init__(self, device: CalibratedDevice, *, threads: int, memory_limit: int) -> None:
        """Take the errors of `device`; `memory_limit` is in bytes."""
        self._device = device
        self._options = {
            "max_parallel_threads": threads,
            "max_memory_mb": max(1, memory_limit // 2**20),
            "enable_truncation": False,  # it drops jump targets after the last measurement
        }
        self._simulators: dict[TrajectoryMethod, AerSimulator] = {}

    def run(self, transpiled: Transpiled, *, shots: int, seed: int, method: TrajectoryMethod) -> Counted:
        """Distinct rows of classical bits, and how often each was read. Raises EngineError (ENGINE_FAULT)."""
        # In the program's own order a matrix product state needs the least.
        started = [qubit for qubit in transpiled.layout if qubit is not None]
        used, compact = on_used_qubits(transpiled.circuit, first=started)
        compact, noise = self._noisy(used, compact)
        if method not in self._simulators:
            self._simulators[method] = AerSimulator(method=method, **self._options)
        try:
            result = (
                self._simulators[method]
                .run(compact, shots=shots, seed_simulator=spread_seed(seed, "twin"), noise_model=noise)
                .result()
            )
        except AerError as error:
            raise EngineError("ENGINE_FAULT", f"Aer refused the circuit: {error.message}") from error
        if not result.success:
            raise EngineError("ENGINE_FAULT", f"Aer failed: {result.status}")
        counted = sorted((int(key, 16), count) for key, count in result.data(0)["counts"].items())
        rows = rows_of([key for key, _ in counted], compact.num_clbits)
        return rows, np.array([count for _, count in counted], dtype=np.int64)

    def _noisy(self, used: list[int], circuit: QuantumCircuit) -> tuple[QuantumCircuit, NoiseModel]:
        """A circuit on the machine's qubits `used`, its delays made noisy, and the noise of its gates and readout."""
        target = self._used_target(used, circuit)
        model = NoiseModel(basis_gates=[*target.operation_names, "delay", "unitary"])
        for name, qubits, error in basic_device_gate_errors(target=target):
            model.add_quantum_error(error, name, qubits)
        for index, qubit in enumerate(used):
            if wrong := self._device.snapshot.qubits[qubit].readout_error:
                model.add_readout_error(ReadoutError([[1 - wrong, wrong], [wrong, 1 - wrong]]), [index])
        if any(item.name == "delay" for item in circuit.data):
            times = [(each.t1 or float("inf"), each.t2 or float("inf")) for each in target.qubit_properties]
            relaxing = RelaxationNoisePass(
                t1s=[t1 for t1, _ in times],
                t2s=[min(t2, 2 * t1) for t1, t2 in times],
                dt=target.dt,
                op_types=Delay,
            )
            circuit = relaxing(circuit)
        return _with_known_gates(circuit), model

    def _used_target(self, used: list[int], circuit: QuantumCircuit) -> Target:
        """The gates that a circuit uses, where it uses them, with their errors."""
        described = [self._device.snapshot.qubits[qubit] for qubit in used]
        target = Target(
            num_qubits=len(used),
            dt=self._device.target.dt,
            qubit_properties=[
                QubitProperties(
                    t1=qubit.t1_us * 1e-6 if qubit.t1_us else None, t2=qubit.t2_us * 1e-6 if qubit.t2_us else None
                )
                for qubit in described
            ],
        )
        places: dict[str, dict[tuple[int, ...], InstructionProperties]] = {}
        for item, qubits in operations(circuit):
            if isinstance(item.operation, Gate | Reset):
                error, seconds = self._device.rate(item.name, tuple(used[qubit] for qubit in qubits))
                places.setdefault(item.name, {})[qubits] = InstructionProperties(error=error, duration=seconds)
        for name, properties in places.items():
            target.add_instruction(_operation(name), properties, name=name)
        return target


def _with_known_gates(circuit: QuantumCircuit) -> QuantumCircuit:
    """The circuit with the gates that Aer does not know as unitaries, which bear the gate's name for its noise."""
    if not any(item.name in _UNKNOWN_TO_AER for item in circuit.data):
        return circuit
    known = circuit.copy_empty_like()
    for item in circuit.data:
        if item.name in _UNKNOWN_TO_AER:
            known.append(UnitaryGate(item.operation.to_matrix(), label=item.name), item.qubits)
        else:
            known.append(item)
    return known


def _operation(name: str) -> Gate | Reset:
    return Reset() if name == "reset" else get_standard_gate_name_mapping()[name]
