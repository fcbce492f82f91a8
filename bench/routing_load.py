"""A week of 20,000 jobs: our choice of a machine, with all that it learns, beside policies that do not learn.

The machines (bench/week/machines.py) have queues, outages, prices that change and errors that drift.

python -m bench.routing_load [--jobs N] [--seed S]

Ours is the code that runs (bench/week/policies.py), fed with the same reports as the others and with the outcomes of
its own jobs. A job is worth its utility by the balanced weights. Intervals are of 95 %, by a bootstrap over the hours.
"""

from __future__ import annotations

import argparse
import asyncio
import datetime as dt
import heapq
import time
from collections.abc import Callable, Sequence
from itertools import count

import numpy as np
from numpy.typing import NDArray

from bench.week.machines import HOUR, LUCK, REPORT_SECONDS, START, Job, Site, fidelity, make_jobs, make_sites, seconds
from bench.week.policies import WEIGHTS, Ours, Pick, View, outcome_of, static_policies
from services.routing.learning.outcome import Outcome
from services.routing.objective import worth

REFUSED_SECONDS = 30.0
"""What it takes to find out that a machine takes no jobs."""
BOOTSTRAPS = 1000
TOLERANCE = {"fidelity": 0.02, "minutes": 10.0, "dollars": 1.5}
"""How far ours may be behind the best of the others in each single measure: what they win there they lose elsewhere.
Minutes are typical ones, exp(mean(log(1 + minutes))) - 1, since that is how a utility counts them."""

Results = NDArray[np.float64]
"""A row for each job: when it came, its fidelity, minutes, dollars and utility."""


class Week:
    """The week under one policy."""

    def __init__(self, seed: int, jobs: Sequence[Job], pick: Callable[[Sequence[Site]], Pick]) -> None:
        """Make the machines anew, so that no policy meets the queues of another."""
        self.sites = {site.backend.backend_id: site for site in make_sites(seed)}
        self.pick = pick(list(self.sites.values()))
        self._jobs = jobs
        self._ended: list[tuple[float, int, Outcome]] = []
        self._numbers = count()
        self._views: dict[str, View] = {}
        self._reported = -REPORT_SECONDS

    async def run(self) -> Results:
        """What every job came to."""
        return np.array([await self._run(job) for job in self._jobs])

    async def _run(self, job: Job) -> tuple[float, ...]:
        excluded: frozenset[str] = frozenset()
        now = job.time
        while True:
            self._hear(now)
            name = await self.pick(job, self._views, excluded)
            site = self.sites[name]
            if site.online(now):
                break
            self._tell(name, (now, now, now + REFUSED_SECONDS), None)
            excluded, now = excluded | {name}, now + REFUSED_SECONDS
            if len(excluded) == len(self.sites):
                excluded = frozenset()
        came, place = now, list(self.sites).index(name)
        began, ended = site.serve(now, seconds(site.backend, job))
        real = fidelity(site.backend, job.features, site.truth(began)) + LUCK * float(job.luck[place])
        real = min(1.0, max(0.0, real))
        self._tell(name, (came, began, ended), real)
        price = site.backend.price(job.features.circuit_count, job.shots) * site.price_factor(came) / 1e6
        waited = ended - job.time
        utility = worth(WEIGHTS, real, waited, round(1e6 * price)).utility
        return job.time, real, waited / 60, price, utility

    def _hear(self, now: float) -> None:
        """Let the time come: others' jobs, what ended, and the reports of each five minutes."""
        for site in self.sites.values():
            site.advance(now)
        ours = self.pick if isinstance(self.pick, Ours) else None
        if ours is not None:
            ours.now = START + dt.timedelta(seconds=now)
            heard = False
            while self._ended and self._ended[0][0] <= now:
                ours.learn(heapq.heappop(self._ended)[2])
                heard = True
            if heard:
                ours.believe()
        if now - self._reported >= REPORT_SECONDS:
            self._reported = now - now % REPORT_SECONDS
            self._views = {
                name: View(
                    site.backend,
                    place,
                    site.depth(now),
                    site.online(now),
                    site.price_factor(now),
                    site.told(now),
                    max(each for each in site.calibrated if each <= now),
                )
                for place, (name, site) in enumerate(self.sites.items())
            }
            if ours is not None:
                ours.report(self._views)

    def _tell(self, name: str, times: tuple[float, float, float], measured: float | None) -> None:
        """Let ours hear of an end once it has come."""
        if isinstance(self.pick, Ours) and self.pick.decision is not None:
            outcome = outcome_of(self.pick.decision, name, times, measured)
            heapq.heappush(self._ended, (times[2], next(self._numbers), outcome))


