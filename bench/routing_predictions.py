"""What the predictor and others say of the runs of the truth, and the fit of its numbers to the training side."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from sklearn.ensemble import RandomForestRegressor

from bench.routing_truth import SIDES, Run, read
from bench.routing_worlds import reported
from services.execution.twins import index
from services.routing.prediction import calibration, circuit, fitting, mixture, noisy
from services.routing.prediction.circuit import Structure
from services.routing.prediction.ideal import Ideal, ideal_of
from services.routing.prediction.model import SOFTENING, Band, Method, Model, Surrogate, Weights
from services.routing.prediction.profile import Profile
from services.routing.prediction.summary import summary_of

Numbers = NDArray[np.float64]
AS_CALIBRATED = Weights(pair=1.0, single=1.0, readout=1.0, seen=1.0)
ESP2 = Weights(pair=0.8, single=0.8, readout=1.0, seen=1.0)
"""Average infidelities instead of Pauli errors: 1 - F = (d / (d + 1)) e, with d = 4."""
KINDS = {
    "adders": ("cdkm_ripple_carry_adder", "full_adder", "half_adder", "vbe_ripple_carry_adder", "multiplier"),
    "variational": ("vqe_real_amp", "vqe_su2", "vqe_two_local"),
    "states and oracles": ("ghz", "bv", "dj"),
    "linear equations": ("hhl",),
    "generative": ("bmw_quark_cardinality", "bmw_quark_copula"),
}
"""The families of the training side, by what is alike."""
_TREES = 300
_EDGES = dict.fromkeys((Method.DENSITY_MATRIX, Method.IDEAL_MIXTURE, Method.KNOWN_STRUCTURE), (0.03, 0.12, 1.0))
_OTHER_ANGLES = 3


@dataclass(frozen=True)
class Judged:
    """A run, and what was known before it."""

    run: Run
    family: str
    structure: Structure
    angles: tuple[float, ...]
    ideal: Ideal
    profile: Profile
    simulated: float | None
    """As predicted by its density matrix; None where that would take too long."""
    rough: Profile
    """By the machine's summary alone."""

    def mixed(self, weights: Weights) -> float:
        """As predicted by the mixture, with some weights."""
        return mixture.fidelity(self.ideal, self.profile, weights)

    def predicted(self, weights: Weights) -> tuple[float, Method]:
        """As routing predicts it, and how."""
        if self.simulated is not None:
            return self.simulated, Method.DENSITY_MATRIX
        return self.mixed(weights), Method.IDEAL_MIXTURE

    @cached_property
    def depolarised(self) -> float:
        """As predicted by the depolarising model, of errors no less than relaxation (ESP2)."""
        flat = Ideal(self.ideal.probabilities, None)
        return mixture.fidelity(flat, self.profile, ESP2)

    @property
    def features(self) -> tuple[float, ...]:
        """What a random forest sees."""
        of = self.profile
        losses = (
            of.pair_loss,
            of.single_loss,
            of.readout_loss,
            math.exp(-of.gate_loss - of.readout_loss),
            self.run.esp,
        )
        return (*losses, of.depth, of.two_qubit_gate_count, self.structure.qubit_count, math.log(self.ideal.support))


def judge(side: str) -> list[Judged]:
    """Fit every circuit of a side to the calibration that was known."""
    truth, known = read(side), {world.name: world.known for world in SIDES[side].worlds}
    cases = {case.name: case for case in truth.cases}
    decoded = {name: circuit.parse(case.encoded).decoded() for name, case in cases.items()}
    ideals = {name: ideal_of(*each, with_errors=True) for name, each in decoded.items()}
    profiles: dict[tuple[str, int, int, str], tuple[Profile, float | None, Profile]] = {}
    with tempfile.TemporaryDirectory() as name:
        for run in truth.runs:
            key = (run.device, known[run.world], run.seed, run.case)
            if key not in profiles:
                profiles[key] = _profiles(Path(name), *key[:3], decoded[run.case], ideals[run.case])
    return [
        Judged(
            run,
            cases[run.case].family,
            *decoded[run.case],
            ideals[run.case],
            *profiles[run.device, known[run.world], run.seed, run.case],
        )
        for run in truth.runs
    ]


def _profiles(
    folder: Path, device: str, day: int, seed: int, decoded: tuple[Structure, tuple[float, ...]], ideal: Ideal
) -> tuple[Profile, float | None, Profile]:
    name = f"{device}@{day}-{seed}"
    if not (folder / f"{name}.json").exists():
        snapshot = reported(device, day, seed)
        (folder / f"{name}.json").write_bytes(msgspec.json.encode(index.calibration(snapshot)))
    fitted = fitting.fitter(folder, name).fit(*decoded)
    simulated = None if fitted.read is None else noisy.hellinger(ideal.probabilities, fitted.read)
    return fitted.profile, simulated, summary_of(calibration.read(folder, name)).profile(decoded[0].size)


def forest(train: Sequence[Judged], test: Sequence[Judged]) -> Numbers:
    """What a random forest makes of the same features, trained on the training side."""
    made = RandomForestRegressor(_TREES, random_state=0, n_jobs=1)
    made.fit([each.features for each in train], [each.run.fidelity for each in train])
    return np.asarray(made.predict([each.features for each in test]))


