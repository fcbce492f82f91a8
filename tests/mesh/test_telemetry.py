"""One trace over several services, metrics that count, and log lines that say which request they belong to."""
# ruff: noqa: N802 - messages made at run time have no types; handlers are named as their RPCs

from __future__ import annotations

import asyncio
import io
import json
import logging
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
import structlog
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as otlp
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc
from prometheus_client import REGISTRY

from mesh.call import Call, serving
from mesh.config import TelemetryConfig
from mesh.errors import DeadlineExceeded, NotFound, PermissionDenied
from mesh.telemetry import Telemetry, configure_logging
from tests.mesh.proving import EchoRequest, Mesh, Number, Proving, path, until

TRACE, PARENT = "a" * 32, "b" * 16


class Sink(trace_service_pb2_grpc.TraceServiceServicer):
    """A collector that keeps what it is sent, by service."""

    def __init__(self) -> None:
        self.spans: dict[str, list[Any]] = {}

    async def Export(self, request: Any, _context: Any) -> Any:
        for resource in request.resource_spans:
            name = next(a.value.string_value for a in resource.resource.attributes if a.key == "service.name")
            for scope in resource.scope_spans:
                self.spans.setdefault(name, []).extend(scope.spans)
        return otlp.ExportTraceServiceResponse()


@pytest.fixture
async def collector() -> AsyncIterator[tuple[Sink, TelemetryConfig]]:
    sink, server = Sink(), grpc.aio.server()
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(sink, server)  # type: ignore[no-untyped-call]
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield sink, TelemetryConfig(otlp_endpoint=f"http://127.0.0.1:{port}")
    await server.stop(None)


async def test_a_call_through_two_services_is_one_trace(mesh: Mesh, collector: tuple[Sink, TelemetryConfig]) -> None:
    sink, config = collector
    first, last = Telemetry.start("first", config), Telemetry.start("last", config)
    further = mesh.stub((await mesh.serve(telemetry=last)).port, "billing")

    class Relay(Proving):
        async def Echo(self, request: Any, _call: Call) -> Any:
            _ = [number async for number in further.Count(Number(number=1))]
            return await further.Echo(request)

    stub = mesh.stub((await mesh.serve(Relay(), name="edge", telemetry=first)).port)
    with serving(Call("public", "req_7", traceparent=f"00-{TRACE}-{PARENT}-01")):
        await stub.Echo(EchoRequest())
    await asyncio.gather(first.close(), last.close())

    (top,) = sink.spans["qmumma-first"]
    below = sink.spans["qmumma-last"]
    assert {span.trace_id.hex() for span in (top, *below)} == {TRACE}
    assert top.parent_span_id.hex() == PARENT
    assert [span.parent_span_id for span in below] == [top.span_id] * 2
    assert [span.name for span in (top, *below)] == [path("Echo"), path("Count"), path("Echo")]
    callers = [a.value.string_value for span in (top, *below) for a in span.attributes if a.key == "qmumma.caller"]
    assert callers == ["edge", "billing", "billing"]


async def test_work_that_nobody_waits_for_is_a_part_of_the_request_that_asked_for_it(
    mesh: Mesh, collector: tuple[Sink, TelemetryConfig]
) -> None:
    sink, config = collector
    worker, other = Telemetry.start("worker", config), Telemetry.start("other", config)
    stub = mesh.stub((await mesh.serve(telemetry=other)).port)
    with worker.work("job", Call("execution", "req_7", traceparent=f"00-{TRACE}-{PARENT}-01"), job_id="17"):
        with worker.work("run"):
            pass
        assert (await stub.Echo(EchoRequest())).request_id == "req_7"
    await asyncio.gather(worker.close(), other.close())

    run, job = sink.spans["qmumma-worker"]
    (echo,) = sink.spans["qmumma-other"]
    assert {span.trace_id.hex() for span in (run, job, echo)} == {TRACE}
    assert (job.name, job.parent_span_id.hex()) == ("job", PARENT)
    assert (run.name, run.parent_span_id, echo.parent_span_id) == ("run", job.span_id, job.span_id)
    assert [(a.key, a.value.string_value) for a in job.attributes] == [("job_id", "17")]


async def test_a_failed_call_marks_its_span(mesh: Mesh, collector: tuple[Sink, TelemetryConfig]) -> None:
    sink, config = collector
    telemetry = Telemetry.start("billing", config)

    class Empty(Proving):
        async def Echo(self, _request: Any, _call: Call) -> Any:
            raise NotFound("no such job", reason="JOB_NOT_FOUND")

    with pytest.raises(NotFound):
        await mesh.stub((await mesh.serve(Empty(), telemetry=telemetry)).port).Echo(EchoRequest())
    await telemetry.close()
    (span,) = sink.spans["qmumma-billing"]
    assert "no such job" in span.status.message