def main() -> None:
    """Run the week under every policy, and print what each came to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=2026)
    asked = parser.parse_args()
    jobs = make_jobs(asked.seed, asked.jobs)
    began = time.perf_counter()
    found: dict[str, Results] = {}
    for name, pick in _policies(jobs, asked.seed).items():
        found[name] = asyncio.run(Week(asked.seed, jobs, pick).run())
    _print(found)
    print(
        f"\n{len(jobs):,} jobs under {len(found)} policies in {time.perf_counter() - began:.0f} s, seed {asked.seed}."
    )


def _policies(jobs: Sequence[Job], seed: int) -> dict[str, Callable[[Sequence[Site]], Pick]]:
    names = static_policies(make_sites(seed), jobs, seed)
    made: dict[str, Callable[[Sequence[Site]], Pick]] = {
        "ours": lambda sites: Ours(sites, seed),
        "ours, without learning": lambda sites: Ours(sites, seed, learns=False),
    }
    return made | {
        name: lambda sites, name=name: static_policies(sites, jobs, seed)[name]  # type: ignore[misc]
        for name in names
    }


def _print(found: dict[str, Results]) -> None:
    blocks = (found["ours"][:, 0] // HOUR).astype(int)
    drawn = np.random.default_rng(0).integers(0, blocks.max() + 1, (BOOTSTRAPS, blocks.max() + 1))
    print("                        fidelity  minutes    mean  dollars  utility  ours is better by [95 %]")
    for name, rows in found.items():
        told = _measures(rows)
        gain = found["ours"][:, 4] - rows[:, 4]
        low, high = _interval(gain, blocks, drawn)
        line = f"{name:<24}{told['fidelity']:8.4f}{told['minutes']:9.2f}{rows[:, 2].mean():8.1f}{told['dollars']:9.3f}"
        line += f"{rows[:, 4].mean():9.4f}"
        print(line if name == "ours" else f"{line}  {gain.mean():+.4f} [{low:+.4f}, {high:+.4f}]")
    others = [rows for name, rows in found.items() if not name.startswith("ours")]
    ours = _measures(found["ours"])
    print()
    for measure, tolerance in TOLERANCE.items():
        told = [_measures(rows)[measure] for rows in others]
        behind = max(told) - ours[measure] if measure == "fidelity" else ours[measure] - min(told)
        verdict = "within" if behind <= tolerance else "NOT within"
        print(f"{measure}: {behind:+.3f} behind the best of the others, {verdict} the tolerance of {tolerance}")
    beaten = sum(found["ours"][:, 4].mean() > rows[:, 4].mean() for rows in others)
    print(f"utility: better than {beaten} of {len(others)} policies that do not learn")
    _print_each(found)


def _print_each(found: dict[str, Results]) -> None:
    """In which of the three means ours is better than each of the others; none of them may be better in all."""
    ours, better = _measures(found["ours"]), 0
    for name, rows in found.items():
        told = _measures(rows)
        ahead = [each for each in told if (ours[each] > told[each] if each == "fidelity" else ours[each] < told[each])]
        if not name.startswith("ours"):
            better += not ahead
            print(f"ours is better than {name} in {', '.join(ahead) or 'none of the three'}")
    print(f"better than ours in all three: {better} of the policies that do not learn")


def _measures(rows: Results) -> dict[str, float]:
    typical = float(np.expm1(np.log1p(rows[:, 2]).mean()))
    return {"fidelity": float(rows[:, 1].mean()), "minutes": typical, "dollars": float(rows[:, 3].mean())}


def _interval(values: Results, blocks: NDArray[np.int64], drawn: NDArray[np.int64]) -> tuple[float, float]:
    sums = np.bincount(blocks, values, minlength=drawn.shape[1])
    counts = np.bincount(blocks, minlength=drawn.shape[1])
    means = sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)


if __name__ == "__main__":
    main()
