"""A process of the mesh under the name and the RPCs of billing, for tests that start, signal and kill one."""
# ruff: noqa: N802 - handlers are named as their RPCs

from __future__ import annotations

import asyncio

from qm.billing.v1 import billing_pb2 as pb

from mesh.call import Call
from mesh.config import MeshConfig
from mesh.process import Part, Process, run
from mesh.telemetry import log

SERVICE = pb.DESCRIPTOR.services_by_name["BillingService"]


class Billing:
    """ListPlans answers at once, GetHold when the process begins to stop, CheckLedger never."""

    def __init__(self, stopping: asyncio.Event) -> None:
        for method in SERVICE.methods:
            vars(self).setdefault(method.name, getattr(self, method.name, self.unused))
        self._stopping = stopping

    async def ListPlans(self, _request: pb.ListPlansRequest, call: Call) -> pb.ListPlansResponse:
        return pb.ListPlansResponse(plans=[pb.Plan(plan="free", display_name=call.caller)])

    async def GetHold(self, _request: pb.GetHoldRequest, _call: Call) -> pb.GetHoldResponse:
        log.info("held")
        await self._stopping.wait()
        return pb.GetHoldResponse()

    async def CheckLedger(self, _request: pb.CheckLedgerRequest, _call: Call) -> pb.CheckLedgerResponse:
        await asyncio.Event().wait()
        return pb.CheckLedgerResponse()

    async def unused(self, _request: object, _call: Call) -> None:
        """Be there, so that the service is complete."""


async def wire(process: Process[MeshConfig], _config: MeshConfig) -> None:
    process.server.add(SERVICE, Billing(process.stopping))


PART = Part("billing", MeshConfig, wire)

if __name__ == "__main__":
    run(PART)
