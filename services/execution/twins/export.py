"""Writes the snapshots of `snapshots/` from packages that are not there at run time.

    python -m services.execution.twins.export averages
    python -m services.execution.twins.export google PATH

`averages` takes MQT Bench's targets (mqt-bench, a development dependency). `google` takes the calibration of Willow
from an unpacked wheel of cirq-google (pip download --no-deps cirq-google; unzip), which cannot be installed beside us.
Native gates are written as Qiskit's gates that differ from them by phases alone, which machines do without an error.
"""

from __future__ import annotations

import datetime as dt
import sys
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec

from services.execution.twins.shelf import FOLDER
from services.execution.twins.snapshot import Gate, Qubit, Snapshot, Source, encode

if TYPE_CHECKING:
    from qiskit.transpiler import InstructionProperties, Target

_MQT_DATE = dt.date(2026, 9, 1)
"""The month in which mqt-bench 2.3.0 was published."""
_MQT_URL = "https://github.com/munich-quantum-toolkit/bench/tree/main/src/mqt/bench/targets/devices"
_NANO = 1e9


@dataclass(frozen=True, slots=True)
class Machine:
    """A target of MQT Bench, and the machine that it describes."""

    target: str
    device: str
    display_name: str
    vendor: str
    gates: dict[str, str]
    """Qiskit's gates, and the target's ones that they stand for."""
    notes: tuple[str, ...]


_IONQ = {"rz": "rz", "sx": "gpi2", "x": "gpi"}
_CRYSTAL = "MQT Bench gives these rates for IQM's crystal layout of this size; they are not a day's calibration of it"
MACHINES = (
    Machine("ionq_aria_25", "ionq_aria_1", "IonQ Aria 1", "IonQ", _IONQ | {"rxx": "ms"}, ("rxx stands for MS",)),
    Machine("ionq_forte_36", "ionq_forte_1", "IonQ Forte 1", "IonQ", _IONQ | {"rzz": "zz"}, ("rzz stands for ZZ",)),
    Machine("iqm_crystal_20", "iqm_garnet", "IQM Garnet", "IQM", {"r": "r", "cz": "cz"}, (_CRYSTAL,)),
    Machine("iqm_crystal_54", "iqm_emerald", "IQM Emerald", "IQM", {"r": "r", "cz": "cz"}, (_CRYSTAL,)),
    Machine(
        "quantinuum_h2_56",
        "quantinuum_h2",
        "Quantinuum H2",
        "Quantinuum",
        {"rx": "rx", "ry": "ry", "rz": "rz", "rzz": "rzz"},
        (),
    ),
    Machine(
        "rigetti_ankaa_84",
        "rigetti_ankaa_3",
        "Rigetti Ankaa-3",
        "Rigetti",
        {"rz": "rz", "sx": "rxpi2", "sxdg": "rxpi2dg", "x": "rxpi", "iswap": "iswap"},
        (),
    ),
)


def averages() -> list[Snapshot]:
    """The machines of MQT Bench whose rates are published averages."""
    from mqt.bench.targets import get_device  # noqa: PLC0415 - a development dependency

    return [_average(machine, get_device(machine.target)) for machine in MACHINES]


def _average(machine: Machine, target: Target) -> Snapshot:
    readout = target["measure"][0,]
    return Snapshot(
        calibration_id=f"{machine.device}@{_MQT_DATE.isoformat()}",
        device=machine.device,
        display_name=machine.display_name,
        vendor=machine.vendor,
        date=_MQT_DATE,
        source=Source(
            title=f"mqt-bench {version('mqt-bench')}, target {machine.target}",
            url=_MQT_URL,
            licence="MIT",
            basis="averages",
            notes=machine.notes,
        ),
        qubit_count=target.num_qubits,
        qubits=(Qubit(readout_error=readout.error, readout_ns=_span(readout)),) * target.num_qubits,
        gates=tuple(_uniform(name, native, target) for name, native in machine.gates.items()),
        control_flow=("if_else",) if machine.vendor in {"IQM", "Quantinuum"} else (),
    )


