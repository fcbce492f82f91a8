"""How good a circuit's runs on several machines would be, in the time that there is.

What is known answers at once: the same circuit, or one of the same structure, whose own angles are looked at only once
it comes again: a variational loop never sends the same ones twice. The best of the others, by a summary of their
calibration, are fitted by child processes; what is not ready in time is answered by the summary alone and says so,
while the work goes on for the next who asks.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Generic, TypeVar

from mesh.telemetry import log
from services.routing.exposure import Exposure
from services.routing.prediction.calibration import CALIBRATIONS, read
from services.routing.prediction.circuit import Circuit, Digest, parse
from services.routing.prediction.model import MODEL, Method
from services.routing.prediction.pool import LostError, OverdueError, Pool
from services.routing.prediction.profile import Profile, UnfitError
from services.routing.prediction.sampling import of_counts
from services.routing.prediction.summary import Summary, summary_of
from services.routing.prediction.task import Finding

MODEL_VERSION = MODEL.version
MOST_FITTED = 12
"""Of more candidates than this only the best, by their summary, are fitted."""
MOST_BYTES = 500_000
"""A longer circuit, of some 20,000 gates, is not looked at: it would take a child a minute, and the loop 50 ms."""
STALE_AFTER = dt.timedelta(days=2)
"""Machines are calibrated every day; past this, predictions are as uncertain as those of another day."""
_STEPS = 4
"""In which staleness grows until then, so that the same request has the same answer for half a day."""
_CACHED = 50_000
"""Circuits on machines that stay known, 1 kB each at most."""
_bounds = lru_cache(_CACHED)(MODEL.bounds)
K = TypeVar("K")
V = TypeVar("V")
Fit = tuple[Digest, str]
"""A circuit or a structure, and a calibration."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A machine, and the calibration that it is judged by."""

    backend_id: str
    calibration_id: str
    age: dt.timedelta = dt.timedelta()
    """How old the calibration is when the circuit runs; zero for a twin, which is as its calibration says."""

    @property
    def staleness(self) -> float:
        """How much of what machines drift they have drifted since, 0 to 1."""
        return min(1.0, math.ceil(_STEPS * (self.age / STALE_AFTER)) / _STEPS)


@dataclass(frozen=True, slots=True)
class FidelityEstimate:
    """The Hellinger fidelity of the counts of so many shots and the ideal distribution, and its grounds."""

    value: float
    low: float
    high: float
    """Between these lie 9 of 10 runs."""
    method: Method
    profile: Profile
    """The circuit as it was fitted, or as its size alone tells."""
    exposure: Exposure | None = None
    """The places that it was fitted to; None where it was not."""


