"""Programs to route."""

from typing import Any

from services.routing.program import Features


def features(qubit_count: int, **changes: Any) -> Features:
    """A shallow circuit that is not Clifford and entangles as much as its qubits allow."""
    known: dict[str, Any] = {
        "qubit_count": qubit_count,
        "clbit_count": qubit_count,
        "depth": 4,
        "gate_count": 20,
        "two_qubit_gate_count": 10,
        "clifford": False,
        "dynamic": False,
        "entanglement_bound": qubit_count,
    }
    return Features(**known | changes)
