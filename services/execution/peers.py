"""The services that execution calls."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from qm.accounts.v1.accounts_pb2_grpc import AccountsServiceStub
from qm.billing.v1.billing_pb2_grpc import BillingServiceStub
from qm.routing.v1.routing_pb2_grpc import RoutingServiceStub
from qm.signing.v1.signing_pb2_grpc import SigningServiceStub

from mesh.process import Process

if TYPE_CHECKING:
    from qm.accounts.v1.accounts_pb2_grpc import AccountsServiceAsyncStub
    from qm.billing.v1.billing_pb2_grpc import BillingServiceAsyncStub
    from qm.routing.v1.routing_pb2_grpc import RoutingServiceAsyncStub
    from qm.signing.v1.signing_pb2_grpc import SigningServiceAsyncStub


@dataclass(frozen=True)
class Peers:
    """A stub for each."""

    routing: RoutingServiceAsyncStub
    billing: BillingServiceAsyncStub
    signing: SigningServiceAsyncStub
    accounts: AccountsServiceAsyncStub

    @classmethod
    def of(cls, process: Process[Any]) -> Self:
        """Stubs over the channels of a process."""
        return cls(
            RoutingServiceStub(process.channel("routing")),
            BillingServiceStub(process.channel("billing")),
            SigningServiceStub(process.channel("signing")),
            AccountsServiceStub(process.channel("accounts")),
        )
