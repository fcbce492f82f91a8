"""What the other services know of a job that a certificate is wanted for."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from qm.accounts.v1 import accounts_pb2
from qm.billing.v1 import billing_pb2
from qm.execution.v1 import execution_pb2
from qm.signing.v1 import signing_pb2
from qm.type.v1.requester_pb2 import Requester

from mesh.errors import Conflict, PermissionDenied
from mesh.process import Process
from services.certificates.config import CertificatesConfig
from services.certificates.proof import ANCHOR_PREFIX, proven_record
from services.certificates.sheet import Completed

if TYPE_CHECKING:
    from qm.accounts.v1.accounts_pb2_grpc import AccountsServiceAsyncStub
    from qm.billing.v1.billing_pb2_grpc import BillingServiceAsyncStub
    from qm.execution.v1.execution_pb2_grpc import ExecutionServiceAsyncStub
    from qm.signing.v1.signing_pb2_grpc import SigningServiceAsyncStub

PLANS_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Peers:
    """The services that certificates calls."""

    execution: ExecutionServiceAsyncStub
    signing: SigningServiceAsyncStub
    billing: BillingServiceAsyncStub
    accounts: AccountsServiceAsyncStub

    @classmethod
    def of(cls, process: Process[CertificatesConfig]) -> Peers:
        """Channels to all of them."""
        # Stubs are imported late: together they take tens of milliseconds of every start.
        from qm.accounts.v1.accounts_pb2_grpc import AccountsServiceStub  # noqa: PLC0415
        from qm.billing.v1.billing_pb2_grpc import BillingServiceStub  # noqa: PLC0415
        from qm.execution.v1.execution_pb2_grpc import ExecutionServiceStub  # noqa: PLC0415
        from qm.signing.v1.signing_pb2_grpc import SigningServiceStub  # noqa: PLC0415

        return cls(
            ExecutionServiceStub(process.channel("execution")),
            SigningServiceStub(process.channel("signing")),
            BillingServiceStub(process.channel("billing")),
            AccountsServiceStub(process.channel("accounts")),
        )


@dataclass(frozen=True, slots=True)
class ProvenJob:
    """A completed job, and its record with all that proves it."""

    facts: Completed
    proven: bytes
    """As `GET /v1/jobs/{id}?include=proof` answers it."""
    view_token: str
    """Opens the job's page, /verify/{job}?t=<token>."""


class Jobs:
    """Asks for jobs and for what plans allow."""

    def __init__(self, peers: Peers) -> None:
        """Ask these services."""
        self._peers = peers
        self._allowed: dict[str, bool] = {}
        self._asked_at = float("-inf")

    async def require_plan(self, plan: str) -> None:
        """Raise PermissionDenied (PLAN_WITHOUT_CERTIFICATES) unless certificates are part of the plan."""
        if plan not in self._allowed or time.monotonic() - self._asked_at > PLANS_SECONDS:
            response = await self._peers.billing.ListPlans(billing_pb2.ListPlansRequest())
            self._allowed = {row.plan: row.certificate_allowed for row in response.plans}
            self._asked_at = time.monotonic()
        if not self._allowed.get(plan, False):
            message = f"The plan {plan!r} has no certificates; they come with commercial and enterprise."
            raise PermissionDenied(message, reason="PLAN_WITHOUT_CERTIFICATES")

    async def require_admin(self, requester: Requester) -> None:
        """Raise PermissionDenied (ROLE_TOO_LOW) unless an owner or admin of the team asks."""
        response = await self._peers.accounts.GetMember(
            accounts_pb2.GetMemberRequest(team_id=requester.team_id, requester=requester)
        )
        if response.role not in {accounts_pb2.ROLE_OWNER, accounts_pb2.ROLE_ADMIN}:
            message = "Only owners and admins of the team may read its audit trail; ask one of them."
            raise PermissionDenied(message, reason="ROLE_TOO_LOW")

    async def proven(self, requester: Requester, job_id: str) -> ProvenJob:
        """A completed job of the team.

        Raises NotFound for no job or another team's, and Conflict (JOB_NOT_COMPLETED).
        """
        answer = await self._peers.execution.GetJob(
            execution_pb2.GetJobRequest(requester=requester, job_id=job_id, with_parameters=True)
        )
        job = answer.job
        if job.state != execution_pb2.JOB_STATE_COMPLETED:
            message = "Only a completed job has a certificate; this one is not completed."
            raise Conflict(message, reason="JOB_NOT_COMPLETED", field="job_id")
        anchor = await self.anchor(job.seal.leaf_hash)
        facts = Completed(
            record=job.record,
            parameters=answer.parameters,
            team_id=job.team_id,
            user_id=answer.submitter.user_id,
            key_id=answer.submitter.key_id,
            signature=job.seal.signature,
            signing_key_id=job.seal.key_id,
            anchor=ANCHOR_PREFIX + job.seal.leaf_hash.hex(),
            leaf_index=anchor.leaf_index,
            tree_size=anchor.tree_size,
            checkpoint=anchor.checkpoint,
        )
        return ProvenJob(facts, proven_record(job.record, job.seal, anchor), job.view_token)

    async def anchor(self, leaf_hash: bytes) -> signing_pb2.GetAnchorResponse:
        """The log's proof of a leaf."""
        return await self._peers.signing.GetAnchor(signing_pb2.GetAnchorRequest(leaf_hash=leaf_hash))

    async def keys(self) -> signing_pb2.ListKeysResponse:
        """The public keys of signing and of the log."""
        return await self._peers.signing.ListKeys(signing_pb2.ListKeysRequest())
