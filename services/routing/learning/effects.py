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
from services.routing.learning.sights import MOST, Scatter, Sight, Sighting, Sights

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
    seen: tuple[Sight, ...] = ()
    """What runs on the same places say, under this calibration; those used last are the last."""

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
    _sights: dict[Hashable, Sights] = field(default_factory=dict)

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
            _with_sighting(known, replace(seen, residual=residual, deviation=width), self._scatter),
            evidence=known.evidence.plus(x, residual, width),
            since_worse=worse,
            since_better=better,
            cusum=cusum,
            count=known.count + 1,
            squares=known.squares + surprise**2,
        )
        if cusum.drifted:
            evidence = worse if cusum.worse > cusum.better else better
            known = _Known(calibration_id=calibration_id, evidence=evidence, rest=evidence, drift_time=time)
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
        made = {key: self._sights_of(known) for key, known in self._known.items() if known.seen}
        # What was worked out of those that are as they were stays with them.
        self._sights = {key: before if (before := self._sights.get(key)) == new else new for key, new in made.items()}
        return self._sights

    def _sights_of(self, known: _Known) -> Sights:
        doubt = self._spread**2 - self.prior.spread**2
        if known.drift_time is not None:
            doubt += self.prior.drifted**2
        return Sights(self._scatter, self._common, doubt, known.rest, known.seen)

    @property
    def _scatter(self) -> Scatter:
        prior = self.prior
        return Scatter(spread=prior.spread, drift=prior.drift, place=prior.place, place_drift=prior.place_drift)

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
            seen=tuple([replace(each, evidence=each.evidence.at(time, half_life)) for each in known.seen]),
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


def _with_sighting(known: _Known, one: Sighting, scatter: Scatter) -> _Known:
    """What is known with one more. One without places goes to the rest, and so does what was used first of too much."""
    if one.exposure is None:
        return replace(known, rest=known.rest.plus(one.x, one.residual, one.deviation))
    same = [each for each in known.seen if each.exposure == one.exposure]
    sight = same[0] if same else Sight(one.exposure, Evidence(time=one.time))
    seen = (*(each for each in known.seen if each is not sight), sight.with_one(one, scatter))
    if len(seen) <= MOST:
        return replace(known, seen=seen)
    return replace(known, seen=seen[1:], rest=known.rest.joined(seen[0].of_machine(scatter)))
