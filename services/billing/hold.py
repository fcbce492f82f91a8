"""Holds: money set aside for one job, charged or given back once."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from enum import IntEnum
from typing import NewType, TypeAlias

JobId = NewType("JobId", str)
TeamId = NewType("TeamId", str)


class HoldState(IntEnum):
    """Where a hold is in its life; the numbers are those of the proto and of the database."""

    OPEN = 1
    SETTLED = 2
    RELEASED = 3


class ChargeKind(IntEnum):
    """Why a job costs what it costs; the numbers are those of the proto and of the database."""

    PRICE = 1
    INCLUDED = 2
    TEST = 3


@dataclass(frozen=True, slots=True)
class Hold:
    """Money set aside for one job."""

    job_id: JobId
    team_id: TeamId
    amount: int
    """Micro-dollars, at least 0."""
    charge_kind: ChargeKind
    state: HoldState
    create_time: dt.datetime
    close_time: dt.datetime | None = None
    """When it was settled or released."""
    item: str = ""
    """What is bought, for people."""
    metered: bool = False
    surcharge: int = 0
    """The part of the amount that the priority queue costs."""


@dataclass(frozen=True, slots=True)
class HoldRequest:
    """The wish to reserve a job's price."""

    job_id: JobId
    team_id: TeamId
    plan: str
    price: int
    """List price in micro-dollars, before plan and surcharge."""
    billed: bool = True
    """False for a test key."""
    priority: bool = False
    max_amount: int | None = None
    """The most that the caller wants to spend, in micro-dollars."""
    metered: bool = False
    """True for what is no job, such as random bits: included jobs do not pay for it."""
    item: str = ""
    """What is bought, for people."""
    qubit_count: int = 0
    shot_count: int = 0


@dataclass(frozen=True, slots=True)
class SettleRequest:
    """The wish to charge what was held."""

    job_id: JobId


@dataclass(frozen=True, slots=True)
class ReleaseRequest:
    """The wish to give back what was held."""

    job_id: JobId


Operation: TypeAlias = HoldRequest | SettleRequest | ReleaseRequest
