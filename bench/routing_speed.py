"""How long predictions take: CPU of the parent for what is known, CPU of the child for what is new."""

from __future__ import annotations

import os
import time
from pathlib import Path
from statistics import median

import msgspec

from services.routing.prediction.calibration import CALIBRATIONS
from services.routing.prediction.circuit import Operation, encode
from services.routing.prediction.predictor import Candidate, Predictor

_CANDIDATES = 10
_NEW = 5
_KNOWN = 200
_PATIENT = 300.0
_DEVICES = (
    "brisbane",
    "brussels",
    "fez",
    "kawasaki",
    "kingston",
    "marrakesh",
    "osaka",
    "quebec",
    "sherbrooke",
    "torino",
)


class Speed(msgspec.Struct, frozen=True):
    """CPU milliseconds for ten machines of 127 to 156 qubits; medians."""

    known_circuit: float
    known_structure: float
    """With other angles."""
    new_5_qubits: float
    new_20_qubits: float


async def measured() -> Speed:
    """Measure, on a predictor of its own."""
    ids = {path.stem.partition("@")[0]: path.stem for path in CALIBRATIONS.glob("*.json")}
    candidates = [Candidate(name, ids[name]) for name in (f"ibm_{each}" for each in _DEVICES)]
    predictor = Predictor(children=1)
    try:
        return await _measured(predictor, candidates)
    finally:
        await predictor.close()


async def _measured(predictor: Predictor, candidates: list[Candidate]) -> Speed:
    new = {}
    await predictor.predict(ansatz(4, 0, 0.1), candidates, shots=1000, seconds=_PATIENT)
    await predictor.predict(ansatz(19, 0, 0.1), candidates, shots=1000, seconds=_PATIENT)
    for qubits in (5, 20):
        spent = []
        for extra in range(1, 1 + _NEW):
            before = _cpu()
            await predictor.predict(ansatz(qubits, extra, 0.1), candidates, shots=1000, seconds=_PATIENT)
            spent.append(_cpu() - before)
        new[qubits] = median(spent)
    known, alike = [], []
    for count in range(_KNOWN):
        before = time.process_time()
        await predictor.predict(ansatz(20, 1, 0.1), candidates, shots=1000, seconds=_PATIENT)
        known.append(time.process_time() - before)
        circuit = ansatz(20, 1, 0.2 + count)
        before = time.process_time()
        await predictor.predict(circuit, candidates, shots=1000, seconds=0.0)
        alike.append(time.process_time() - before)
    return Speed(*(round(1e3 * each, 3) for each in (median(known), median(alike), new[5], new[20])))


def _cpu() -> float:
    """CPU seconds of this process and of its children that still run."""
    ticks = 0
    listed = Path(f"/proc/self/task/{os.getpid()}/children").read_text("ascii").split()
    for process in ("self", *listed):
        fields = Path(f"/proc/{process}/stat").read_text("ascii").rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def ansatz(qubits: int, extra: int, angle: float) -> bytes:
    """Two layers of rotations and neighbours, `extra` gates more so that structures differ."""
    gates: list[Operation] = []
    for layer in range(2):
        gates += [("ry", (qubit,), (angle + qubit + layer,), ()) for qubit in range(qubits)]
        gates += [("cx", (qubit, qubit + 1), (), ()) for qubit in range(qubits - 1)]
    gates += [("t", (qubit % qubits,), (), ()) for qubit in range(extra)]
    gates += [("measure", (qubit,), (), (qubit,)) for qubit in range(qubits)]
    return encode(qubits, qubits, gates)
