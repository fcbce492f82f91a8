"""A week of machines and jobs, made up from a seed: what there is, what is told of it, and what really happens.

Machines are single servers with users of their own, whose number swings with the hour. Their errors wander and jump;
a calibration tells them as they were when it was measured. Providers report queues, prices and outages every five
minutes, and nothing in between. The same seed makes the same week for every policy.
"""

from __future__ import annotations

import datetime as dt
import math
from dataclasses import dataclass, field

import numpy as np

from services.routing.catalogue import Backend, Calibration, Kind, Machine, Method, Owner, Pool, Provider
from services.routing.program import Features

HOUR, DAY, WEEK = 3600.0, 86_400.0, 604_800.0
REPORT_SECONDS = 300.0
START = dt.datetime(2026, 11, 16, tzinfo=dt.UTC)
_STEP = 600.0
"""Seconds between two values of a machine's true errors."""
_SESSION = 10
"""Circuits that another user sends at once."""
MODEL_ERROR = 0.01
"""Standard deviation of what the model of fidelity is off by, as it was measured (bench/routing.py)."""
LUCK = 0.01
"""Of what the same circuit really does from run to run, shot noise included."""


@dataclass(frozen=True, slots=True)
class Job:
    """A program that comes at a time, in seconds from the start of the week."""

    time: float
    features: Features
    shots: int
    luck: np.ndarray
    """For each machine, in standard deviations."""
    misjudged: np.ndarray
    """For each machine: the model's error, likewise."""


@dataclass(slots=True)
class Site:
    """A machine with its users, its outages, and its true errors over the week."""

    backend: Backend
    error: np.ndarray
    """The factor on the errors of its first calibration, every _STEP seconds."""
    calibrated: list[float]
    """When it was calibrated; its provider then tells the truth of that moment."""
    outages: list[tuple[float, float]]
    prices: list[tuple[float, float]]
    """From when on its price is multiplied by how much."""
    users: list[tuple[float, float]]
    """When the others' jobs come, and how long they run."""
    free_at: float = 0.0
    ends: list[float] = field(default_factory=list)
    """Of the jobs in its queue, in order."""
    _next_user: int = 0

    def truth(self, time: float) -> float:
        """The factor on its errors."""
        return float(self.error[min(int(time / _STEP), len(self.error) - 1)])

    def told(self, time: float) -> float:
        """The factor as its newest calibration has it."""
        return self.truth(max(each for each in self.calibrated if each <= time))

    def price_factor(self, time: float) -> float:
        """What its price is multiplied by."""
        return [factor for since, factor in self.prices if since <= time][-1]

    def online(self, time: float) -> bool:
        """Whether it takes jobs."""
        return all(not start <= time < end for start, end in self.outages)

    def advance(self, time: float) -> None:
        """Let the others' jobs in that came until then."""
        while self._next_user < len(self.users) and self.users[self._next_user][0] <= time:
            self.serve(*self.users[self._next_user])
            self._next_user += 1

    def serve(self, time: float, seconds: float) -> tuple[float, float]:
        """When a job that comes then begins and ends, behind those before it and after any outage."""
        begin = max(time, self.free_at)
        for start, end in self.outages:
            if start <= begin < end:
                begin = end
        self.free_at = begin + seconds
        self.ends.append(self.free_at)
        return begin, self.free_at

    def depth(self, time: float) -> int:
        """Jobs in its queue."""
        self.ends = [end for end in self.ends if end > time]
        return len(self.ends)


def fidelity(backend: Backend, features: Features, factor: float) -> float:
    """What a circuit comes to on a machine whose errors are `factor` times those of its first calibration."""
    calibration = backend.calibration
    assert calibration is not None
    singles = features.gate_count - features.two_qubit_gate_count
    exponent = (
        features.qubit_count * calibration.readout_error
        + singles * calibration.single_qubit_error
        + features.two_qubit_gate_count * calibration.two_qubit_error
    )
    return math.exp(-0.65 * factor * exponent)


def seconds(backend: Backend, job: Job) -> float:
    """How long a job runs on a machine."""
    machine = backend.machine
    assert machine is not None
    return machine.task_seconds + job.shots * machine.shot_seconds


