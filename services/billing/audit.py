"""The laws of the ledger, and which of them a ledger breaks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum


class Law(StrEnum):
    """What must hold at any moment, besides that all entries sum to zero; the value is the complaint about a breach."""

    TRANSFER = "the transfer {name} sums to {found} micros, not {expected}"
    MOVEMENT = "the entry {name} is of {found} micros, its hold says {expected}"
    BALANCE = "the balance of {name} is {found} micros, its entries sum to {expected}"
    HELD = "the account {name} has {found} micros, the open holds {expected}"
    NOT_NEGATIVE = "the account {name} has {found} micros, below {expected}"
    INCLUDED = "the included jobs of {name} are counted as {found}, its holds say {expected}"
    SPENT = "the charges of {name} are counted as {found} micros, its holds say {expected}"
    CHARGES = "the charges of {name} are counted as {found}, its holds say {expected}"


@dataclass(frozen=True, slots=True)
class Difference:
    """A number that should be another one."""

    name: str
    found: int
    expected: int


@dataclass(frozen=True, slots=True)
class LedgerSums:
    """The ledger added up at one moment; amounts in micro-dollars."""

    sum: int
    entry_count: int
    open_hold_count: int
    open_hold_amount: int
    offenders: Mapping[Law, Sequence[Difference]] = field(default_factory=dict)
    """Who breaks each law, at most a few of them."""


def violations(sums: LedgerSums) -> list[str]:
    """Every law that is broken, for people; empty where all hold."""
    broken = [] if sums.sum == 0 else [f"the sum of all entries is {sums.sum} micros, not 0"]
    for law, offenders in sums.offenders.items():
        broken += [law.format(name=each.name, found=each.found, expected=each.expected) for each in offenders]
    return broken
