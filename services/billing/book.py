"""The book: the rows of the ledger that one batch of operations touches, and what the batch does to them.

Pure: the store reads it from the database, the operations run on it one after the other, and what it has then collected
is written in one statement, if the ledger is still as it was read. So a thousand concurrent holds are decided one by
one, and a budget is neither passed by a micro-dollar nor refused below it.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from mesh.errors import Conflict, MeshError, NotFound
from services.billing.budget import Spending
from services.billing.charge import Charge, Quota, charge
from services.billing.hold import (
    ChargeKind,
    Hold,
    HoldRequest,
    HoldState,
    JobId,
    Operation,
    ReleaseRequest,
    SettleRequest,
    TeamId,
)
from services.billing.ledger import Entry, Movement, transfer
from services.billing.period import Period, PeriodName, name_of, names_of
from services.billing.plan import Plans


@dataclass(slots=True)
class TeamFunds:
    """What a decision needs to know of a team; amounts in micro-dollars."""

    held: int = 0
    spent: int = 0
    """Charged in the book's month."""
    used: Counter[Period] = field(default_factory=Counter)
    """Included jobs used in the book's month, and on its day."""
    budget: int | None = None
    """How far `held` and `spent` may go together; None for no limit."""
    agreed_count: int | None = None
    """Included jobs in a period by the team's own terms; None where the plan's number counts."""


@dataclass(slots=True)
class Tally:
    """What a period of a team gains by a batch."""

    used: int = 0
    """Included jobs, by when they were held; negative where they were given back."""
    spent: int = 0
    """Micro-dollars charged, by when that was."""
    charges: int = 0
    """Charges, included jobs among them."""


class Book:
    """The rows that one batch touches; `changed`, `entries` and `tallies` are what is to be written.

    `teams` has the funds of those that ask, and of others that are at hand, as they are after it.
    """

    def __init__(
        self, plans: Plans, now: dt.datetime, *, holds: dict[JobId, Hold], teams: dict[TeamId, TeamFunds]
    ) -> None:
        """Open the book at the time `now` (UTC) with the `holds` of the operations' jobs; it changes `teams`."""
        self._plans = plans
        self._now = now
        self._holds = holds
        self.teams = teams
        self.changed: dict[JobId, Hold] = {}
        self.made: set[JobId] = set()
        """Which of them are new."""
        self.entries: list[Entry] = []
        self.tallies: defaultdict[tuple[TeamId, PeriodName], Tally] = defaultdict(Tally)

    def has(self, operations: Iterable[Operation]) -> bool:
        """Whether every job of these has a hold here by now."""
        return all(operation.job_id in self._holds for operation in operations)

    def apply(self, operation: Operation) -> Hold | MeshError | None:
        """What the operation answers; a refusal changes nothing and is returned, not raised."""
        try:
            match operation:
                case HoldRequest():
                    return self.hold(operation)
                case SettleRequest(job_id):
                    return self.settle(job_id)
                case ReleaseRequest(job_id):
                    return self.release(job_id)
        except MeshError as error:
            return error

    def hold(self, request: HoldRequest) -> Hold:
        """The job's hold, made now unless there is one.

        Raises what `charge` raises, PaymentRequired (BUDGET_EXCEEDED), and Conflict (JOB_ID_TAKEN) where another team
        has a hold of that id.
        """
        if (known := self._holds.get(request.job_id)) is not None:
            if known.team_id != request.team_id:
                message = f"The job id {request.job_id} is taken."
                raise Conflict(message, reason="JOB_ID_TAKEN", field="job_id")
            return known
        due = self.due(request)
        hold = Hold(
            request.job_id,
            request.team_id,
            due.amount,
            due.kind,
            HoldState.OPEN,
            create_time=self._now,
            item=request.item,
            metered=request.metered,
            surcharge=due.surcharge,
        )
        self._take(hold, 1)
        self.made.add(hold.job_id)
        self._record(hold, Movement.HOLD)
        return hold

    def due(self, request: HoldRequest) -> Charge:
        """What a hold would be of; changes nothing. Raises what `charge` raises, and PaymentRequired."""
        team = self.teams[request.team_id]
        due = charge(request, self._plans, Quota(self._now, team.used, team.agreed_count))
        Spending.at(self._now, spent=team.spent, held=team.held, budget=team.budget).require(due.amount)
        return due

    def settle(self, job_id: JobId) -> Hold:
        """Charge the hold; a repeat changes nothing.

        Raises NotFound (HOLD_NOT_FOUND), and Conflict (HOLD_RELEASED) where it was given back.
        """
        hold = self._holds.get(job_id)
        if hold is None:
            message = f"There is no hold for the job {job_id}."
            raise NotFound(message, reason="HOLD_NOT_FOUND", field="job_id")
        if hold.state is HoldState.RELEASED:
            message = f"The hold of the job {job_id} was released; it cannot be charged."
            raise Conflict(message, reason="HOLD_RELEASED", field="job_id")
        if hold.state is HoldState.OPEN:
            self._spend(hold)
        return self._close(hold, HoldState.SETTLED, Movement.SETTLE)

    def release(self, job_id: JobId) -> Hold | None:
        """Give the hold back, an included job with it; a repeat changes nothing, and None says there was no hold.

        Raises Conflict (HOLD_SETTLED) where it was charged.
        """
        hold = self._holds.get(job_id)
        if hold is None:
            return None
        if hold.state is HoldState.SETTLED:
            message = f"The hold of the job {job_id} was charged; it cannot be released."
            raise Conflict(message, reason="HOLD_SETTLED", field="job_id")
        if hold.state is HoldState.OPEN:
            self._take(hold, -1)
        return self._close(hold, HoldState.RELEASED, Movement.RELEASE)

    def _close(self, hold: Hold, state: HoldState, movement: Movement) -> Hold:
        if hold.state is not HoldState.OPEN:
            return hold
        closed = replace(hold, state=state, close_time=self._now)
        self._record(closed, movement)
        return closed

    def _record(self, hold: Hold, movement: Movement) -> None:
        self._holds[hold.job_id] = self.changed[hold.job_id] = hold
        self.entries.extend(transfer(hold, movement, self._now))

    def _take(self, hold: Hold, sign: int) -> None:
        """Take the hold's money and included job from its team (1), or give them back (-1)."""
        team = self.teams.get(hold.team_id)
        if team is not None:
            team.held += sign * hold.amount
        if hold.charge_kind is ChargeKind.INCLUDED:
            for period in Period:
                name = name_of(period, hold.create_time)
                self.tallies[hold.team_id, name].used += sign
                if team is not None and name == name_of(period, self._now):
                    team.used[period] += sign

    def _spend(self, hold: Hold) -> None:
        """Turn what is held into what is spent, now."""
        if (team := self.teams.get(hold.team_id)) is not None:
            team.held -= hold.amount
            team.spent += hold.amount
        if hold.charge_kind is not ChargeKind.TEST:
            for name in names_of(self._now):
                self.tallies[hold.team_id, name].spent += hold.amount
                self.tallies[hold.team_id, name].charges += 1
