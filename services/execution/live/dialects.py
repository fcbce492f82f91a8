"""Fitted circuits as the texts that providers read. Measurements stand at the end of each."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from qiskit import QuantumCircuit

BRAKET_NAMES = {
    "h": "h", "x": "x", "y": "y", "z": "z", "s": "s", "sdg": "si", "t": "t", "tdg": "ti", "sx": "v", "sxdg": "vi",
    "rx": "rx", "ry": "ry", "rz": "rz", "cx": "cnot", "cz": "cz", "swap": "swap",
}  # fmt: skip
"""Qiskit's names of gates, and Amazon Braket's."""
IONQ_NAMES = {
    "h": "h", "x": "not", "y": "y", "z": "z", "s": "s", "sdg": "si", "t": "t", "tdg": "ti", "sx": "v", "sxdg": "vi",
    "rx": "rx", "ry": "ry", "rz": "rz", "cx": "cnot", "swap": "swap",
}  # fmt: skip
"""Qiskit's names of gates, and those of IonQ's gate set "qis"."""
QELIB1_NAMES = ("h", "x", "y", "z", "s", "sdg", "t", "tdg", "rx", "ry", "rz", "cx", "cz")
"""Gates of qelib1.inc that every reader of OpenQASM 2 knows."""


def openqasm2(circuit: QuantumCircuit) -> str:
    """OpenQASM 2 with one register of each kind, `q` and `c`; gates keep Qiskit's names, qelib1's or not."""
    lines = [
        "OPENQASM 2.0;",
        'include "qelib1.inc";',
        f"qreg q[{circuit.num_qubits}];",
        f"creg c[{circuit.num_clbits}];",
    ]
    for name, angles, qubits, clbits in _steps(circuit):
        if name == "measure":
            lines.append(f"measure q[{qubits[0]}] -> c[{clbits[0]}];")
        else:
            lines.append(f"{name}{_list(angles)} {','.join(f'q[{qubit}]' for qubit in qubits)};")
    return "\n".join(lines) + "\n"


def braket(circuit: QuantumCircuit) -> str:
    """OpenQASM 3 with Braket's gates; every measured qubit is measured into the bit of its own number."""
    lines = ["OPENQASM 3.0;", f"bit[{circuit.num_qubits}] b;", f"qubit[{circuit.num_qubits}] q;"]
    measured: set[int] = set()
    for name, angles, qubits, _ in _steps(circuit):
        if name == "measure":
            measured.add(qubits[0])
        elif name != "barrier":
            places = ", ".join(f"q[{qubit}]" for qubit in qubits)
            lines.append(f"{BRAKET_NAMES[name]}{_list(angles)} {places};")
    lines += [f"b[{qubit}] = measure q[{qubit}];" for qubit in sorted(measured)]
    return "\n".join(lines) + "\n"


def ionq(circuit: QuantumCircuit) -> str:
    """The list of gates, as JSON; the machine measures every qubit at the end."""
    gates: list[dict[str, Any]] = []
    for name, angles, qubits, _ in _steps(circuit):
        if name in ("measure", "barrier"):
            continue
        gate: dict[str, Any] = {"gate": IONQ_NAMES[name]}
        if name == "cx":
            gate |= {"control": qubits[0], "target": qubits[1]}
        elif name == "swap":
            gate["targets"] = list(qubits)
        else:
            gate["target"] = qubits[0]
        if angles:
            gate["rotation"] = angles[0]
        gates.append(gate)
    return json.dumps(gates)


def _steps(circuit: QuantumCircuit) -> Iterator[tuple[str, list[float], list[int], list[int]]]:
    """Name, angles, qubits and bits of each operation; waiting is left out."""
    for item in circuit.data:
        if item.name != "delay":
            yield (
                item.name,
                [float(angle) for angle in item.operation.params],
                [circuit.find_bit(qubit).index for qubit in item.qubits],
                [circuit.find_bit(clbit).index for clbit in item.clbits],
            )


def _list(angles: list[float]) -> str:
    """Angles in brackets; nothing where there are none."""
    return f"({','.join(_real(angle) for angle in angles)})" if angles else ""


def _real(angle: float) -> str:
    """The shortest text that reads back as the same number; OpenQASM 2 wants a point in it."""
    text = repr(angle)
    return text if "." in text else text.replace("e", ".0e")
