"""Effects of backends: how far each is from its predictions, shrunk towards what all of them share. Pure.

A normal random-effects model: the effect of a backend is drawn around a common one, the spread among backends is
estimated from them all (DerSimonian & Laird, Controlled Clinical Trials 7, 1986) and held near its prior by
PRIOR_WEIGHT. Where the backends agree within their noise the spread stays small, and so does every correction: a few
observations do not disturb a ranking that was right. Where they differ it grows, and observations count. Of runs whose
places on the machine are known, sights.py says more.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Hashable
from dataclasses import dataclass, field, replace

from services.routing.learning.drift import CLIP, Cusum
from services.routing.learning.evidence import Evidence
from services.routing.learning.sights import MOST, Scatter, Sighting, Sights

PRIOR_WEIGHT = 10.0
"""How many backends the prior of the spread counts for, and how many observations that of the noise."""
CARRIED = 0.25
"""What evidence is worth under the next calibration of the same machine."""
DOUBTED = 1.5
"""Times as wide as predicted are residuals of a machine that has drifted, until more of them say how wide they are."""
_REFRESHED = 16
"""Observations after which what backends share is estimated anew."""
_NOISE = (0.5, 3.0)
"""Bounds of the factor that measured noise puts on the predicted one."""
_NO_EVIDENCE = Evidence()
_LEVEL = Cusum()


@dataclass(frozen=True, slots=True, kw_only=True)
class Prior:
    """What is believed before anything was observed."""

    spread: float
    """Standard deviation of the effects around the common one, on the day of a calibration."""
    drift: float = 0.0
    """What is added to it, in squares, by the time that machines have drifted as far as they do."""
    place: float = 0.0
    """The same of places on a machine."""
    place_drift: float = 0.0
    common: float
    """Standard deviation of the common effect around 0."""
    drifted: float
    """Standard deviation of the effect of a machine that has drifted: its calibration is worth little now."""
    half_life: dt.timedelta
    """The age at which an observation counts half."""


@dataclass(frozen=True, slots=True)
class Effect:
    """What is believed of one backend's effect."""

    mean: float
    deviation: float
    noise: float
    """Residuals are this many times as wide as predicted."""
    drift_time: dt.datetime | None = None
    """When a drift was found that no new calibration has answered yet."""
    counted: float = 0.0
    """What of its variance the interval of a forecast counts already."""


@dataclass(frozen=True, slots=True)
class _Known:
    """Of one backend."""

    calibration_id: str | None = None
    evidence: Evidence = _NO_EVIDENCE
    since_worse: Evidence = _NO_EVIDENCE
    """From where the sum of worse residuals began to rise: what is known of the machine after a drift."""
    since_better: Evidence = _NO_EVIDENCE
    cusum: Cusum = _LEVEL
    drift_time: dt.datetime | None = None
    count: float = 0.0
    squares: float = 0.0
    """Of standardised residuals; with `count`, how wide they really are."""
    rest: Evidence = _NO_EVIDENCE
    """What of the evidence is not of `seen`."""
    seen: tuple[Sighting, ...] = ()
    """The last runs whose places are known, under this calibration."""
    seen_since: tuple[int, int] = (0, 0)
    """How many of them since the sums of worse and of better residuals began to rise."""

    @property
    def noise(self) -> float:
        low, high = _NOISE
        prior = PRIOR_WEIGHT * (1.0 if self.drift_time is None else DOUBTED**2)
        return min(high, max(low, math.sqrt((prior + self.squares) / (PRIOR_WEIGHT + self.count))))


