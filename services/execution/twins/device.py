"""A snapshot made ready for running: which qubits work, their wiring as a transpiler's target, and their errors."""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING

import rustworkx as rx
from qiskit.circuit import Delay, ForLoopOp, IfElseOp, Measure, Reset, SwitchCaseOp, WhileLoopOp
from qiskit.circuit.library import get_standard_gate_name_mapping
from qiskit.transpiler import InstructionProperties, QubitProperties, Target

if TYPE_CHECKING:
    from collections.abc import Sequence

    from services.execution.twins.snapshot import Qubit, Snapshot

_CONTROL_FLOW = {
    "if_else": IfElseOp,
    "for_loop": ForLoopOp,
    "while_loop": WhileLoopOp,
    "switch_case": SwitchCaseOp,
}
_NEVER_FAIL = {"reset", "delay", "measure"}
_NANO = 1e-9
_MICRO = 1e-6

Place = tuple[int, ...]


class CalibratedDevice:
    """The working part of a machine.

    A gate that the calibration reports with error 1 has failed and is not used, nor is a qubit whose own gates have.
    `working` are the qubits that hang together without them, the largest such group; `target` counts them from 0.
    """

    def __init__(self, snapshot: Snapshot) -> None:
        """Find the working qubits."""
        self.snapshot = snapshot
        self.rates = {gate.name: snapshot.rates(gate) for gate in snapshot.gates}
        self.working = working_qubits(snapshot)

    @functools.cached_property
    def target(self) -> Target:
        """The gates, wiring and errors of the working qubits, for a transpiler."""
        return _target(self.snapshot, self.working)

    @property
    def qubits(self) -> tuple[Qubit, ...]:
        """All qubits of the machine, those that do not work too."""
        return self.snapshot.qubits

    @property
    def dt_ns(self) -> float | None:
        """The unit of its delays."""
        return self.snapshot.dt_ns

    def rate(self, name: str, place: Place) -> tuple[float | None, float | None]:
        """The error and the duration, in seconds, of a gate at qubits of the machine."""
        error, duration = self.rates.get(name, {}).get(place, (None, None))
        return error, None if duration is None else duration * _NANO


def working_qubits(snapshot: Snapshot) -> tuple[int, ...]:
    """The qubits that a program may use, ascending: see `CalibratedDevice`."""
    failed: set[int] = set()
    edges: list[Place] = []
    for gate in snapshot.gates:
        for place, (error, _) in snapshot.rates(gate).items():
            if gate.width == 1 and error == 1 and gate.name not in _NEVER_FAIL:
                failed.update(place)
            elif gate.width > 1 and error != 1:
                edges.append(place)
    graph = rx.PyGraph(multigraph=False)
    graph.add_nodes_from(range(snapshot.qubit_count))
    graph.add_edges_from_no_data([(a, b) for a, b in edges if a not in failed and b not in failed])
    groups: list[list[int]] = [sorted(group) for group in rx.connected_components(graph)]
    largest = max(groups, key=lambda group: (len(group), -group[0]))
    return tuple(largest)


def _target(snapshot: Snapshot, working: Sequence[int]) -> Target:
    place = {qubit: index for index, qubit in enumerate(working)}
    described = [snapshot.qubits[qubit] for qubit in working]
    target = Target(
        num_qubits=len(working),
        dt=snapshot.dt_ns * _NANO if snapshot.dt_ns else None,
        qubit_properties=[
            QubitProperties(
                t1=qubit.t1_us * _MICRO if qubit.t1_us else None,
                t2=qubit.t2_us * _MICRO if qubit.t2_us else None,
                frequency=qubit.frequency_ghz * 1e9 if qubit.frequency_ghz else None,
            )
            for qubit in described
        ],
    )
    known = get_standard_gate_name_mapping()
    for gate in snapshot.gates:
        properties = {
            tuple(place[qubit] for qubit in qubits): InstructionProperties(
                error=error, duration=None if duration is None else duration * _NANO
            )
            for qubits, (error, duration) in snapshot.rates(gate).items()
            if set(qubits) <= place.keys() and (error != 1 or gate.width == 1)
        }
        operation = {"reset": Reset(), "delay": Delay(0)}.get(gate.name) or known[gate.name]
        bounds = [(0, math.pi / 2)] if gate.name == "rzz" and snapshot.vendor == "IBM" else None
        target.add_instruction(operation, properties, name=gate.name, angle_bounds=bounds)
    readout = {
        (index,): InstructionProperties(
            error=qubit.readout_error, duration=qubit.readout_ns * _NANO if qubit.readout_ns else None
        )
        for index, qubit in enumerate(described)
    }
    target.add_instruction(Measure(), readout)
    for name in snapshot.control_flow:
        target.add_instruction(_CONTROL_FLOW[name], name=name)
    return target
