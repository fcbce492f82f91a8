"""From measured seconds to services/execution/engines/costs.toml: the seconds of a step of each kind, for each way.

The fit is a robust least squares of the error of log(predicted / measured), with no negative seconds.
"""

from __future__ import annotations

import datetime as dt
import platform
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
import numpy as np
from scipy.optimize import least_squares, nnls

from services.execution.engines import registry
from services.execution.engines.cost import COSTS_FILE, STEPS, Cost, Costs, steps
from services.execution.engines.engine import Method
from services.execution.programs.features import Features

Way = tuple[str, str]
Measured = tuple[Features, int, Mapping[Way, float], Mapping[Way, float]]
"""The features of a circuit, its shots, seconds by way, and the seconds in which a way did not end."""
BYTES_PER_AMPLITUDE: Mapping[str, int] = {
    "aer": 16, "qsim": 16, "qulacs": 48, "braket": 64, "cirq": 56, "pennylane": 48, "pyqrack": 64,
}  # fmt: skip
"""At the peak of a run: see the engines. Of qsim's 16 the state has 8; the rest is what its engine keeps free."""
UNPREDICTABLE: frozenset[str] = frozenset({"decision_diagram"})
"""Methods of whose time the features tell little: how often parts of the state repeat is not among them."""
FEWEST = 8
"""Circuits that a fit needs."""
NEGLIGIBLE = 1e-7  # seconds


def write_costs(measured: Sequence[Measured], file: Path = COSTS_FILE) -> None:
    """Fit every way that was measured, and write the file; engines that were not measured keep what they have."""
    ways = sorted({way for _, _, seconds, _ in measured for way in seconds})
    engines = {engine for engine, _ in ways}
    known = msgspec.convert(tomllib.loads(file.read_text("utf-8")), Costs)
    costs = [cost for cost in known.costs if cost.engine not in engines]
    costs += [made for way in ways if (made := _fitted(way, measured)) is not None]
    costs.sort(key=lambda cost: (cost.named, cost.engine, cost.method))
    head = [
        "# What a step of each kind takes each engine; written by `python -m bench.engines --write`.",
        f'measured = "bench/engines.py: CPU time of one thread on {_processor()}"',
    ]
    file.write_text("\n".join(head + [line for cost in costs for line in _lines(cost)]) + "\n", "utf-8")


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _fitted(way: Way, measured: Sequence[Measured]) -> Cost | None:
    engine, method = way
    by: Method = method  # type: ignore[assignment] # it is one
    ran = [(features, shots, seconds[way]) for features, shots, seconds, _ in measured if way in seconds]
    if len(ran) < FEWEST:
        return None
    cut_short = [(features, shots, over[way]) for features, shots, _, over in measured if way in over]
    times = np.array([seconds for _, _, seconds in ran + cut_short])
    can = registry.engine(engine).capabilities
    anew = by in can.branching
    design = np.array([steps(by, features, shots, anew=anew) for features, shots, _ in ran + cut_short])
    ended = np.arange(len(times)) < len(ran)
    per_step = fit(design, times, ended)
    low, middle, high = np.quantile((times / (design @ per_step))[ended], (0.1, 0.5, 0.9))
    return Cost(
        engine=engine,
        method=by,
        dynamic=by in can.dynamic,
        branching=anew,
        double=can.precision == "double" and by != "stabilizer",
        named=engine in registry.NAMED,
        predictable=method not in UNPREDICTABLE,
        bytes_per_amplitude=BYTES_PER_AMPLITUDE[engine] if by == "statevector" else 0,
        max_qubits=can.max_qubits[by],
        measured=f"{can.engine} {can.engine_version}, {dt.datetime.now(dt.UTC).date()}, {len(ran)} circuits; "
        f"measured / predicted 10 % {low:.2f}, median {middle:.2f}, 90 % {high:.2f}",
        spread_p90=round(max(1.0, float(high)), 2),
        seconds={kind: float(f"{value:.3g}") for kind, value in zip(STEPS[by], per_step, strict=True) if value > 0},
    )


def fit(design: np.ndarray, times: np.ndarray, ended: np.ndarray) -> np.ndarray:
    """Seconds of each kind of step, at least 0; of what did not end it is known that it takes longer than its time."""
    scale = design[ended].max(axis=0)
    used = scale > 0
    scaled = design[:, used] / scale[used]
    start, _ = nnls(scaled / times[:, None], np.ones(len(times)))

    def error(logs: np.ndarray) -> np.ndarray:
        errors = np.log(scaled @ np.exp(logs) / times)
        return np.asarray(np.where(ended, errors, np.minimum(errors, 0.0)))

    # No kind starts so small that its logarithm has no slope.
    start = np.maximum(start, 1e-3 * np.median(times))
    logs = least_squares(error, np.log(start), loss="soft_l1", f_scale=0.15).x
    most = np.exp(logs)  # seconds that each kind of step contributes to any circuit, at most
    per_step = np.zeros(design.shape[1])
    per_step[used] = np.where(most < NEGLIGIBLE, 0.0, most / scale[used])
    return per_step


def _lines(cost: Cost) -> list[str]:
    lines = [
        "",
        "[[costs]]",
        f'engine = "{cost.engine}"',
        f'method = "{cost.method}"',
        f"dynamic = {str(cost.dynamic).lower()}",
        f"branching = {str(cost.branching).lower()}",
        f"double = {str(cost.double).lower()}",
    ]
    if cost.named:
        lines.append("named = true")
    if not cost.predictable:
        lines.append("predictable = false")
    if cost.bytes_per_amplitude:
        lines.append(f"bytes_per_amplitude = {cost.bytes_per_amplitude}")
    lines += [f"max_qubits = {cost.max_qubits}", f'measured = "{cost.measured}"', f"spread_p90 = {cost.spread_p90}"]
    return [*lines, "", "[costs.seconds]", *[f"{kind} = {value:.3g}" for kind, value in cost.seconds.items()]]
