"""Every command, by group."""

from __future__ import annotations

from deploy.admin import (
    authority,
    budgets,
    calibrations,
    decisions,
    entropy,
    jobs,
    keys,
    ledger,
    letters,
    plans,
    signing,
    teams,
)
from deploy.admin.command import Command

GROUPS = {
    "teams": "teams, their plans and whether they are served",
    "users": "the users of a team and their roles",
    "keys": "API keys",
    "plans": "plans, and what was agreed with a team instead",
    "budgets": "the most that teams may be charged in a month",
    "ledger": "the ledger, and the money of a team",
    "jobs": "jobs of a team",
    "decisions": "choices of a backend, and what another policy would have chosen",
    "calibrations": "how well machines did: snapshots of their calibrations",
    "dead-letters": "messages that nobody could handle",
    "signing-keys": "the keys that sign records",
    "entropy": "sources of random bits, and their quarantine",
    "authority": "the authority of the mesh's own certificates",
}
COMMANDS: tuple[Command, ...] = tuple(
    command
    for module in (
        teams,
        keys,
        plans,
        budgets,
        ledger,
        jobs,
        decisions,
        calibrations,
        letters,
        signing,
        entropy,
        authority,
    )
    for command in module.COMMANDS
)
