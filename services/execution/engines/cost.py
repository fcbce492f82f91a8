"""What a circuit costs each engine: seconds and bytes from its features alone, in microseconds and without numpy.

For each method a few kinds of steps are counted (`steps`); an engine takes so many seconds for a step of each kind. The
seconds are data, `costs.toml`, fitted by bench/engines.py to what it measured, together with how far off they are.
"""

from __future__ import annotations

import math
import operator
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import msgspec

from mesh.wording import bytes_text, count_text, duration_text
from services.execution.engines.engine import REFERENCE_QUBITS, Method
from services.execution.programs.features import Features

COSTS_FILE = Path(__file__).with_name("costs.toml")

STEPS: Mapping[Method, tuple[str, ...]] = {
    "statevector": (
        "run",
        "gate",
        "single",
        "wide",
        "diagonal",
        "state",
        "shot",
        "outcome",
        "branch",
        "branch_gate",
        "branch_work",
    ),
    "stabilizer": ("run", "gate", "work", "area", "bit", "outcome", "shot_gate", "branch_gate", "reference"),
    "matrix_product_state": (
        "run",
        "gate",
        "chain",
        "work",
        "move",
        "draw",
        "outcome",
        "branch",
        "branch_gate",
        "branch_work",
        "reference",
    ),
    "decision_diagram": ("run", "gate", "node", "shot", "outcome", "reference"),
}
"""The kinds of steps of each method, in the order of `steps`."""

_MOST_BITS = 300  # keeps every product of powers within a float
_TENSOR_COPIES = 3  # an update holds two tensors, their contraction and its factors
_TENSOR_BYTES = 2 * 16
_MOST_BYTES = 2**62


@dataclass(frozen=True, slots=True)
class Limits:
    """What one run may take."""

    memory_bytes: int
    seconds: float
    """Nine in ten of the longest runs that are taken on end within it."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A way to run a program."""

    engine: str
    method: Method
    seconds_p50: float
    seconds_p90: float
    memory_bytes: int
    predictable: bool = True
    """Whether the features tell how long it takes; where they do not, the 90th percentile is the limit."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A way that is closed to a program."""

    engine: str
    method: Method
    reason: str
    """For people: a clause without its full stop, which says what would fit where a number is exceeded."""
    excess_bits: float
    """How far the program is past the limit, as log2 of the ratio; infinite where it could never run so."""


