"""A calibration as a transpiler's target, on the working qubits alone, numbered from 0.

The same target, level and seed as where twins run (services/execution/twins/fitting.py), so that the layout which is
judged is the one that runs.
"""

from __future__ import annotations

import math

from qiskit.circuit import Delay, ForLoopOp, IfElseOp, Measure, Reset, SwitchCaseOp, WhileLoopOp
from qiskit.circuit.library import get_standard_gate_name_mapping
from qiskit.transpiler import InstructionProperties, QubitProperties, Target

from services.routing.prediction.calibration import FAILED, Calibration, Gate, Place

_CONTROL_FLOW = {
    "if_else": IfElseOp,
    "for_loop": ForLoopOp,
    "while_loop": WhileLoopOp,
    "switch_case": SwitchCaseOp,
}
_OWN = {"reset": Reset(), "delay": Delay(0)}
_MICRO, _NANO = 1e-6, 1e-9


def target_of(calibration: Calibration, room: int) -> Target:
    """The gates, wiring and errors of the first `room` working qubits."""
    number = {qubit: index for index, qubit in enumerate(calibration.working[:room])}
    working = [calibration.qubits[qubit] for qubit in number]
    target = Target(
        num_qubits=len(working),
        dt=calibration.dt_ns * _NANO if calibration.dt_ns else None,
        qubit_properties=[
            QubitProperties(
                t1=qubit.t1_us * _MICRO if qubit.t1_us else None, t2=qubit.t2_us * _MICRO if qubit.t2_us else None
            )
            for qubit in working
        ],
    )
    known = get_standard_gate_name_mapping()
    for gate in calibration.gates:
        # IBM's machines take angles of rzz from 0 to pi/2 alone.
        bounds = [(0, math.pi / 2)] if gate.name == "rzz" and calibration.vendor == "IBM" else None
        operation = _OWN.get(gate.name) or known[gate.name]
        target.add_instruction(operation, _properties(calibration, gate, number), name=gate.name, angle_bounds=bounds)
    readout = {
        (index,): InstructionProperties(
            error=qubit.readout_error, duration=qubit.readout_ns * _NANO if qubit.readout_ns else None
        )
        for index, qubit in enumerate(working)
    }
    target.add_instruction(Measure(), readout)
    for name in calibration.control_flow:
        target.add_instruction(_CONTROL_FLOW[name], name=name)
    return target


def _properties(calibration: Calibration, gate: Gate, number: dict[int, int]) -> dict[Place, InstructionProperties]:
    return {
        tuple(number[qubit] for qubit in place): InstructionProperties(error=rate.error, duration=rate.seconds)
        for place, rate in calibration.rates(gate)
        if set(place) <= number.keys() and (rate.error != FAILED or gate.width == 1)
    }
