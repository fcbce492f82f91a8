"""All operations of the Q-MUMMA dialect."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge.dialects import Dialect
from edge.dialects.qmumma.algorithm_routes import algorithm_operations
from edge.dialects.qmumma.algorithms import Algorithms
from edge.dialects.qmumma.benchmark_routes import benchmark_operations
from edge.dialects.qmumma.benchmarks import Benchmarks
from edge.dialects.qmumma.billing import Billing
from edge.dialects.qmumma.billing_routes import billing_operations
from edge.dialects.qmumma.certificate_routes import certificate_operations
from edge.dialects.qmumma.certificates import Certificates
from edge.dialects.qmumma.credential_routes import credential_operations
from edge.dialects.qmumma.credentials import Credentials
from edge.dialects.qmumma.decisions import Decisions
from edge.dialects.qmumma.description import document
from edge.dialects.qmumma.documents import SealedDocuments
from edge.dialects.qmumma.entropy import Entropies
from edge.dialects.qmumma.entropy_routes import entropy_operations
from edge.dialects.qmumma.errors import error_bodies
from edge.dialects.qmumma.job_events import HEARTBEAT_SECONDS, JobEvents
from edge.dialects.qmumma.job_routes import job_operations
from edge.dialects.qmumma.jobs import Jobs
from edge.dialects.qmumma.key_routes import key_operations
from edge.dialects.qmumma.keys import Keys
from edge.dialects.qmumma.proof import Proofs
from edge.dialects.qmumma.proof_routes import proof_operations
from edge.dialects.qmumma.quotes import Quotes
from edge.dialects.qmumma.results import Results
from edge.dialects.qmumma.routing_routes import routing_operations
from edge.dialects.qmumma.verification import Verifier
from edge.dialects.qmumma.verify_page import VerifyPage, page_operations
from edge.dialects.qmumma.webhook_routes import webhook_operations
from edge.dialects.qmumma.webhooks import Webhooks
from edge.documentation.pages import document_operations
from edge.health import Health, health_operations
from edge.limits import OpenStreams
from edge.openapi import openapi

if TYPE_CHECKING:
    from qm.accounts.v1.accounts_pb2_grpc import AccountsServiceAsyncStub
    from qm.billing.v1.billing_pb2_grpc import BillingServiceAsyncStub
    from qm.certificates.v1.certificates_pb2_grpc import CertificatesServiceAsyncStub
    from qm.entropy.v1.entropy_pb2_grpc import EntropyServiceAsyncStub
    from qm.execution.v1.execution_pb2_grpc import ExecutionServiceAsyncStub
    from qm.routing.v1.routing_pb2_grpc import BenchmarkServiceAsyncStub
    from qm.signing.v1.signing_pb2_grpc import SigningServiceAsyncStub
    from qm.webhooks.v1.webhooks_pb2_grpc import WebhooksServiceAsyncStub

VERSION = "1.0.0"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What an operator decides about this dialect."""

    public_url: str = "https://api.qmumma.com"
    """Where clients reach this edge, without a path."""
    streams_per_team: int = 100
    """Event streams and waiting reads that a team may hold open at this process."""
    heartbeat_seconds: float = HEARTBEAT_SECONDS


@dataclass(frozen=True, kw_only=True)
class Services:
    """The services that this dialect calls."""

    accounts: AccountsServiceAsyncStub
    benchmarks: BenchmarkServiceAsyncStub
    billing: BillingServiceAsyncStub
    certificates: CertificatesServiceAsyncStub
    entropy: EntropyServiceAsyncStub
    execution: ExecutionServiceAsyncStub
    signing: SigningServiceAsyncStub
    webhooks: WebhooksServiceAsyncStub


def qmumma(services: Services, settings: Settings, health: Health) -> Dialect:
    """The dialect over these services, with its document and the pages that show it."""
    execution, signing = services.execution, services.signing
    streams = OpenStreams(settings.streams_per_team)
    jobs = Jobs(execution, signing, streams=streams)
    events = JobEvents(jobs, streams=streams, heartbeat_seconds=settings.heartbeat_seconds)
    documents = SealedDocuments(signing, services.certificates)
    operations = [
        *job_operations(jobs, events, Results(execution, streams=streams)),
        *routing_operations(Quotes(execution), Decisions(execution)),
        *algorithm_operations(Algorithms(execution)),
        *key_operations(Keys(services.accounts)),
        *billing_operations(Billing(services.billing)),
        *credential_operations(Credentials(services.accounts)),
        *benchmark_operations(Benchmarks(services.benchmarks)),
        *proof_operations(Proofs(signing), Verifier(signing, documents.kinds())),
        *certificate_operations(Certificates(services.certificates)),
        *page_operations(VerifyPage(execution, signing)),
        *webhook_operations(Webhooks(services.webhooks)),
        *entropy_operations(Entropies(services.entropy, signing)),
        *health_operations(health),
    ]
    text = openapi(document(settings.public_url, VERSION), operations)
    return Dialect([*operations, *document_operations(text)], error_bodies(settings.public_url))