async def test_a_collector_that_is_down_harms_no_call_and_delays_the_end_little(
    mesh: Mesh, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL, "opentelemetry")
    telemetry = Telemetry.start("billing", TelemetryConfig(otlp_endpoint="http://127.0.0.1:1"))
    stub = mesh.stub((await mesh.serve(telemetry=telemetry)).port)
    assert (await stub.Echo(EchoRequest(word="hello"))).word == "hello"
    started = time.monotonic()
    await telemetry.close()
    assert time.monotonic() - started < 4


def sample(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


async def test_calls_and_failures_are_counted_by_method(mesh: Mesh) -> None:
    class Failing(Proving):
        async def Sum(self, _requests: Any, _call: Call) -> Any:
            raise NotFound("no", reason="NO")

        async def Echo(self, request: Any, call: Call) -> Any:
            if request.word == "stuck":
                await asyncio.Event().wait()
            return await super().Echo(request, call)

    async def silence() -> AsyncIterator[Any]:
        await asyncio.Event().wait()
        yield

    def counted(status: str, name: str) -> float:
        return sample("rpc_server_errors_total", method=path(name), status=status)

    seconds, echo = "rpc_server_duration_seconds_count", path("Echo")
    before = (sample(seconds, method=echo), counted("NOT_FOUND", "Sum"), counted("DEADLINE_EXCEEDED", "Echo"))
    server = await mesh.serve(Failing())
    stub = mesh.stub(server.port)
    for _ in range(3):
        await stub.Echo(EchoRequest())
    with pytest.raises(NotFound):
        await stub.Sum(silence())
    with pytest.raises(DeadlineExceeded):
        await stub.Echo(EchoRequest(word="stuck"), timeout=0.1)
    await until(lambda: sample(seconds, method=echo) == before[0] + 4)
    assert counted("NOT_FOUND", "Sum") == before[1] + 1
    assert counted("DEADLINE_EXCEEDED", "Echo") == before[2] + 1


async def test_a_stranger_cannot_make_up_labels(mesh: Mesh) -> None:
    denied = {"method": "unknown", "status": "PERMISSION_DENIED"}
    before = sample("rpc_server_errors_total", **denied)
    raw: Any = mesh.channel((await mesh.serve()).port, "stranger").unary_unary("/made.up/Name")
    with pytest.raises(PermissionDenied):
        await raw(EchoRequest())
    assert sample("rpc_server_errors_total", **denied) == before + 1
    assert sample("rpc_server_errors_total", method="/made.up/Name", status="PERMISSION_DENIED") == 0


@pytest.fixture
def own_logging() -> Iterator[None]:
    """Logging is as it was before when the test is over."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    structlog.reset_defaults()
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.mark.usefixtures("own_logging")
def test_a_closed_tls_connection_is_no_line_of_the_log(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("billing", "info")
    logging.getLogger("asyncio").warning("returning true from eof_received() has no effect when using ssl")
    logging.getLogger("asyncio").warning("a real one")
    (line,) = map(json.loads, capsys.readouterr().err.splitlines())
    assert line["event"] == "a real one"


@pytest.mark.usefixtures("own_logging")
def test_a_line_that_cannot_be_written_is_lost_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    with Path("/dev/full").open("wb", buffering=0) as disk:
        full = io.TextIOWrapper(disk, write_through=True)
        with pytest.raises(OSError, match="No space left"):
            full.write("a line\n")
        monkeypatch.setattr("sys.stderr", full)
        configure_logging("billing", "info")
        structlog.get_logger().error("failed", exc_info=ZeroDivisionError())
        logging.getLogger("a.library").warning("from a library")
        monkeypatch.undo()


@pytest.mark.usefixtures("own_logging")
def test_every_line_of_the_log_is_json_with_service_request_and_trace(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("billing", "info")
    log = structlog.get_logger()
    log.debug("not this one")
    with serving(Call("edge", "req_7", traceparent=f"00-{TRACE}-{PARENT}-01")):
        log.info("held", amount=5)
        logging.getLogger("a.library").warning("from a library")
    log.error("failed", exc_info=ZeroDivisionError())
    held, library, failed = map(json.loads, capsys.readouterr().err.splitlines())
    assert (held["event"], held["amount"], held["level"], held["service"]) == ("held", 5, "info", "billing")
    for line in (held, library):
        assert (line["request_id"], line["trace_id"], line["service"]) == ("req_7", TRACE, "billing")
        assert line["timestamp"].endswith("Z")
    assert library["event"] == "from a library"
    assert "ZeroDivisionError" in failed["exception"]
    assert "request_id" not in failed
