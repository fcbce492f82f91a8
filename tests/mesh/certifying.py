"""Certificates on a real PostgreSQL and NATS, between peers that are small and do what a test tells them."""

# ruff: noqa: N802 - RPCs are named as in their proto

from __future__ import annotations

import base64
import hashlib
import json
import uuid
from collections import Counter
from typing import Any, cast

import rfc8785
from qm.accounts.v1 import accounts_pb2
from qm.billing.v1 import billing_pb2
from qm.execution.v1 import execution_pb2
from qm.signing.v1 import signing_pb2
from qm.type.v1 import requester_pb2

from mesh.errors import Conflict, NotFound
from services.certificates.jobs import Peers
from tests.unit.certificates.conftest import House, record_of


def new_team(plan: str = "commercial") -> requester_pb2.Requester:
    return requester_pb2.Requester(
        team_id=str(uuid.uuid4()),
        user_id=str(uuid.uuid4()),
        key_id=str(uuid.uuid4()),
        plan=plan,
        environment=requester_pb2.ENVIRONMENT_LIVE,
    )


class Neighbours:
    """Execution, signing, billing and accounts, as far as certificates asks them; `failing` raises for an RPC."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.failing: dict[str, Exception] = {}
        self.calls: Counter[str] = Counter()
        self.owner = new_team()
        self.state = execution_pb2.JOB_STATE_COMPLETED
        self.role = accounts_pb2.ROLE_ADMIN
        self.sealed: dict[str, bytes] = {}
        self._anchors: dict[bytes, signing_pb2.GetAnchorResponse] = {}

    def peers(self) -> Peers:
        return Peers(*(cast("Any", self),) * 4)

    def meet(self, method: str) -> None:
        self.calls[method] += 1
        if method in self.failing:
            raise self.failing[method]

    async def ListPlans(self, _request: Any) -> billing_pb2.ListPlansResponse:
        self.meet("ListPlans")
        plans = [
            billing_pb2.Plan(plan="commercial", certificate_allowed=True),
            billing_pb2.Plan(plan="academic", certificate_allowed=False),
        ]
        return billing_pb2.ListPlansResponse(plans=plans)

    async def GetMember(self, _request: Any) -> accounts_pb2.GetMemberResponse:
        self.meet("GetMember")
        return accounts_pb2.GetMemberResponse(role=self.role)

    async def GetJob(self, request: execution_pb2.GetJobRequest) -> execution_pb2.GetJobResponse:
        self.meet("GetJob")
        assert request.with_parameters
        if request.requester.team_id != self.owner.team_id:
            raise NotFound("no such job", reason="JOB_NOT_FOUND")
        record = rfc8785.dumps(record_of(job_id=f"qm_job_{uuid.UUID(request.job_id).hex}"))
        job = execution_pb2.Job(job_id=request.job_id, team_id=self.owner.team_id, state=self.state, view_token="t")
        job.record = record
        job.seal.CopyFrom(self._seal(record))
        return execution_pb2.GetJobResponse(job=job, parameters=b'{"qasm":"OPENQASM 2.0;"}', submitter=self.owner)

    async def SignRecord(self, request: signing_pb2.SignRecordRequest) -> signing_pb2.SignRecordResponse:
        self.meet("SignRecord")
        if self.sealed.setdefault(request.subject, request.record) != request.record:
            raise Conflict("another record", reason="SUBJECT_ALREADY_SIGNED")
        return signing_pb2.SignRecordResponse(seal=self._seal(request.record))

    async def GetAnchor(self, request: signing_pb2.GetAnchorRequest) -> signing_pb2.GetAnchorResponse:
        self.meet("GetAnchor")
        return self._anchors[request.leaf_hash]

    async def ListKeys(self, _request: Any) -> signing_pb2.ListKeysResponse:
        key = self.house.signer.public_key()
        return signing_pb2.ListKeysResponse(
            keys=[signing_pb2.PublicKey(key_id=key.kid, public_key=key.public)],
            log_keys=self.house.log_keys.splitlines(),
        )

    def _seal(self, record: bytes) -> signing_pb2.Seal:
        _, proven = self.house.proven(record)
        members = json.loads(proven)
        leaf_hash = bytes.fromhex(members["blockchain_anchor"].rpartition("/")[2])
        proof = members["proof"]
        self._anchors[leaf_hash] = signing_pb2.GetAnchorResponse(
            leaf=proof["leaf"].encode(), tree_size=1, checkpoint=proof["checkpoint"]
        )
        return signing_pb2.Seal(
            audit_hash=hashlib.sha256(record).digest(),
            signature=base64.b64decode(members["pqc_signature"]),
            key_id=members["key_id"],
            leaf_hash=leaf_hash,
        )
