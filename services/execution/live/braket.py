"""Amazon Braket, over boto3: tasks by the Braket API, results from S3."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable
from functools import cache, partial
from typing import TYPE_CHECKING, Any, TypeVar

from services.execution.live.counts import checked, from_bits
from services.execution.live.dialects import BRAKET_NAMES
from services.execution.live.errors import Busy, NotAdmitted, OutcomeUnknown, ProviderError, Refused
from services.execution.live.provider import DEADLINE_SECONDS, Condition, ProviderJobId, Result, Stage, Status
from services.execution.live.target import Compiled, Target

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable, Mapping

    from services.execution.live.credentials import Aws

R = TypeVar("R")

PROGRAM = "braket.ir.openqasm.program"
_THROTTLED = frozenset({"ThrottlingException", "TooManyRequestsException", "DeviceOfflineException", "SlowDown"})
_NOT_ADMITTED = frozenset(
    {
        "AccessDenied",
        "AccessDeniedException",
        "ExpiredTokenException",
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)
_STAGES = {
    "CREATED": Stage.QUEUED,
    "QUEUED": Stage.QUEUED,
    "RUNNING": Stage.RUNNING,
    "CANCELLING": Stage.RUNNING,
    "COMPLETED": Stage.DONE,
    "FAILED": Stage.FAILED,
    "CANCELLED": Stage.CANCELLED,
}


class BraketProvider:
    """One of the devices on Amazon Braket."""

    idempotent = True

    def __init__(self, credentials: Aws, device: str, *, endpoint_url: str | None = None) -> None:
        """Reach `device`, an ARN; its region is the device's, or the account's for a simulator."""
        self._credentials = credentials
        self._device = device
        self._region = device.split(":")[3] if device.count(":") > 3 else ""  # noqa: PLR2004 - arn:aws:braket:<region>:
        self._endpoint_url = endpoint_url
        self._clients: dict[str, Any] = {}
        self._lock = threading.Lock()

    async def target(self) -> Target:
        """The gates that the device's compiler takes anywhere; it places them itself."""
        device = await self._call(lambda: self._client("braket").get_device(deviceArn=self._device))
        if device["deviceStatus"] != "ONLINE":
            raise Busy(f"{device['deviceName']} is {device['deviceStatus'].lower()} now")
        capabilities = json.loads(device["deviceCapabilities"])
        operations = {name.lower() for name in capabilities["action"][PROGRAM]["supportedOperations"]}
        service = capabilities.get("service", {})
        return Target(
            device=str(device["deviceName"]),
            dialect="braket",
            qubit_count=int(capabilities["paradigm"]["qubitCount"]),
            simulated=device["deviceType"] == "SIMULATOR",
            gates={name: () for name, theirs in BRAKET_NAMES.items() if theirs in operations},
            calibration_id=f"{device['deviceName']}/{service['updatedAt']}"[:64] if service.get("updatedAt") else None,
        )

    async def submit(self, circuit: Compiled, tag: str) -> ProviderJobId:
        """Create a task; Braket answers a second one with the same client token with the first."""
        header = {"name": PROGRAM, "version": "1"}
        task = await self._call(
            lambda: self._client("braket").create_quantum_task(
                clientToken=tag,
                deviceArn=self._device,
                shots=circuit.shots,
                action=json.dumps({"braketSchemaHeader": header, "source": circuit.text}),
                outputS3Bucket=self._credentials.s3_bucket,
                outputS3KeyPrefix=f"qmumma/{tag}",
                tags={"qmumma_tag": tag},
            ),
            safe=False,
        )
        return ProviderJobId(str(task["quantumTaskArn"]))

    async def find(self, tag: str, since: dt.datetime) -> ProviderJobId | None:
        """Look through the device's tasks since then."""
        filters = [
            {"name": "deviceArn", "operator": "EQUAL", "values": [self._device]},
            {"name": "createdAt", "operator": "GTE", "values": [since.strftime("%Y-%m-%dT%H:%M:%SZ")]},
        ]
        more: dict[str, str] = {}
        while True:
            page = await self._call(partial(self._search, filters, more))
            for task in page["quantumTasks"]:
                if task.get("tags", {}).get("qmumma_tag") == tag:
                    return ProviderJobId(str(task["quantumTaskArn"]))
            if not page.get("nextToken"):
                return None
            more = {"nextToken": page["nextToken"]}

    async def poll(self, job_id: ProviderJobId) -> Status:
        """Ask for the task, with its place in the queue."""
        task = await self._task(job_id)
        position = (task.get("queueInfo") or {}).get("position", "")
        return Status(
            _STAGES.get(task["status"], Stage.QUEUED),
            queue_position=int(position) if str(position).isdecimal() else None,
            detail=str(task.get("failureReason", ""))[:300],
        )

    async def cancel(self, job_id: ProviderJobId) -> None:
        """Cancel, unless it has ended."""
        if not (await self.poll(job_id)).stage.ended:
            await self._call(
                lambda: self._client("braket").cancel_quantum_task(
                    quantumTaskArn=job_id, clientToken=job_id.rpartition("/")[2]
                )
            )

    async def result(self, job_id: ProviderJobId, circuit: Compiled) -> Result:
        """Counts from the task's `results.json`: single shots, or shares where the device gives no more."""
        task = await self._task(job_id)
        key = f"{task['outputS3Directory']}/results.json"
        document = json.loads(await self._call(lambda: self._object(task["outputS3Bucket"], key)))
        place = {qubit: index for index, qubit in enumerate(document["measuredQubits"])}
        if document.get("measurements"):
            outcomes = [(_shot(bits, place), 1) for bits in document["measurements"]]
        else:
            shares = document["measurementProbabilities"].items()
            outcomes = [(_shot(bits, place), round(float(share) * circuit.shots)) for bits, share in shares]
        return Result(checked(circuit, from_bits(circuit, outcomes)))

    async def condition(self) -> Condition:
        """Ask for the device: its status, and the tasks of usual priority in its queue."""
        device = await self._call(lambda: self._client("braket").get_device(deviceArn=self._device))
        online = device["deviceStatus"] == "ONLINE"
        reason = "" if online else f"Amazon Braket says that it is {device['deviceStatus'].lower()}"
        return Condition(online, reason, queue_depth=_waiting(device.get("deviceQueueInfo", ())))

    async def check(self) -> str:
        """Ask AWS whose key it is, and whether it may see the bucket."""
        identity = await self._call(lambda: self._client("sts").get_caller_identity())
        await self._call(lambda: self._client("s3").head_bucket(Bucket=self._credentials.s3_bucket))
        return f"AWS knows the key of account {identity['Account']}, and the bucket is there"

    async def close(self) -> None:
        """Close the connections."""
        for client in self._clients.values():
            client.close()

    def _client(self, service: str) -> Any:
        """A client of one of Amazon's services; making one takes a while, and so has to happen in a thread."""
        import boto3  # noqa: PLC0415 - only a worker of live jobs pays for it
        from botocore.config import Config  # noqa: PLC0415
        from botocore.session import Session  # noqa: PLC0415

        with self._lock:
            if service not in self._clients:
                mine = self._credentials
                config = Config(
                    region_name=self._region or mine.region,
                    connect_timeout=DEADLINE_SECONDS / 3,
                    read_timeout=DEADLINE_SECONDS,
                    retries={"total_max_attempts": 1},
                    s3={"addressing_style": "path"},
                )
                core = Session()
                core.register_component("data_loader", _loader())
                session = boto3.Session(mine.access_key_id, mine.secret_access_key, botocore_session=core)
                self._clients[service] = session.client(service, config=config, endpoint_url=self._endpoint_url)
            return self._clients[service]

    def _search(self, filters: list[dict[str, Any]], more: dict[str, str]) -> Any:
        return self._client("braket").search_quantum_tasks(filters=filters, maxResults=100, **more)

    def _object(self, bucket: str, key: str) -> bytes:
        body: bytes = self._client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
        return body

    async def _task(self, job_id: ProviderJobId) -> Any:
        return await self._call(
            lambda: self._client("braket").get_quantum_task(
                quantumTaskArn=job_id, additionalAttributeNames=["QueueInfo"]
            )
        )

    async def _call(self, call: Callable[[], R], *, safe: bool = True) -> R:
        return await asyncio.to_thread(_named, call, safe=safe)


