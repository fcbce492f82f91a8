import hashlib
import io
import uuid
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.exceptions import EndpointConnectionError
from botocore.response import StreamingBody
from botocore.stub import ANY, Stubber

from mesh.errors import NotFound, Unavailable
from services.execution.config import NatsConfig, ResultsConfig, S3Config
from services.execution.results.result_store import ResultKey
from services.execution.results.s3_results import S3Results, s3_client

DATA = b'{"counts":{}}' * 50_000
KEY = ResultKey(uuid.UUID(int=7), hashlib.sha256(DATA).hexdigest())
PLACE = {"Bucket": "results", "Key": f"qm/{KEY.job_id.hex}/{KEY.sha256}"}


@pytest.fixture
def config(tmp_path: Path) -> S3Config:
    (tmp_path / "id").write_text("AKIA\n")
    (tmp_path / "secret").write_text("sesame\n")
    return S3Config(
        bucket="results",
        prefix="qm/",
        endpoint_url="http://minio.test:9000",
        access_key_file=tmp_path / "id",
        secret_file=tmp_path / "secret",
    )


@pytest.fixture
def stub(config: S3Config) -> Iterator[tuple[S3Results, Stubber]]:
    client = s3_client(config)
    with Stubber(client) as stubber:
        yield S3Results(client, config), stubber
        stubber.assert_no_pending_responses()


async def test_a_result_is_put_under_its_job_and_digest(stub: tuple[S3Results, Stubber]):
    results, stubber = stub
    stubber.add_response("put_object", {}, {**PLACE, "Body": DATA, "ContentType": "application/json"})
    await results.put(KEY, DATA)


async def test_a_result_comes_back_in_pieces(stub: tuple[S3Results, Stubber]):
    results, stubber = stub
    stubber.add_response("get_object", {"Body": StreamingBody(io.BytesIO(DATA), len(DATA))}, PLACE)
    pieces = [piece async for piece in results.get(KEY)]
    assert (b"".join(pieces), len(pieces)) == (DATA, 3)


async def test_what_is_not_there_is_gone(stub: tuple[S3Results, Stubber]):
    results, stubber = stub
    stubber.add_client_error("get_object", "NoSuchKey", http_status_code=404, expected_params=PLACE)
    with pytest.raises(NotFound) as gone:
        [piece async for piece in results.get(KEY)]
    assert gone.value.reason == "RESULT_GONE"


@pytest.mark.parametrize("code", ["AccessDenied", "NoSuchBucket", "SlowDown", "InternalError"])
async def test_a_bucket_that_refuses_is_down_and_tells_nothing_to_the_public(
    stub: tuple[S3Results, Stubber], code: str
):
    results, stubber = stub
    stubber.add_client_error(
        "put_object", code, "arn:aws:secret", expected_params={**PLACE, "Body": ANY, "ContentType": ANY}
    )
    with pytest.raises(Unavailable) as down:
        await results.put(KEY, DATA)
    assert (down.value.reason, "secret" in down.value.message) == ("RESULT_STORE_UNAVAILABLE", False)


async def test_a_bucket_that_cannot_be_reached_is_down(config: S3Config, monkeypatch: pytest.MonkeyPatch):
    client = s3_client(config)

    def fail(**_: object) -> None:
        raise EndpointConnectionError(endpoint_url="http://minio.test:9000")

    monkeypatch.setattr(client, "put_object", fail)
    with pytest.raises(Unavailable):
        await S3Results(client, config).put(KEY, DATA)


def test_the_request_is_signed_and_names_the_bucket_in_its_path(config: S3Config):
    client = s3_client(config)
    seen: list[str] = []
    client.meta.events.register("before-send.s3", lambda request, **_: seen.append(request.url) or _refused(request))
    with pytest.raises(client.exceptions.ClientError):
        client.get_object(**PLACE)
    assert seen == [f"http://minio.test:9000/results/{PLACE['Key']}"]


class Nothing:
    """The body of an answer."""

    def stream(self) -> Iterator[bytes]:
        return iter(())


def _refused(request: AWSPreparedRequest) -> AWSResponse:
    return AWSResponse(request.url, 403, {}, Nothing())


def test_a_configuration_names_its_store():
    told = msgspec.toml.decode(b'[results]\nstore = "s3"\nbucket = "my-bucket"', type=dict[str, ResultsConfig])
    assert told["results"] == S3Config(bucket="my-bucket")
    assert msgspec.toml.decode(b'[results]\nstore = "nats"', type=dict[str, ResultsConfig])["results"] == NatsConfig()
    with pytest.raises(msgspec.ValidationError):
        msgspec.toml.decode(
            b'[results]\nstore = "s3"\nbucket = "my-bucket"\nsecret = "x"', type=dict[str, ResultsConfig]
        )