def fit(train: Sequence[Judged], validation: Sequence[Judged], version: str) -> Model:
    """The model's numbers: from the training side alone but for the bounds, which need all the kinds there are."""
    fresh = [each for each in train if each.run.world == "fresh"]
    weights = _weights(fresh)
    surrogate = _surrogate(fresh)
    bands: list[Band] = []
    for world, old in (("fresh", False), ("stale", True)):
        runs = [each for each in (*train, *validation) if each.run.world == world]
        said = {
            Method.DENSITY_MATRIX: [(each.simulated, each.run.fidelity) for each in runs if each.simulated is not None],
            Method.IDEAL_MIXTURE: [(each.mixed(weights), each.run.fidelity) for each in runs],
            Method.KNOWN_STRUCTURE: list(_other_angles(runs, weights)),
            Method.SURROGATE: [(surrogate.fidelity(each.profile), each.run.fidelity) for each in runs],
            Method.SUMMARY: [(surrogate.fidelity(each.rough), each.run.fidelity) for each in runs],
        }
        bands += [band for method, pairs in said.items() for band in _bands(method, pairs, stale=old)]
    return Model(version=version, weights=weights, surrogate=surrogate, bands=tuple(bands))


def _weights(runs: Sequence[Judged]) -> Weights:
    """1 for every loss, as fitted ones do worse on kinds that they have not seen (`left_out`); and the share seen."""
    true = array(runs, lambda each: each.run.fidelity)
    flat = [Ideal(each.ideal.probabilities, None) for each in runs]

    def lost_by(seen: float) -> float:
        weights = msgspec.structs.replace(AS_CALIBRATED, seen=seen)
        values = [mixture.fidelity(ideal, each.profile, weights) for ideal, each in zip(flat, runs, strict=True)]
        return float(np.abs(np.array(values) - true).mean())

    return msgspec.structs.replace(AS_CALIBRATED, seen=min((round(0.5 + 0.05 * n, 2) for n in range(11)), key=lost_by))


def left_out(judged: Sequence[Judged]) -> Iterator[tuple[str, Weights, float, float]]:
    """For each kind of circuit: weights fitted to the other kinds, and its mean absolute error with them and with 1."""
    runs = [each for each in judged if each.run.world == "fresh"]
    for kind, families in KINDS.items():
        others = [each for each in runs if each.family not in families][::2]
        own = [each for each in runs if each.family in families]

        def lost(values: Numbers, others: Sequence[Judged] = others) -> float:
            return _error(_said(values), others)

        fitted = _said(minimize(lost, [1.0, 1.0, 1.0], method="Nelder-Mead", options={"maxiter": 25}).x)
        yield kind, fitted, _error(fitted, own), _error(AS_CALIBRATED, own)


def _said(values: Numbers) -> Weights:
    pair, single, readout = (round(max(0.0, float(value)), 3) for value in values)
    return Weights(pair=pair, single=single, readout=readout, seen=1.0)


def _error(weights: Weights, runs: Sequence[Judged]) -> float:
    return float(np.abs(array(runs, lambda each: each.mixed(weights) - each.run.fidelity)).mean())


def _surrogate(runs: Sequence[Judged]) -> Surrogate:
    true = np.array([each.run.fidelity for each in runs])

    def lost(values: Numbers) -> float:
        made = Surrogate(readout=float(values[0]), gates=float(values[1]))
        return float(np.abs(np.array([made.fidelity(each.profile) for each in runs]) - true).mean())

    found = minimize(lost, [0.7, 0.65], method="Nelder-Mead").x
    return Surrogate(readout=round(float(found[0]), 3), gates=round(float(found[1]), 3))


def _other_angles(runs: Sequence[Judged], weights: Weights) -> Iterable[tuple[float, float]]:
    """What the same structure with random angles predicts, and the truth of the circuit with its own."""
    random = np.random.default_rng(0)
    drawn: dict[str, list[Ideal]] = {}
    for each in runs:
        if not each.angles:
            continue
        if each.run.case not in drawn:
            turned = [tuple(random.uniform(-math.pi, math.pi, len(each.angles)).tolist()) for _ in range(_OTHER_ANGLES)]
            drawn[each.run.case] = [ideal_of(each.structure, angles, with_errors=True) for angles in turned]
        for ideal in drawn[each.run.case]:
            yield mixture.fidelity(ideal, each.profile, weights), each.run.fidelity


def _bands(method: Method, pairs: Sequence[tuple[float, float]], *, stale: bool) -> list[Band]:
    """Split-conformal bounds of the log-infidelity, apart for small and large ones (Mondrian)."""
    lost = 1 - np.array(pairs)
    ratios = np.log((lost[:, 1] + SOFTENING) / (lost[:, 0] + SOFTENING))
    made, before = [], 0.0
    for most in _EDGES.get(method, (1.0,)):
        within = np.sort(ratios[(lost[:, 0] > before) & (lost[:, 0] <= most)])
        rank = math.ceil(0.95 * (len(within) + 1))
        low, high = float(within[max(0, len(within) - rank)]), float(within[min(len(within), rank) - 1])
        made.append(Band(method=method, stale=stale, most=most, low=round(min(low, 0), 3), high=round(max(high, 0), 3)))
        before = most
    return made


def array(judged: Sequence[Judged], value: Callable[[Judged], float]) -> Numbers:
    """A number of each run."""
    return np.array([value(each) for each in judged])
