"""The services that execution calls."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

from qm.billing.v1.billing_pb2_grpc import BillingServiceAsyncStub, BillingServiceStub
from qm.routing.v1.routing_pb2_grpc import RoutingServiceAsyncStub, RoutingServiceStub
from qm.signing.v1.signing_pb2_grpc import SigningServiceAsyncStub, SigningServiceStub

from mesh.process import Process


@dataclass(frozen=True)
class Peers:
    """A stub for each."""

    routing: RoutingServiceAsyncStub
    billing: BillingServiceAsyncStub
    signing: SigningServiceAsyncStub

    @classmethod
    def of(cls, process: Process[Any]) -> Self:
        """Stubs over the channels of a process."""
        return cls(
            RoutingServiceStub(process.channel("routing")),
            BillingServiceStub(process.channel("billing")),
            SigningServiceStub(process.channel("signing")),
        )
