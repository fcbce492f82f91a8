"""Exploration: now and then a backend that may be better than is believed, at a bounded price. Pure.

Thompson sampling (Biometrika 25, 1933): what each backend is worth is drawn from what is believed of it, and the best
draw is taken. Only those are drawn that are within EPSILON of the best, so that no job loses more than that by the
beliefs of the moment; nothing is drawn for a job that pays, unless its caller allows it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from services.routing.program import Environment

EPSILON = 0.01
"""Of utility, whose unit is a fidelity of 1: the most that a job gives for what is learned from it."""


@dataclass(frozen=True, slots=True)
class Prospect:
    """A backend that may be taken."""

    backend_id: str
    utility: float
    """By the policy; 1 is worth as much as a fidelity of 1."""
    deviation: float
    """Standard deviation of the utility by the beliefs; 0 where nothing is left to learn."""


def may_explore(environment: Environment, *, allowed: bool) -> bool:
    """Whether a job may be sent where something is to be learned: one that pays only if its caller allows it."""
    return allowed or environment is Environment.TEST


def pick(prospects: Sequence[Prospect], random: Random, *, explore: bool) -> int:
    """The place of the one to take; `prospects` are best first. 0 where nothing is to be explored."""
    if not explore:
        return 0
    near = [index for index, each in enumerate(prospects) if each.utility >= prospects[0].utility - EPSILON]
    drawn = {index: random.gauss(prospects[index].utility, prospects[index].deviation) for index in near}
    return max(near, key=lambda index: drawn[index])
