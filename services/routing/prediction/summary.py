"""A calibration in a few numbers, and what they alone say of a circuit: rough, and at once."""

from __future__ import annotations

import math
from collections.abc import Iterable
from statistics import fmean
from typing import TYPE_CHECKING

import msgspec

from services.routing.prediction.calibration import FAILED, Calibration
from services.routing.prediction.circuit import Size
from services.routing.prediction.profile import Profile

if TYPE_CHECKING:
    from collections.abc import Sequence

_BETTER_PART = 0.5
"""A layout avoids the worse half of a machine's places where the circuit leaves the choice."""
_ROUTING = 0.25
"""Gates that routing adds on a sparse machine, for each gate on two qubits and each doubling of the width."""
_NO_GATES = frozenset({"id", "reset", "delay"})
_SPARSE = 0.5
"""The share of all pairs below which a machine has to route."""


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """What gates lose at working places (profile.py), ascending; a pair of qubits counts once, with its better way."""

    working_qubit_count: int
    single: float
    """The median of the gates on one qubit that err."""
    pairs: tuple[float, ...]
    readouts: tuple[float, ...]
    """Errors, not losses."""
    seconds: tuple[float, float, float]
    """What a gate on one qubit, one on two, and reading take: medians."""

    @property
    def sparse(self) -> bool:
        """Whether few pairs of qubits have a gate."""
        return len(self.pairs) < _SPARSE * self.working_qubit_count * (self.working_qubit_count - 1) / 2

    def profile(self, size: Size) -> Profile:
        """What would err in a circuit on typical places, as if it had been fitted."""
        qubits, pairs = size.qubit_count, size.two_qubit_gate_count
        routed = pairs * (1 + _ROUTING * math.log2(max(qubits, 2) / 2)) if self.sparse else float(pairs)
        readout = _of_better(self.readouts, qubits)
        single, pair, reading = self.seconds
        deep = size.depth * routed / max(pairs, 1)
        return Profile(
            single_loss=self.single * size.single_qubit_gate_count,
            pair_loss=_of_better(self.pairs, qubits - 1) * routed,
            readout_errors=(readout,) * size.measured_count,
            depth=round(deep),
            two_qubit_gate_count=round(routed),
            seconds=deep * (pair if pairs else single) + reading,
        )


def summary_of(calibration: Calibration) -> Summary:
    """The summary of a calibration."""
    working = set(calibration.working)
    singles: list[float] = []
    best: dict[frozenset[int], float] = {}
    spans: tuple[list[float], list[float]] = ([], [])
    for gate in calibration.gates:
        if gate.name in _NO_GATES:
            continue
        for place, rate in calibration.rates(gate):
            if rate.error and rate.error != FAILED and working.issuperset(place):
                lost = sum(calibration.losses(place, rate))
                spans[len(place) - 1].append(rate.seconds or 0.0)
                if len(place) == 1:
                    singles.append(lost)
                else:
                    pair = frozenset(place)
                    best[pair] = min(lost, best.get(pair, math.inf))
    qubits = [calibration.qubits[qubit] for qubit in calibration.working]
    return Summary(
        working_qubit_count=len(working),
        single=_middle(singles),
        pairs=tuple(sorted(best.values())),
        readouts=tuple(sorted(qubit.readout_error or 0.0 for qubit in qubits)),
        seconds=(_middle(spans[0]), _middle(spans[1]), _middle((qubit.readout_ns or 0.0) * 1e-9 for qubit in qubits)),
    )


def _of_better(errors: Sequence[float], needed: int) -> float:
    """The mean of the better part of a machine's places, of as many as are needed at least."""
    taken = errors[: max(needed, math.ceil(_BETTER_PART * len(errors)))]
    return fmean(taken) if taken else 0.0


def _middle(values: Iterable[float]) -> float:
    ordered = sorted(values)
    return ordered[len(ordered) // 2] if ordered else 0.0