@cache
def _loader() -> Any:
    """The descriptions of Amazon's services, read once for all accounts: half a second."""
    from botocore.loaders import create_loader  # noqa: PLC0415 - imported with boto3

    return create_loader()


def _shot(bits: Any, place: dict[int, int]) -> Callable[[int], int]:
    return lambda qubit: int(bits[place[qubit]])


def _named(call: Callable[[], R], *, safe: bool) -> R:
    """The answer of a call of boto3's, its errors named by what they mean for us."""
    from botocore import exceptions as aws  # noqa: PLC0415 - imported with boto3
    from botocore.parsers import ResponseParserError  # noqa: PLC0415

    try:
        return call()
    except aws.ClientError as error:
        raise _meaning(error.response, safe=safe) from None
    except (aws.EndpointConnectionError, aws.ConnectTimeoutError, aws.ProxyConnectionError) as error:
        raise Busy(f"AWS cannot be reached ({type(error).__name__})") from None
    except (aws.HTTPClientError, ResponseParserError) as error:
        said = f"AWS did not answer ({type(error).__name__})"
        raise (Busy(said) if safe else OutcomeUnknown(said)) from None
    except aws.BotoCoreError as error:  # our own parameters were refused before anything was sent
        raise Refused(f"AWS's client refused the call ({type(error).__name__})") from None


def _meaning(response: Any, *, safe: bool) -> ProviderError:
    code = response.get("Error", {}).get("Code", "")
    metadata = response.get("ResponseMetadata", {})
    status = metadata.get("HTTPStatusCode", 0)
    said = f"AWS answered {status} {code}: {response.get('Error', {}).get('Message', '')}"[:300]
    if code in _THROTTLED or status == 429:  # noqa: PLR2004 - too many requests
        after = metadata.get("HTTPHeaders", {}).get("retry-after", "")
        return Busy(said, float(after) if after.isdecimal() else 0.0)
    if status >= 500:  # noqa: PLR2004 - the server's fault
        return Busy(said) if safe else OutcomeUnknown(said)
    if code in _NOT_ADMITTED or status in (401, 403):
        return NotAdmitted(f"{said}: the credentials are not accepted, or do not allow this")
    return Refused(said)


def _waiting(queues: Iterable[Mapping[str, str]]) -> int | None:
    """The size of the queue of tasks, which may be told as ">4000"; None where it is not told."""
    for queue in queues:
        if queue.get("queue") == "QUANTUM_TASKS_QUEUE" and queue.get("queuePriority") != "Priority":
            size = queue.get("queueSize", "").lstrip(">")
            return int(size) if size.isdecimal() else None
    return None