@dataclass(slots=True)
class Effects:
    """What is known of all backends: a fold, so that the same observations in the same order give the same."""

    prior: Prior
    _known: dict[Hashable, _Known] = field(default_factory=dict)
    _seen: int = 0
    _common: float = 0.0
    _spread: float = 0.0
    _sights: dict[Hashable, tuple[_Known, Sights]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Begin with the prior."""
        self._spread = self.prior.spread

    def observe(self, key: Hashable, calibration_id: str | None, seen: Sighting) -> None:
        """Learn of a residual (its deviation > 0)."""
        x, deviation, time = seen.x, seen.deviation, seen.time
        known = self._before(self._known.get(key, _Known()), calibration_id, time)
        effect = self._effect(known)
        expected, total = x * effect.mean, math.hypot(deviation, x * effect.deviation)
        surprise = max(-CLIP, min(CLIP, (seen.residual - expected) / total))
        residual = expected + surprise * total
        width = deviation * known.noise
        cusum = known.cusum.after(surprise / known.noise)
        worse = known.since_worse.plus(x, residual, width) if cusum.worse else Evidence(time=time)
        better = known.since_better.plus(x, residual, width) if cusum.better else Evidence(time=time)
        known = replace(
            _with_sighting(known, replace(seen, residual=residual, deviation=width), cusum),
            evidence=known.evidence.plus(x, residual, width),
            since_worse=worse,
            since_better=better,
            cusum=cusum,
            count=known.count + 1,
            squares=known.squares + surprise**2,
        )
        if cusum.drifted:
            known = _drifted(known, time)
        self._known[key] = known
        self._seen += 1
        if self._seen % _REFRESHED == 0:
            self._refresh(time)

    def at(self, time: dt.datetime) -> dict[Hashable, Effect]:
        """What is believed of every backend that was observed."""
        return {
            key: self._effect(self._before(known, known.calibration_id, time)) for key, known in self._known.items()
        }

    def sights(self) -> dict[Hashable, Sights]:
        """What is known of the places of every backend where that is anything; as of its last observation."""
        found = {}
        for key, known in self._known.items():
            if known.seen:
                before = self._sights.get(key)
                if before is None or before[0] is not known or before[1].common != self._common:
                    before = self._sights[key] = known, self._sights_of(known)
                found[key] = before[1]
        return found

    def _sights_of(self, known: _Known) -> Sights:
        prior = self.prior
        scatter = Scatter(spread=prior.spread, drift=prior.drift, place=prior.place, place_drift=prior.place_drift)
        doubt = self._spread**2 - prior.spread**2 + (0.0 if known.drift_time is None else prior.drifted**2)
        return Sights(scatter, self._common, doubt, known.rest, known.seen, prior.half_life)

    @property
    def unknown(self) -> Effect:
        """What is believed of a backend that was never observed."""
        return Effect(self._common, self._spread, 1.0)

    def _effect(self, known: _Known) -> Effect:
        spread = self._spread if known.drift_time is None else math.hypot(self._spread, self.prior.drifted)
        variance = 1 / (spread**-2 + known.evidence.precision)
        mean = variance * (self._common * spread**-2 + known.evidence.weighted)
        return Effect(mean, math.sqrt(variance), known.noise, known.drift_time)

    def _before(self, known: _Known, calibration_id: str | None, time: dt.datetime) -> _Known:
        """What is still worth something when an observation under a calibration is made."""
        half_life = self.prior.half_life
        if known.calibration_id != calibration_id:
            evidence = known.evidence.at(time, half_life).times(CARRIED, time)
            return _Known(calibration_id=calibration_id, evidence=evidence, rest=evidence)
        age = max(0.0, (time - known.evidence.time) / half_life) if known.count else 0.0
        return replace(
            known,
            evidence=known.evidence.at(time, half_life),
            rest=known.rest.at(time, half_life),
            since_worse=known.since_worse.at(time, half_life),
            since_better=known.since_better.at(time, half_life),
            count=known.count * 0.5**age,
            squares=known.squares * 0.5**age,
        )

    def _refresh(self, time: dt.datetime) -> None:
        """Estimate what backends share, and how much they differ."""
        all_of = [known.evidence.at(time, self.prior.half_life) for known in self._known.values()]
        all_of = [evidence for evidence in all_of if evidence.precision > 0]
        total = sum(evidence.precision for evidence in all_of)
        if not total:
            return
        spread = self._estimated_spread(all_of, total)
        weights = [1 / (spread**2 + 1 / evidence.precision) for evidence in all_of]
        sums = sum(weight * evidence.effect for weight, evidence in zip(weights, all_of, strict=True))
        self._common = sums / (self.prior.common**-2 + sum(weights))
        self._spread = spread

    def _estimated_spread(self, all_of: list[Evidence], total: float) -> float:
        freedom = len(all_of) - 1
        middle = sum(evidence.weighted for evidence in all_of) / total
        excess = sum(evidence.precision * (evidence.effect - middle) ** 2 for evidence in all_of) - freedom
        scale = total - sum(evidence.precision**2 for evidence in all_of) / total
        variance = max(0.0, excess / scale) if freedom and scale > 0 else 0.0
        prior = PRIOR_WEIGHT * self.prior.spread**2
        return math.sqrt((prior + freedom * variance) / (PRIOR_WEIGHT + freedom))


def _with_sighting(known: _Known, sighting: Sighting, cusum: Cusum) -> _Known:
    """What is known with one more. One without places goes to the rest, and so does the oldest of too many."""
    seen, gone = (*known.seen, sighting), []
    if sighting.exposure is None:
        seen, gone = known.seen, [sighting]
    elif len(seen) > MOST:
        seen, gone = seen[1:], [seen[0]]
    rest = known.rest
    for each in gone:
        rest = rest.plus(each.x, each.residual, each.deviation)
    more = sighting.exposure is not None
    worse, better = (
        min(MOST, count + more) if total else 0
        for count, total in zip(known.seen_since, (cusum.worse, cusum.better), strict=True)
    )
    return replace(known, seen=seen, rest=rest, seen_since=(worse, better))


def _drifted(known: _Known, time: dt.datetime) -> _Known:
    """What is still known of a machine once it was found to have drifted: what came since that began."""
    worse = known.cusum.worse > known.cusum.better
    evidence, last = (known.since_worse if worse else known.since_better), known.seen_since[0 if worse else 1]
    return _Known(
        calibration_id=known.calibration_id,
        evidence=evidence,
        drift_time=time,
        rest=_NO_EVIDENCE if last else evidence,
        seen=known.seen[len(known.seen) - last :],
    )
