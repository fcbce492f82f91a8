"""kill -9 of each process while jobs run: nothing accepted is lost, nobody is charged twice, no hold stays open."""

from __future__ import annotations

import asyncio
import json
import tempfile
import uuid
from collections.abc import AsyncIterator, Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as otlp
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc
from qm.billing.v1 import billing_pb2
from qm.billing.v1.billing_pb2_grpc import BillingServiceStub
from qmumma.remote import fetch
from qmumma.tiles import WIDTH, read_entries

from deploy.local.mesh import LocalMesh
from deploy.local.programs import Program, every_program
from tests.live import BELL_JOB, Api, Team, operator_channel, without_own_jobs

JOBS = 200
PRICE_MICROS = 100_000
VICTIMS = ["worker", "edge", "accounts", "billing", "signing", "routing", "execution", "nats", "postgres"]
_LAYER = "h q; " + "".join(f"cx q[{n}],q[{n + 1}]; rz(0.3) q[{n}]; " for n in range(21))
LONG_CIRCUIT = f'OPENQASM 2.0; include "qelib1.inc"; qreg q[22]; creg c[22]; {_LAYER * 4} measure q -> c;'
LONG_JOB = {**BELL_JOB, "parameters": {"qasm": LONG_CIRCUIT, "engine": "aer"}}
"""Seconds of a worker's time, at the price of a Bell pair."""
CLIENTS = 8
SWEEP_PATIENCE = 90.0  # seconds until the sweeper has closed what a killed intake had held


def parts(*, apart: bool) -> list[Program]:
    """The parts of a mesh that runs no jobs of its own.

    Its sweeper looks sooner at what a killed intake left: no submission takes that long.
    """
    soon = {"hold_seconds": 25, "sweep_seconds": 1}
    programs = without_own_jobs(every_program(workers=1, apart=apart))
    return [replace(each, told={**each.told, **soon}) if each.name == "execution" else each for each in programs]


class Collector(trace_service_pb2_grpc.TraceServiceServicer):
    """Keeps the spans that it is sent: trace, service, name, and the job that it names."""

    def __init__(self) -> None:
        self.spans: list[tuple[str, str, str, str]] = []

    async def Export(self, request: Any, _context: Any) -> Any:  # noqa: N802 - as in its proto
        for resource in request.resource_spans:
            service = next(
                each.value.string_value for each in resource.resource.attributes if each.key == "service.name"
            )
            for span in (span for scope in resource.scope_spans for span in scope.spans):
                job = [each.value.string_value for each in span.attributes if each.key == "job_id"]
                self.spans.append((span.trace_id.hex(), service, span.name.rpartition("/")[2], *job, "")[:4])
        return otlp.ExportTraceServiceResponse()


@pytest.fixture(scope="module")
async def collector() -> AsyncIterator[tuple[Collector, str]]:
    collector, server = Collector(), grpc.aio.server()
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(collector, server)  # type: ignore[no-untyped-call]
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield collector, f"http://127.0.0.1:{port}"
    await server.stop(None)


@pytest.fixture(scope="module")
async def mesh(collector: tuple[Collector, str]) -> AsyncIterator[LocalMesh]:
    told = {"telemetry": {"otlp_endpoint": collector[1]}}
    with tempfile.TemporaryDirectory(prefix="qmumma-chaos-") as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("OTEL_BSP_SCHEDULE_DELAY", "100")  # ms: little is lost with a process that is killed
        Path(folder).chmod(0o711)
        programs = [replace(each, told={**each.told, **told}) for each in parts(apart=True)]
        async with LocalMesh(Path(folder) / "state", port=0, base_port=0, programs=programs) as mesh:
            yield mesh


@pytest.fixture
async def mesh_together() -> AsyncIterator[LocalMesh]:
    """As one machine runs it: the services and the worker in one process."""
    with tempfile.TemporaryDirectory(prefix="qmumma-chaos-") as folder:
        Path(folder).chmod(0o711)
        programs = parts(apart=False)
        async with LocalMesh(Path(folder) / "state", port=0, base_port=0, programs=programs) as mesh:
            yield mesh


async def submit_stubbornly(
    api: Api, keys: asyncio.Queue[str], accepted: dict[str, str], faults: list[str], trace: dict[str, str]
) -> None:
    """Submit a job for each key, as a client with retries does: the same key until there is an answer."""
    while not keys.empty():
        key = keys.get_nowait()
        while key not in accepted:
            try:
                response = await api.submit(BELL_JOB, **trace, **{"Idempotency-Key": key})
            except httpx.TransportError as error:
                faults.append(type(error).__name__)
                await asyncio.sleep(0.05)
                continue
            if response.status_code == 202:
                accepted[key] = response.json()["job_id"]
            else:
                assert response.status_code in {500, 503}, response.text
                faults.append(response.text)
                await asyncio.sleep(0.05)


async def begun(api: Api, body: dict[str, Any], **headers: str) -> str:
    """Submit a job, and answer its id once it runs."""
    accepted = await api.submit(body, **headers)
    assert accepted.status_code == 202, accepted.text
    job_id = str(accepted.json()["job_id"])
    while (await api.get(f"/v1/jobs/{job_id}?wait=1")).json()["status"] == "queued":
        pass
    return job_id


async def ended(api: Api, job_id: str) -> str:
    while True:
        try:
            return str((await api.finished(job_id, patience=90))["status"])
        except (httpx.TransportError, KeyError, ValueError):
            await asyncio.sleep(0.1)


