"""The store that a configuration names."""

from __future__ import annotations

from mesh.events import Events
from services.execution.config import ResultsConfig, S3Config
from services.execution.results.nats_results import NatsResults
from services.execution.results.result_store import ResultStore


def open_results(config: ResultsConfig, events: Events) -> ResultStore:
    """The store of large results; boto3 is imported only where it is asked for."""
    if isinstance(config, S3Config):
        from services.execution.results.s3_results import S3Results, s3_client  # noqa: PLC0415 - half a second

        return S3Results(s3_client(config), config)
    return NatsResults(events)
