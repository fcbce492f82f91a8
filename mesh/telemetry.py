"""Logs, spans and metrics, the same for every process.

Logs are JSON lines on standard error with the service, the request id and, where there is one, the trace id. Spans are
made only where a collector is configured; the trace context travels in any case. Metrics are Prometheus'.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from dataclasses import replace
from typing import TYPE_CHECKING, TextIO, cast

import structlog
from prometheus_client import Counter, Histogram, start_http_server

from mesh.call import Call, current, serving

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

    from mesh.config import TelemetryConfig

_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
EXPORT_SECONDS = 2
"""How long one export of spans may take, and so about how long a stop waits for a collector that is down."""
RPC_SECONDS = Histogram("rpc_server_duration_seconds", "Time to serve an RPC", ["method"], buckets=_BUCKETS)
RPC_ERRORS = Counter("rpc_server_errors", "RPCs that failed, by status", ["method", "status"])

log = structlog.get_logger()
_part: ContextVar[str] = ContextVar("qmumma_part", default="")
"""Which part of the process is at work, where it hosts several."""


def work_as(part: str) -> None:
    """Put the name of a part on the log lines of this task, and of those that it starts."""
    _part.set(part)


def _add_call(_logger: object, _name: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Put the request and trace ids of the current call on a log line."""
    call = current()
    if call is not None:
        if call.request_id:
            event.setdefault("request_id", call.request_id)
        if call.traceparent:
            event.setdefault("trace_id", call.traceparent[3:35])
    return event


def _is_worth_a_line(record: logging.LogRecord) -> bool:
    """Drop what asyncio says of every TLS connection that its peer closes where a protocol keeps half-open ones."""
    return not str(record.msg).startswith("returning true from eof_received()")


def configure_logging(service: str, level: str) -> None:
    """Make every log line of this process a JSON object on standard error."""
    numeric = logging.getLevelNamesMapping()[level.upper()]

    def add_service(_logger: object, _name: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        event["service"] = _part.get() or service
        return event

    shared: list[structlog.typing.Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        add_service,
        _add_call,
        structlog.processors.format_exc_info,
    ]
    renderer = structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(numeric),
        logger_factory=structlog.WriteLoggerFactory(cast("TextIO", _Lossy(sys.stderr))),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processor=renderer))
    logging.basicConfig(handlers=[handler], level=max(numeric, logging.WARNING), force=True)
    logging.getLogger("asyncio").addFilter(_is_worth_a_line)


class _Lossy:
    """A stream whose lines are lost where they cannot be written: a full disk must not end the work that logs."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        with contextlib.suppress(OSError):
            self._stream.write(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError):
            self._stream.flush()


@functools.cache
def _seconds(method: str) -> Histogram:
    """The histogram of one method, looked up by its label once."""
    return RPC_SECONDS.labels(method)


class Telemetry:
    """What a process measures of the calls that it serves."""

    def __init__(self, spans: TracerProvider | None = None, part: str = "") -> None:
        """Make spans with `spans`; none at all without it. `part` is named on the log lines of calls."""
        self._part = part
        self._spans = spans
        self._tracer = spans.get_tracer("qmumma.mesh") if spans is not None else None

    @classmethod
    def start(cls, service: str, config: TelemetryConfig) -> Telemetry:
        """Open the metrics port and the span exporter, where they are configured."""
        if config.metrics_listen:
            host, _, port = config.metrics_listen.rpartition(":")
            start_http_server(int(port), host)
        return cls(_otlp_spans(service, config.otlp_endpoint) if config.otlp_endpoint else None, service)

    async def close(self) -> None:
        """Send the spans that are left."""
        if self._spans is not None:
            await asyncio.to_thread(self._spans.shutdown)

    @contextmanager
    def serve(self, method: str, call: Call) -> Iterator[Call]:
        """Time one call, and make its span; yields the call as its own callees shall see it."""
        started = time.perf_counter()
        before = _part.set(self._part)
        try:
            if self._tracer is None:
                yield call
            else:
                with self._rpc_span(method, call) as traced:
                    yield traced
        finally:
            _part.reset(before)
            _seconds(method).observe(time.perf_counter() - started)

    @contextmanager
    def work(self, name: str, call: Call | None = None, **attributes: str) -> Iterator[None]:
        """Do what nobody waits for as a part of `call`, or of the current one: log lines, callees and spans are its."""
        call = call or current() or Call("")
        if self._tracer is None:
            with serving(call):
                yield
        else:
            with self._span(name, call, "INTERNAL", attributes) as traced, serving(traced):
                yield

    def _rpc_span(self, method: str, call: Call) -> AbstractContextManager[Call]:
        attributes = {"rpc.system": "grpc", "rpc.method": method, "qmumma.caller": call.caller}
        return self._span(method, call, "SERVER", attributes)

    @contextmanager
    def _span(self, name: str, call: Call, kind: str, attributes: Mapping[str, str]) -> Iterator[Call]:
        from opentelemetry import propagate, trace  # noqa: PLC0415 - 40 ms that only a traced process pays

        if self._tracer is None:
            yield call
            return
        parent = propagate.extract({"traceparent": call.traceparent}) if call.traceparent else None
        with self._tracer.start_as_current_span(name, context=parent, kind=trace.SpanKind[kind], attributes=attributes):
            carrier: dict[str, str] = {}
            propagate.inject(carrier)
            yield replace(call, traceparent=carrier.get("traceparent", ""))


def _otlp_spans(service: str, endpoint: str) -> TracerProvider:
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

    provider = TracerProvider(resource=Resource.create({"service.name": f"qmumma-{service}"}), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=endpoint, timeout=EXPORT_SECONDS)))
    return provider