async def logged_results(api: Api) -> int:
    """How many leaves of the log are of results."""
    size = int((await api.get("/v1/log/checkpoint")).text.splitlines()[1])

    def read() -> list[bytes]:
        look = partial(fetch, str(api.http.base_url))
        bundles = [read_entries(look, first // WIDTH, min(WIDTH, size - first)) for first in range(0, size, WIDTH)]
        return [entry for bundle in bundles for entry in bundle]

    return sum(json.loads(entry)["type"] == "qmumma.result/v1" for entry in await asyncio.to_thread(read))


@pytest.mark.timeout(300)
async def test_all_jobs_complete_once_when_each_process_is_killed_in_turn(
    mesh: LocalMesh, collector: tuple[Collector, str]
) -> None:
    trace = uuid.uuid4().hex
    job_id = await assert_jobs_survive(mesh, VICTIMS, traceparent=f"00-{trace}-{'b' * 16}-01")
    await assert_is_one_trace(mesh, collector[0], trace, job_id)


@pytest.mark.timeout(300)
async def test_all_jobs_complete_once_when_the_process_of_all_services_is_killed(mesh_together: LocalMesh) -> None:
    assert mesh_together.pid("billing") == mesh_together.pid("worker") == mesh_together.pid("services")
    await assert_jobs_survive(mesh_together, ["services", "edge", "services"])


@pytest.mark.soak
@pytest.mark.timeout(300)
@pytest.mark.parametrize("victim", VICTIMS)
async def test_all_jobs_complete_once_when_one_process_is_killed(mesh: LocalMesh, victim: str) -> None:
    await assert_jobs_survive(mesh, [victim])


async def assert_jobs_survive(mesh: LocalMesh, victims: list[str], **trace: str) -> str:
    """Run JOBS jobs, of one trace, and kill the victims meanwhile, the next one when the last is back.

    One of the jobs is long, and in the middle of its run when the first victim falls; answers its id.
    """
    team = await Team.create(mesh, "enterprise")
    api = Api(mesh, team.secrets["live"])
    results_before = await logged_results(api)
    keys: asyncio.Queue[str] = asyncio.Queue()
    for _ in range(JOBS - 1):
        keys.put_nowait(uuid.uuid4().hex)
    long_job = await begun(api, LONG_JOB, **trace)
    accepted = {"long": long_job}
    faults: list[str] = []
    clients = [asyncio.create_task(submit_stubbornly(api, keys, accepted, faults, trace)) for _ in range(CLIENTS)]
    for number, victim in enumerate(victims, start=1):
        while len(accepted) < JOBS * number // (len(victims) + 2):
            await asyncio.sleep(0.005)
        old = mesh.kill(victim)
        await mesh.ready(victim)
        assert mesh.pid(victim) != old
    await asyncio.gather(*clients)
    statuses = await asyncio.gather(*(ended(api, job_id) for job_id in accepted.values()))

    assert len(set(accepted.values())) == JOBS
    assert set(statuses) == {"completed"}, faults
    assert await logged_results(api) - results_before == JOBS
    await assert_books_are_right(mesh, team, accepted.values())
    await api.close()
    return long_job


async def assert_is_one_trace(mesh: LocalMesh, collector: Collector, trace: str, public_id: str) -> None:
    """What was done for the jobs of a trace is told under it by everyone; also what a second worker did for one."""
    job_id = str(uuid.UUID(public_id.removeprefix("qm_job_")))
    expected = {
        ("edge", "submitJob"),
        ("execution", "SubmitJob"),
        ("routing", "ChooseBackend"),
        ("billing", "HoldFunds"),
        ("execution", "job"),
        ("execution", "run"),
        ("signing", "SignRecord"),
        ("billing", "SettleHold"),
    }
    patience = asyncio.get_running_loop().time() + 10

    def missing() -> set[tuple[str, str]]:
        return expected - {(who.removeprefix("qmumma-"), what) for at, who, what, _ in collector.spans if at == trace}

    while missing() and asyncio.get_running_loop().time() < patience:
        await asyncio.sleep(0.1)
    assert missing() == set()
    assert {at for at, _, _, job in collector.spans if job == job_id} <= {trace}
    told = {name: mesh.layout.log(name).read_text().splitlines() for name in ("execution", "worker")}
    lines = {name: [json.loads(line) for line in log if f'"{job_id}"' in line] for name, log in told.items()}
    assert [(line["event"], line["trace_id"]) for line in lines["execution"]] == [("job_accepted", trace)]
    assert lines["worker"][-1]["event"] == "job_ended"
    ids = {(line["trace_id"], line["request_id"]) for line in lines["worker"]}
    assert ids == {(trace, lines["execution"][0]["request_id"])}


async def assert_books_are_right(mesh: LocalMesh, team: Team, public_ids: Iterable[str]) -> None:
    async with operator_channel(mesh, "billing") as channel:
        billing = BillingServiceStub(channel)
        for public_id in public_ids:
            job_id = str(uuid.UUID(public_id.removeprefix("qm_job_")))
            hold = (await billing.GetHold(billing_pb2.GetHoldRequest(team_id=team.team_id, job_id=job_id))).hold
            assert hold.state == billing_pb2.HOLD_STATE_SETTLED
            assert hold.amount.micros == PRICE_MICROS
        patience = asyncio.get_running_loop().time() + SWEEP_PATIENCE
        laws = await billing.CheckLedger(billing_pb2.CheckLedgerRequest())
        while laws.open_hold_count and asyncio.get_running_loop().time() < patience:
            await asyncio.sleep(0.5)
            laws = await billing.CheckLedger(billing_pb2.CheckLedgerRequest())
        assert laws.sum.micros == 0
        assert laws.open_hold_count == 0
        assert list(laws.violations) == []