def _uniform(name: str, native: str, target: Target) -> Gate:
    """A gate whose error is the same everywhere."""
    rates = target[native]
    errors = {(each.error, _span(each)) for each in rates.values()}
    if len(errors) != 1:
        raise ValueError(f"{target.description}: the errors of {native} are no average")
    (error, span) = errors.pop()
    places = tuple(sorted(rates))
    width: Literal[1, 2] = 1 if len(places[0]) == 1 else 2
    count = target.num_qubits if width == 1 else target.num_qubits * (target.num_qubits - 1)
    return Gate(name=name, width=width, places="all" if len(places) == count else places, error=error, duration_ns=span)


def _span(properties: InstructionProperties) -> float | None:
    return None if properties.duration is None else round(properties.duration * _NANO, 3)


class _Value(msgspec.Struct, rename="camel"):
    double_val: float


class _Metric(msgspec.Struct):
    name: str
    targets: tuple[str, ...]
    values: tuple[_Value]


class _Metrics(msgspec.Struct):
    metrics: list[_Metric]


class _Calibration(msgspec.Struct):
    metrics: _Metrics


def willow(package: Path) -> Snapshot:
    """Google's Willow chip as it was on 16 August 2024."""
    name = "willow_pink_d7v1-2024_08_16_calibration.json"
    file = package / "cirq_google" / "devices" / "calibrations" / name
    values: dict[str, dict[tuple[str, ...], float]] = {}
    for metric in msgspec.json.decode(file.read_bytes(), type=_Calibration).metrics.metrics:
        values.setdefault(metric.name, {})[metric.targets] = metric.values[0].double_val
    t1 = values["single_qubit_idle_t1_micros"]
    sites = sorted(t1, key=lambda site: tuple(map(int, site[0].split("_"))))
    number = {site[0]: index for index, site in enumerate(sites)}
    # A Pauli error e of k qubits is an average error of e d / (d + 1), d = 2^k.
    single = tuple(values["single_qubit_rb_pauli_error_per_gate"][site] * 2 / 3 for site in sites)
    cycles = sorted(
        (number[first], number[second], error * 4 / 5)
        for (first, second), error in values["two_qubit_parallel_cz_gate_xeb_pauli_error_per_cycle"].items()
    )
    both = sorted({(a, b, error) for a, b, error in cycles} | {(b, a, error) for a, b, error in cycles})
    date = dt.date(2024, 8, 16)
    return Snapshot(
        calibration_id=f"google_willow@{date.isoformat()}",
        device="google_willow",
        display_name="Google Willow",
        vendor="Google",
        date=date,
        source=Source(
            title=f"cirq-google 1.7.0, {name}",
            url="https://github.com/quantumlib/Cirq/tree/main/cirq-google/cirq_google/devices/calibrations",
            licence="Apache-2.0",
            basis="calibration",
            notes=(
                "the error of cz is that of a whole cycle of cross-entropy benchmarking, single-qubit gates included",
                "u stands for PhasedXZ; T2 is not reported",
            ),
        ),
        qubit_count=len(sites),
        qubits=tuple(
            _willow_qubit(t1[site], values["single_qubit_p00_error"][site], values["single_qubit_p11_error"][site])
            for site in sites
        ),
        gates=(
            Gate(name="u", width=1, places=tuple((i,) for i in range(len(sites))), error=single, duration_ns=25.0),
            Gate(
                name="cz",
                width=2,
                places=tuple((a, b) for a, b, _ in both),
                error=tuple(error for _, _, error in both),
                duration_ns=42.0,
            ),
            Gate(name="reset", width=1, duration_ns=160.0),
        ),
    )


def _willow_qubit(t1: float, p10: float, p01: float) -> Qubit:
    return Qubit(t1_us=t1, readout_error=(p10 + p01) / 2, p10=p10, p01=p01, readout_ns=600.0)


def main(arguments: list[str]) -> None:
    """Write what is asked for."""
    match arguments:
        case ["averages"]:
            made = averages()
        case ["google", path]:
            made = [willow(Path(path))]
        case _:
            sys.exit(__doc__)
    FOLDER.mkdir(exist_ok=True)
    for snapshot in made:
        (FOLDER / f"{snapshot.device}.json").write_bytes(encode(snapshot) + b"\n")


if __name__ == "__main__":
    main(sys.argv[1:])