_POOL = (
    # name, provider, e1, e2, readout, seconds a task, a shot, dollars a task, a shot, others' load, calibrated every
    ("alpha", Provider.IBM, 2.4e-4, 2.6e-3, 0.008, 3.0, 0.0012, 1.20, 0.00010, 0.45, DAY),
    ("beta", Provider.IBM, 2.6e-4, 2.8e-3, 0.009, 3.0, 0.0012, 1.20, 0.00010, 0.40, DAY),
    ("gamma", Provider.IBM, 2.5e-4, 2.7e-3, 0.009, 3.0, 0.0012, 1.10, 0.00010, 0.35, 3 * DAY),
    ("delta", Provider.IBM, 2.9e-4, 3.3e-3, 0.011, 3.0, 0.0012, 0.80, 0.00010, 0.25, DAY),
    ("epsilon", Provider.AWS, 7.0e-4, 6.0e-3, 0.015, 2.0, 0.0006, 0.30, 0.00035, 0.20, DAY),
    ("zeta", Provider.AWS, 9.0e-4, 9.0e-3, 0.020, 2.0, 0.0004, 0.30, 0.00020, 0.15, DAY),
    ("eta", Provider.IONQ, 2.0e-4, 2.2e-3, 0.006, 12.0, 0.0120, 2.60, 0.00080, 0.50, 2 * DAY),
    ("theta", Provider.IONQ, 3.0e-4, 3.6e-3, 0.006, 10.0, 0.0100, 1.90, 0.00060, 0.30, 3 * DAY),
)


def make_sites(seed: int) -> list[Site]:
    """The machines."""
    return [_site(row, np.random.default_rng([seed, number])) for number, row in enumerate(_POOL)]


def make_jobs(seed: int, count: int) -> list[Job]:
    """The jobs, in the order in which they come; twice as many by day as by night."""
    source = np.random.default_rng([seed, 99])
    times = np.sort(source.choice(_thinned(source, 3 * count), count, replace=False))
    jobs = []
    for time in times:
        qubits = int(source.integers(3, 17))
        pairs = int(qubits * source.integers(1, 9))
        gates = pairs + int(qubits * source.integers(2, 12))
        features = Features(
            qubit_count=qubits,
            clbit_count=qubits,
            depth=max(2, 2 * pairs // qubits),
            gate_count=gates,
            two_qubit_gate_count=pairs,
            clifford=False,
            dynamic=False,
            entanglement_bound=qubits // 2,
        )
        shots = int(source.choice([1024, 2048, 4096, 8192]))
        luck, misjudged = source.normal(size=(2, len(_POOL)))
        jobs.append(Job(float(time), features, shots, luck, misjudged))
    return jobs


def _site(row: tuple[object, ...], source: np.random.Generator) -> Site:
    name, provider, single, pair, readout, task, shot, task_price, shot_price, load, every = row
    numbers = [float(each) for each in (single, pair, readout, task, shot, task_price, shot_price, load, every)]  # type: ignore[arg-type]
    backend = _backend(str(name), Provider(str(provider)), numbers)
    steps = int(WEEK / _STEP) + 1
    wander = np.cumsum(source.normal(0, 0.012, steps))
    for at in source.integers(steps // 8, steps, 2):
        wander[at:] += source.choice([-0.25, 0.35, 0.5])
    mean = _SESSION * (numbers[3] + 3000 * numbers[4])
    arrivals = _thinned(source, int(numbers[7] * WEEK / mean))
    lengths = source.exponential(mean, len(arrivals))
    return Site(
        backend,
        error=np.exp(wander - wander[0]),
        calibrated=list(np.arange(0.0, WEEK + 4 * DAY, numbers[8])),
        outages=[(start, start + source.uniform(0.5, 5) * HOUR) for start in np.sort(source.uniform(0, WEEK, 3))],
        prices=[(0.0, 1.0), *((at, source.uniform(0.6, 1.7)) for at in np.sort(source.uniform(0, WEEK, 2)))],
        users=list(zip(arrivals.tolist(), lengths.tolist(), strict=True)),
    )


def _backend(name: str, provider: Provider, numbers: list[float]) -> Backend:
    single, pair, readout, task, shot, task_price, shot_price, _, _ = numbers
    return Backend(
        backend_id=name,
        display_name=name,
        description="A machine of the simulated week.",
        kind=Kind.LIVE,
        online=True,
        method=Method.CALIBRATED_NOISE,
        pool=Pool.LIVE,
        price_micros=0,
        qubit_count=20,
        owner=Owner.OPERATOR,
        machine=Machine(
            provider=provider,
            device=name,
            task_price_micros=round(task_price * 1e6),
            shot_price_micros=round(shot_price * 1e6),
            task_seconds=task,
            shot_seconds=shot,
            source="made up",
        ),
        calibration=Calibration(
            calibration_id=f"{name}@0",
            working_qubit_count=20,
            single_qubit_error=single,
            two_qubit_error=pair,
            readout_error=readout,
            operations=frozenset(),
        ),
    )


def _thinned(source: np.random.Generator, count: int) -> np.ndarray:
    """Times over the week, sorted, twice as dense at noon as at midnight."""
    times = source.uniform(0, WEEK, 2 * count)
    kept = source.uniform(0, 1.5, len(times)) < 1 - 0.5 * np.cos(2 * math.pi * times / DAY)
    return np.sort(times[kept])
