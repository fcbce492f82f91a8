"""IBM's machines, read from the calibrations that qiskit-ibm-runtime ships for its fake backends.

Its files alone are read: importing the package takes two seconds.
"""

from __future__ import annotations

import datetime as dt
import importlib.metadata
import importlib.util
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from services.execution.twins.snapshot import CONTROL_FLOW, Gate, Qubit, Snapshot, Source

PACKAGE = "qiskit-ibm-runtime"
_URL = "https://github.com/Qiskit/qiskit-ibm-runtime/tree/main/qiskit_ibm_runtime/fake_provider/backends"
_MODELS = {"fractional", "nighthawk"}
"""Folders that describe no machine with a name of its own."""
_NANOSECONDS = {"ns": 1.0, "us": 1e3, "µs": 1e3, "ms": 1e6, "s": 1e9}
_GIGAHERTZ = {"GHz": 1.0, "MHz": 1e-3, "Hz": 1e-9}
_RENAMED = {"u1": "p", "u3": "u"}
"""Gates that some properties name otherwise than the configuration does."""
_NON_UNITARY = ("reset", "delay")
T = TypeVar("T")


class _Value(msgspec.Struct):
    name: str
    value: float | None
    unit: str = ""


class _GateProperties(msgspec.Struct):
    gate: str
    qubits: tuple[int, ...]
    parameters: list[_Value]


class _Properties(msgspec.Struct):
    last_update_date: str
    qubits: list[list[_Value]]
    gates: list[_GateProperties]


class _GateConfiguration(msgspec.Struct):
    name: str
    coupling_map: list[tuple[int, ...]] | None = None


class _Configuration(msgspec.Struct):
    n_qubits: int
    basis_gates: list[str]
    gates: list[_GateConfiguration]
    supported_instructions: list[str] = msgspec.field(default_factory=lambda: ["measure", "reset", "delay"])
    dt: float | None = None
    processor_type: Any = None


@cache
def folders() -> dict[str, Path]:
    """The folder of each device, by our name of it ("ibm_marrakesh")."""
    found = importlib.util.find_spec("qiskit_ibm_runtime")
    if found is None or found.origin is None:
        raise FileNotFoundError(f"{PACKAGE} is not installed")
    backends = Path(found.origin).parent / "fake_provider" / "backends"
    return {f"ibm_{path.parent.name}": path.parent for path in sorted(backends.glob("*/conf_*.json"))}


def read(device: str) -> Snapshot:
    """The snapshot of a device of `folders()`. Raises OSError and msgspec.ValidationError."""
    folder = folders()[device]
    configuration = _decoded(folder, "conf", _Configuration)
    properties = _decoded(folder, "props", _Properties)
    date = dt.datetime.fromisoformat(properties.last_update_date).astimezone(dt.UTC).date()
    model = folder.name in _MODELS
    return Snapshot(
        calibration_id=f"{device}@{date.isoformat()}",
        device=device,
        display_name=_display_name(folder.name, configuration),
        vendor="IBM",
        date=date,
        source=Source(
            title=f"{PACKAGE} {importlib.metadata.version(PACKAGE)}, fake_provider/backends/{folder.name}",
            url=_URL,
            licence="Apache-2.0",
            basis="model" if model else "calibration",
        ),
        qubit_count=configuration.n_qubits,
        qubits=tuple(_qubit(values) for values in properties.qubits),
        gates=_gates(configuration, properties),
        control_flow=tuple(sorted(CONTROL_FLOW.intersection(configuration.supported_instructions))),
        dt_ns=configuration.dt,
    )


def _decoded(folder: Path, kind: str, shape: type[T]) -> T:
    return msgspec.json.decode((folder / f"{kind}_{folder.name}.json").read_bytes(), type=shape)


def _display_name(name: str, configuration: _Configuration) -> str:
    processor = configuration.processor_type
    family = processor.get("family") if isinstance(processor, dict) else None
    return f"IBM {name.capitalize()}" + (f" ({family})" if family else "")


def _qubit(values: list[_Value]) -> Qubit:
    known = {value.name: value for value in values if value.value is not None}
    return Qubit(
        t1_us=_scaled(known.get("T1"), _NANOSECONDS, 1e3),
        t2_us=_scaled(known.get("T2"), _NANOSECONDS, 1e3),
        frequency_ghz=_scaled(known.get("frequency"), _GIGAHERTZ, 1.0),
        readout_error=_scaled(known.get("readout_error"), {"": 1.0}, 1.0),
        p10=_scaled(known.get("prob_meas1_prep0"), {"": 1.0}, 1.0),
        p01=_scaled(known.get("prob_meas0_prep1"), {"": 1.0}, 1.0),
        readout_ns=_scaled(known.get("readout_length"), _NANOSECONDS, 1.0),
    )


def _gates(configuration: _Configuration, properties: _Properties) -> tuple[Gate, ...]:
    supported = {name for name in _NON_UNITARY if name in configuration.supported_instructions}
    names = sorted(set(configuration.basis_gates) | supported)
    coupling = {gate.name: gate.coupling_map for gate in configuration.gates}
    gates = []
    for name in names:
        reported = _reported(properties, name) or _reported(properties, _RENAMED.get(name, name))
        places = coupling.get(name) or list(reported) or [(qubit,) for qubit in range(configuration.n_qubits)]
        wanted = sorted(set(places) | set(reported))
        gates.append(
            Gate(
                name=name,
                width=1 if len(wanted[0]) == 1 else 2,
                places=tuple(wanted),
                error=tuple(reported.get(place, (None, None))[0] for place in wanted),
                duration_ns=tuple(reported.get(place, (None, None))[1] for place in wanted),
            )
        )
    return tuple(gates)


def _reported(properties: _Properties, name: str) -> dict[tuple[int, ...], tuple[float | None, float | None]]:
    found = {}
    for gate in properties.gates:
        if gate.gate == name:
            known = {value.name: value for value in gate.parameters if value.value is not None}
            error = _scaled(known.get("gate_error"), {"": 1.0}, 1.0)
            found[gate.qubits] = (error, _scaled(known.get("gate_length"), _NANOSECONDS, 1.0))
    return found


def _scaled(value: _Value | None, units: dict[str, float], divisor: float) -> float | None:
    if value is None or value.value is None:
        return None
    return value.value * units[value.unit] / divisor