class Predictor:
    """Predicts, and remembers. One for a process; `close` ends its children."""

    def __init__(
        self,
        *,
        folder: Path = CALIBRATIONS,
        children: int = 1,
        most_fitted: int = MOST_FITTED,
        pool: Pool | None = None,
    ) -> None:
        """Know the calibrations of `folder`; fit with a `pool` that is there, or one of so many `children`."""
        self._folder = folder
        self._most_fitted = most_fitted
        self._pool = pool or Pool(folder, children=children)
        self._summaries: dict[str, Summary] = {}
        self._found = _Latest[Fit, Finding](_CACHED)
        self._alike = _Latest[Fit, Finding](_CACHED)
        self._rough = _Latest[Fit, Finding](_CACHED)
        self._hopeless = _Latest[Fit, bool](_CACHED)
        self._came = _Latest[Digest, bool](_CACHED)
        self._under_way: dict[Fit, asyncio.Task[None]] = {}

    async def predict(
        self, circuit: bytes, candidates: Sequence[Candidate], *, shots: int, seconds: float
    ) -> dict[str, FidelityEstimate]:
        """An estimate for each candidate that has room for the circuit, by its backend's id, within `seconds`.

        None for a circuit of more than MOST_BYTES.
        `circuit` is as of circuit.py. Raises ValueError where it is not, and UnknownCalibrationError.
        """
        if len(circuit) > MOST_BYTES:
            return {}
        known = parse(circuit)
        key, alike = known.key, known.structure_key
        ids = dict.fromkeys(each.calibration_id for each in candidates)
        if any((key, each) not in self._found and (alike, each) not in self._hopeless for each in ids):
            await self._fit(known, list(ids), seconds)
        findings: dict[Candidate, tuple[Finding, Method]] = {}
        for each in candidates:
            calibration = each.calibration_id
            if finding := self._found.get((key, calibration)):
                findings[each] = finding, finding.method
            elif finding := self._alike.get((alike, calibration)):
                findings[each] = finding, Method.SURROGATE if finding.fidelity is None else Method.KNOWN_STRUCTURE
            elif finding := self._rough.get((alike, calibration)):
                findings[each] = finding, finding.method
        # They are of the circuit: who was not fitted has as many, and the shots cost all candidates the same.
        outcomes = max((finding.outcomes for finding, _ in findings.values()), default=0)
        return {
            each.backend_id: self._estimate(finding, method, shots, outcomes, each.staleness)
            for each, (finding, method) in findings.items()
        }

    def works_on(self, circuit: bytes) -> bool:
        """Whether a child is at a circuit, or will be: then the next answer may be a better one."""
        if not self._under_way:
            return False
        asked = parse(circuit).key
        return any(key == asked for key, _ in self._under_way)

    async def close(self) -> None:
        """End the children; what they were at is lost."""
        for task in self._under_way.values():
            task.cancel()
        await self._pool.close()

    async def _fit(self, circuit: Circuit, calibrations: Sequence[str], seconds: float) -> None:
        """Have the best of some candidates fitted, and wait for it as long as may be."""
        if new := [each for each in calibrations if each not in self._summaries]:
            self._summaries |= await asyncio.to_thread(_summaries, self._folder, new)
        alike = circuit.structure_key
        if any((alike, each) not in self._rough for each in calibrations):
            self._look_over(circuit, calibrations)
        rough = {each: self._value(found) for each in calibrations if (found := self._rough.get((alike, each)))}
        best = sorted(rough, key=rough.__getitem__, reverse=True)[: self._most_fitted]
        missing = [
            each for each in best if (circuit.key, each) not in self._found and (alike, each) not in self._hopeless
        ]
        known = all((alike, each) in self._alike for each in missing)
        if known and circuit.key not in self._came:
            self._came.put(circuit.key, value=True)
            return
        tasks = [self._task(circuit, each) for each in missing]
        if tasks and not known:
            await asyncio.wait(tasks, timeout=seconds)

    def _look_over(self, circuit: Circuit, calibrations: Sequence[str]) -> None:
        """Judge machines by their summaries; one that has no room is left out."""
        size = circuit.decoded()[0].size
        for each in calibrations:
            summary, alike = self._summaries[each], (circuit.structure_key, each)
            has_room = summary.working_qubit_count >= size.qubit_count
            if has_room:
                profile = summary.profile(size)
                fidelity = MODEL.surrogate.fidelity(profile)
                self._rough.put(alike, Finding(profile=profile, method=Method.SUMMARY, fidelity=fidelity))
            else:
                self._hopeless.put(alike, value=True)

    def _task(self, circuit: Circuit, calibration_id: str) -> asyncio.Task[None]:
        """The work on a circuit and a machine, which goes on whoever waits for it."""
        fit = (circuit.key, calibration_id)
        if (task := self._under_way.get(fit)) is None:
            task = asyncio.create_task(self._find(circuit, calibration_id), name=f"fit {calibration_id}")
            self._under_way[fit] = task
            task.add_done_callback(lambda _: self._under_way.pop(fit, None))
        return task

    async def _find(self, circuit: Circuit, calibration_id: str) -> None:
        alike = (circuit.structure_key, calibration_id)
        like = self._alike.get(alike)
        try:
            finding = await self._pool.find(calibration_id, circuit.encoded, like.profile if like else None)
        except LostError as error:
            log.warning("prediction_lost", calibration=calibration_id, reason=str(error))
        except (OverdueError, UnfitError) as error:
            log.info("prediction_impossible", calibration=calibration_id, reason=str(error))
            self._hopeless.put(alike, value=True)
        except Exception:  # noqa: BLE001 - whoever asked has the summary's answer
            log.exception("prediction_failed", calibration=calibration_id)
            self._hopeless.put(alike, value=True)
        else:
            self._found.put((circuit.key, calibration_id), finding)
            self._alike.put(alike, finding)

    def _estimate(
        self, finding: Finding, method: Method, shots: int, outcomes: int, staleness: float
    ) -> FidelityEstimate:
        value = self._value(finding)
        low, high = _bounds(value, method, staleness=staleness)
        told = of_counts(value, low, high, shots=max(1, shots), outcomes=outcomes)
        return FidelityEstimate(*told, method, finding.profile, exposed(finding.profile, staleness))

    def _value(self, finding: Finding) -> float:
        return MODEL.surrogate.fidelity(finding.profile) if finding.fidelity is None else finding.fidelity


def exposed(profile: Profile, staleness: float) -> Exposure | None:
    """The places of a fitted circuit."""
    return Exposure(profile.places, staleness) if profile.places else None


class _Latest(Generic[K, V]):
    """What was used last, up to a number."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: dict[K, V] = {}

    def __contains__(self, key: K) -> bool:
        return key in self._kept

    def get(self, key: K) -> V | None:
        value = self._kept.pop(key, None)
        if value is not None:
            self._kept[key] = value
        return value

    def put(self, key: K, value: V) -> None:
        self._kept.pop(key, None)
        self._kept[key] = value
        if len(self._kept) > self._most:
            del self._kept[next(iter(self._kept))]


def _summaries(folder: Path, calibration_ids: Sequence[str]) -> dict[str, Summary]:
    return {each: summary_of(read(folder, each)) for each in calibration_ids}
