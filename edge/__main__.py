"""The REST edge of Q-MUMMA: HTTP in front of the mesh."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from grpc_health.v1 import health_pb2
from qm.accounts.v1.accounts_pb2_grpc import AccountsServiceStub
from qm.accounts.v1.limits_pb2_grpc import LimitsServiceStub
from qm.billing.v1.billing_pb2_grpc import BillingServiceStub
from qm.certificates.v1.certificates_pb2_grpc import CertificatesServiceStub
from qm.entropy.v1.entropy_pb2_grpc import EntropyServiceStub
from qm.execution.v1.execution_pb2_grpc import ExecutionServiceStub
from qm.routing.v1.routing_pb2_grpc import BenchmarkServiceStub
from qm.signing.v1.signing_pb2_grpc import SigningServiceStub
from qm.webhooks.v1.webhooks_pb2_grpc import WebhooksServiceStub

from edge.app import Bounds, Edge, create_app
from edge.authentication import Authentication
from edge.config import EdgeConfig
from edge.dialects import Dialect
from edge.dialects.qmumma.routes import Services, Settings, qmumma
from edge.health import PROBE_SECONDS, Health, Probe
from edge.leases import Leases
from edge.limits import Rate
from edge.plans import Plans
from edge.server import HttpServer
from mesh.channel import MeshChannel
from mesh.errors import Unavailable
from mesh.events import Events
from mesh.process import Part, Process, run
from mesh.streams import KEYS, KEYS_TOLD, RECALLS

PEERS = ("accounts", "billing", "signing", "execution", "certificates", "routing", "webhooks", "entropy")


async def wire(process: Process[EdgeConfig], config: EdgeConfig) -> None:
    """Build the edge and serve it until the process stops."""
    channels = {name: process.channel(name) for name in PEERS}
    authentication = Authentication(AccountsServiceStub(channels["accounts"]))
    leases = Leases(LimitsServiceStub(channels["accounts"]), most_edges=config.most_edges)
    events = await process.events()
    await forget_changed_keys(events, authentication)
    await give_back_tokens(events, leases)
    process.background(leases.keep_reporting(), "report used tokens")
    process.on_close(leases.close)
    plans = Plans(BillingServiceStub(channels["billing"]))
    process.background(plans.keep_fresh(), "plans")
    edge = Edge(
        _dialect(channels, plans, config),
        authentication=authentication,
        plans=plans,
        leases=leases,
        telemetry=process.telemetry,
        bounds=Bounds(
            body_seconds=config.body_seconds,
            anonymous=Rate(config.anonymous.requests_per_minute, config.anonymous.burst),
        ),
    )
    server = HttpServer(
        create_app(edge),
        edge,
        config.listen,
        trusted_proxies=config.trusted_proxies,
        keep_alive_seconds=config.keep_alive_seconds,
    )
    process.on_close(lambda: server.drain(config.drain_seconds))
    await server.start()


def _dialect(channels: dict[str, MeshChannel], plans: Plans, config: EdgeConfig) -> Dialect:
    settings = Settings(
        public_url=config.public_url.rstrip("/"),
        streams_per_team=config.streams_per_team,
    )
    probes: dict[str, Probe] = {name: _health_probe(channel) for name, channel in channels.items()}
    probes["plans"] = _plans_probe(plans)
    services = Services(
        accounts=AccountsServiceStub(channels["accounts"]),
        benchmarks=BenchmarkServiceStub(channels["routing"]),
        billing=BillingServiceStub(channels["billing"]),
        certificates=CertificatesServiceStub(channels["certificates"]),
        entropy=EntropyServiceStub(channels["entropy"]),
        execution=ExecutionServiceStub(channels["execution"]),
        signing=SigningServiceStub(channels["signing"]),
        webhooks=WebhooksServiceStub(channels["webhooks"]),
    )
    return qmumma(services, settings, Health(probes))


async def forget_changed_keys(events: Events, authentication: Authentication) -> None:
    """Hear of keys and teams that changed; after a gap in hearing, forget all keys."""

    async def changed(subject: str, _payload: bytes) -> None:
        _, kind, _, identity = subject.split(".")
        (authentication.drop_team if kind == "team" else authentication.drop)(identity)

    async def told(_subject: str, _payload: bytes) -> None:
        authentication.heard()

    events.on_reconnect(authentication.drop_all)
    for subject in KEYS.subjects:
        await events.subscribe(subject, changed)
    await events.subscribe(KEYS_TOLD, told)


async def give_back_tokens(events: Events, leases: Leases) -> None:
    """Hear when another edge wants tokens that are held here."""

    async def recalled(subject: str, _payload: bytes) -> None:
        await leases.recall(subject.rpartition(".")[2])

    async def told(_subject: str, _payload: bytes) -> None:
        leases.heard()

    await events.subscribe(RECALLS, recalled)
    await events.subscribe(KEYS_TOLD, told)


def _health_probe(channel: MeshChannel) -> Callable[[], Awaitable[None]]:
    async def probe() -> None:
        check = channel.connection().channel.unary_unary(
            "/grpc.health.v1.Health/Check",
            health_pb2.HealthCheckRequest.SerializeToString,
            health_pb2.HealthCheckResponse.FromString,
        )
        answer = await check(health_pb2.HealthCheckRequest(), timeout=PROBE_SECONDS)
        if answer.status != health_pb2.HealthCheckResponse.SERVING:
            message = "not serving"
            raise Unavailable(message, reason="NOT_SERVING")

    return probe


def _plans_probe(plans: Plans) -> Callable[[], Awaitable[None]]:
    async def probe() -> None:
        if not plans.known:
            await plans.refresh()

    return probe


PART = Part("edge", EdgeConfig, wire)

if __name__ == "__main__":
    run(PART)
