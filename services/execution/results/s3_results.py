"""Results in a bucket of S3, or of what speaks its language (MinIO, Ceph, R2)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any, TypeVar

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError

from mesh.errors import Unavailable
from mesh.telemetry import log
from services.execution.config import S3Config
from services.execution.results.result_store import ResultKey, result_gone

_PIECE_BYTES = 256 * 1024
_GONE = {"NoSuchKey", "404"}

R = TypeVar("R")


def s3_client(config: S3Config) -> Any:  # noqa: ANN401 - boto3 makes its classes at run time
    """A client for the bucket: path-style, so that any host name can serve it, and patient but not endless."""
    keys = [file.read_text("utf-8").strip() if file else None for file in (config.access_key_file, config.secret_file)]
    return boto3.client(
        "s3",
        endpoint_url=config.endpoint_url,
        region_name=config.region,
        aws_access_key_id=keys[0],
        aws_secret_access_key=keys[1],
        config=Config(
            s3={"addressing_style": "path"},
            connect_timeout=5,
            read_timeout=20,
            retries={"mode": "standard", "total_max_attempts": 3},
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        ),
    )


class S3Results:
    """Results as objects `<prefix><job id>/<digest>`; how long they are kept is the bucket's lifecycle rule."""

    def __init__(self, client: Any, config: S3Config) -> None:  # noqa: ANN401 - boto3 makes its classes at run time
        """Store through `client` into the bucket of `config`."""
        self._client = client
        self._bucket = config.bucket
        self._prefix = config.prefix

    async def put(self, key: ResultKey, data: bytes) -> None:
        """Store a result; see `ResultStore.put`."""
        place = self._place(key)
        await _answer(lambda: self._client.put_object(**place, Body=data, ContentType="application/json"))

    async def get(self, key: ResultKey) -> AsyncIterator[bytes]:
        """The pieces of a result; see `ResultStore.get`."""
        found = await _answer(lambda: self._client.get_object(**self._place(key)))
        body = found["Body"]
        try:
            while piece := await _answer(lambda: body.read(_PIECE_BYTES)):
                yield piece
        finally:
            body.close()

    def _place(self, key: ResultKey) -> dict[str, str]:
        return {"Bucket": self._bucket, "Key": f"{self._prefix}{key}"}


async def _answer(call: Callable[[], R]) -> R:
    """What a call gives, made in a thread; raises NotFound or Unavailable."""
    try:
        return await asyncio.to_thread(call)
    except (ClientError, BotoCoreError, HTTPClientError) as error:
        if isinstance(error, ClientError) and error.response.get("Error", {}).get("Code") in _GONE:
            raise result_gone() from None
        log.warning("result_store_failed", error=str(error))
        message = "The store of results cannot be reached at the moment; try again."
        raise Unavailable(message, reason="RESULT_STORE_UNAVAILABLE") from error