class Cost(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One engine by one method: what it takes, and what it can do."""

    engine: str
    method: Method
    dynamic: bool
    """Whether it runs circuits that measure midway or reset."""
    branching: bool
    """Whether it runs control flow."""
    double: bool
    """Whether its amplitudes are of double precision."""
    named: bool = False
    """Whether it runs only where a caller names it: another is faster, or warm."""
    predictable: bool = True
    """Whether the features tell how long it takes; where they do not, it comes after all others."""
    bytes_per_amplitude: Annotated[int, msgspec.Meta(ge=0)] = 0
    """Of a state vector, at its peak."""
    max_qubits: Annotated[int, msgspec.Meta(ge=1)]
    measured: str
    """On how many circuits, and how far off the fit is: measured / predicted at 10, 50 and 90 %."""
    spread_p90: Annotated[float, msgspec.Meta(ge=1)]
    """The 90th percentile of measured / predicted."""
    seconds: dict[str, Annotated[float, msgspec.Meta(ge=0)]]
    """Of one step of each kind; a kind that is not named takes none."""

    def __post_init__(self) -> None:
        """Refuse seconds of a kind that the method does not have."""
        if unknown := set(self.seconds) - set(STEPS[self.method]):
            raise ValueError(f"{self.engine} {self.method} has no steps of kind {', '.join(sorted(unknown))}")

    @property
    def per_step(self) -> tuple[float, ...]:
        """The seconds in the order of `STEPS`."""
        return tuple(self.seconds.get(kind, 0.0) for kind in STEPS[self.method])


class Costs(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The whole of `costs.toml`."""

    measured: str
    """When, on what machine, with which versions."""
    costs: tuple[Cost, ...]


class CostModel:
    """Plans for programs, from measured costs."""

    def __init__(self, costs: Costs) -> None:
        """Plan with these costs."""
        self._costs = [(cost, cost.per_step) for cost in costs.costs]

    @classmethod
    def load(cls, path: Path = COSTS_FILE) -> CostModel:
        """Read a file of costs. Raises OSError, and ValueError where it is wrong."""
        return cls(msgspec.convert(tomllib.loads(path.read_text("utf-8")), Costs))

    @property
    def engines(self) -> tuple[str, ...]:
        """The names of the engines, each once."""
        return tuple(dict.fromkeys(cost.engine for cost, _ in self._costs))

    def seconds(self, engine: str, method: Method, features: Features, shots: int) -> float | None:
        """How long one circuit takes an engine by a method, in the median; None where that was never measured."""
        for cost, per_step in self._costs:
            if (cost.engine, cost.method) == (engine, method):
                counted = steps(method, features, shots, anew=cost.branching)
                return float(sum(map(operator.mul, per_step, counted)))
        return None

    def plans(
        self,
        features: Features,
        shots: int,
        limits: Limits,
        *,
        engine: str | None = None,
        without: Collection[str] = (),
    ) -> tuple[list[Plan], list[Refusal]]:
        """The ways to run a program, the fastest first, and those closed to it, the nearest to fitting first.

        Ways whose time is hard to tell come last.

        `engine` leaves only its ways; `without` leaves the ways of some engines out. Where no engine is named, those
        that run only by name are out too.
        """
        plans: list[Plan] = []
        unpredictable: list[Plan] = []
        refusals: list[Refusal] = []
        counted: dict[tuple[Method, bool], tuple[float, ...]] = {}
        for cost, per_step in self._costs:
            if cost.engine in without or engine not in ((cost.engine,) if cost.named else (None, cost.engine)):
                continue
            method, kind = cost.method, (cost.method, cost.branching)
            if (refusal := _unable(cost, features)) is None:
                if kind not in counted:
                    counted[kind] = steps(method, features, shots, anew=cost.branching)
                once = sum(map(operator.mul, per_step, counted[kind]))
                seconds = once * features.circuit_count + features.classical_ms / 1e3
                plan = Plan(cost.engine, method, seconds, seconds * cost.spread_p90, memory_bytes(cost, features))
                if (refusal := _beyond(plan, cost, features, limits)) is None:
                    if cost.predictable:
                        plans.append(plan)
                    else:
                        unpredictable.append(replace(plan, seconds_p90=limits.seconds, predictable=False))
                    continue
            refusals.append(refusal)
        plans.sort(key=lambda plan: plan.seconds_p50)
        plans += unpredictable
        refusals.sort(key=lambda refusal: refusal.excess_bits)
        return plans, refusals


def steps(method: Method, features: Features, shots: int, *, anew: bool = False) -> tuple[float, ...]:
    """How many steps of each kind one circuit takes, in the order of `STEPS`.

    n is the number of active qubits, chi = 2^bits the bound of the bond dimension. A dynamic circuit is simulated anew
    for each branch that its measurements part the shots into, at most for each shot; one with control flow for each.
    An engine that runs control flow begins each shot of any dynamic circuit `anew`.
    What only samples is compared with a state vector where that is small: the reference.
    """
    n, gates, wide = features.active_qubits, float(features.gate_count), float(features.two_qubit_gate_count)
    outcomes = float(min(shots, 1 << min(features.measured_qubit_count, 60)))
    parted = shots if anew or features.branching else min(shots, 1 << min(features.midway_count, 60))
    branches = float(parted) if features.dynamic else 0.0
    reference = gates * _power(n) if n <= REFERENCE_QUBITS and not features.dynamic else 0.0
    match method:
        case "statevector":
            state = _power(n)
            diagonal = float(features.diagonal_gate_count)
            flat = 0.0 if features.dynamic else state
            narrow = max(0.0, gates - wide - diagonal)
            return (
                1.0, gates, narrow * flat, wide * flat, diagonal * flat, state, float(shots), outcomes,
                branches, branches * gates, branches * gates * state,
            )  # fmt: skip
        case "stabilizer":
            bits = float(features.measurement_count)
            return (
                1.0, gates, gates * n, float(n * n), shots * bits, outcomes * bits, shots * gates,
                branches * gates if anew else 0.0, reference,
            )  # fmt: skip
        case "matrix_product_state":
            chi = _power(features.cut_rank_bits)
            work = 2.0 ** min(features.rank_work_bits, 3 * _MOST_BITS)
            flat = 0.0 if features.dynamic else work
            return (
                1.0, gates, n * chi * chi, flat, float(features.reach), outcomes * n * chi * chi, outcomes * n,
                branches, branches * gates, branches * (work + gates * n * chi), reference,
            )  # fmt: skip
        case "decision_diagram":
            chi = _power(features.cut_rank_bits)
            return 1.0, gates, gates * n * chi**3, shots * float(n), outcomes * n, reference
    raise ValueError(method)


def memory_bytes(cost: Cost, features: Features) -> int:
    """The memory that a run takes at its peak, at most."""
    n = max(features.active_qubits, 1)
    match cost.method:
        case "statevector":
            return int(min(_MOST_BYTES, cost.bytes_per_amplitude * _power(n)))
        case "stabilizer":
            return 2 * n * (2 * n + 1) // 8 + n
        case _:
            return int(min(_MOST_BYTES, _TENSOR_COPIES * _TENSOR_BYTES * n * _power(2 * features.cut_rank_bits)))


def _unable(cost: Cost, features: Features) -> Refusal | None:
    """Why an engine cannot run such a program by this method, whatever its size, or is too narrow for it."""
    if cost.method == "stabilizer" and not features.clifford:
        reason = "the program has gates outside the Clifford group"
    elif features.dynamic and not cost.dynamic:
        reason = "it does not measure midway or reset"
    elif features.branching and not cost.branching:
        reason = "it has no control flow"
    elif features.amplitudes and cost.method == "stabilizer":
        reason = "it samples from a tableau, and exact probabilities or amplitudes are asked for"
    elif features.amplitudes and not cost.double:
        reason = "its amplitudes are of single precision, and exact ones are asked for"
    elif features.active_qubits > cost.max_qubits:
        reason = f"the program has {features.active_qubits} qubits and it takes {cost.max_qubits}"
        excess = features.active_qubits - cost.max_qubits  # each of which doubles a state vector
        if cost.method == "statevector":
            return Refusal(cost.engine, cost.method, reason, float(excess))
        return Refusal(cost.engine, cost.method, reason, math.log2(features.active_qubits / cost.max_qubits))
    else:
        return None
    return Refusal(cost.engine, cost.method, reason, math.inf)


def _beyond(plan: Plan, cost: Cost, features: Features, limits: Limits) -> Refusal | None:
    """Why a run cannot be afforded."""
    if plan.memory_bytes > limits.memory_bytes:
        excess = math.log2(plan.memory_bytes / limits.memory_bytes)
        reason = f"{_size(cost, features)} needs {bytes_text(plan.memory_bytes)} of memory and a run may take "
        reason += f"{bytes_text(limits.memory_bytes)}: {_fitting(cost, features, excess)} would fit"
        return Refusal(plan.engine, plan.method, reason, excess)
    if plan.seconds_p90 > limits.seconds:
        reason = f"the run could take {duration_text(plan.seconds_p90)} and may take {duration_text(limits.seconds)}"
        excess = math.log2(plan.seconds_p90 / limits.seconds)
        reason += ": fewer gates, qubits or shots would fit"
        return Refusal(plan.engine, plan.method, reason, excess)
    return None


def _size(cost: Cost, features: Features) -> str:
    if cost.method == "statevector":
        return f"a state of {count_text(features.active_qubits)} amplitudes"
    return f"a bond dimension of up to {count_text(features.cut_rank_bits)}"


def _fitting(cost: Cost, features: Features, excess_bits: float) -> str:
    if cost.method == "statevector":
        return f"{features.active_qubits - math.ceil(excess_bits)} qubits"
    return f"{count_text(max(0, features.cut_rank_bits - math.ceil(excess_bits / 2)))}"


def _power(bits: int) -> float:
    return math.ldexp(1.0, min(bits, _MOST_BITS))
