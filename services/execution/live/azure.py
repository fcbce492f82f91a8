"""Azure Quantum, over its REST API 2023-11-13-preview and blob storage, as an application of a tenant."""

from __future__ import annotations

import datetime as dt
import json
import uuid
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from services.execution.live.counts import checked, from_probabilities
from services.execution.live.dialects import IONQ_NAMES, QELIB1_NAMES
from services.execution.live.errors import Busy, NotAdmitted, Refused
from services.execution.live.provider import Condition, ProviderJobId, Result, Stage, Status
from services.execution.live.target import Compiled, Target
from services.execution.live.web import Web

if TYPE_CHECKING:
    from collections.abc import Callable

    from services.execution.live.credentials import Azure

LOGIN_URL = "https://login.microsoftonline.com"
MANAGEMENT_URL = "https://management.azure.com"
VERSION = {"api-version": "2023-11-13-preview"}
SCOPE = "https://quantum.microsoft.com/.default"
STORAGE = {"x-ms-version": "2021-08-06"}
MICROS = 1_000_000
_TAGS = uuid.UUID("6f1c7f2e-4f2b-5d0e-9a57-0c6f3c6b7a11")
"""Namespace of the job ids that are made from our tags: Azure lets the client name a job."""
_CLOSED = "Unavailable"
_EARLY = dt.timedelta(minutes=5)
"""Before its end a token is not used any more."""
_FORMATS = {
    "ionq": ("ionq.circuit", "ionq.quantum-results"),
    "quantinuum": ("honeywell.openqasm", "honeywell.quantum-results"),
}
"""What each maker's machines read and write."""
_STAGES = {
    "Waiting": Stage.QUEUED,
    "Queued": Stage.QUEUED,
    "Executing": Stage.RUNNING,
    "Finishing": Stage.RUNNING,
    "CancellationRequested": Stage.RUNNING,
    "Succeeded": Stage.DONE,
    "Completed": Stage.DONE,
    "Failed": Stage.FAILED,
    "Cancelled": Stage.CANCELLED,
}


class AzureProvider:
    """A target of an Azure Quantum workspace: IonQ's and Quantinuum's machines."""

    idempotent = True

    def __init__(
        self,
        credentials: Azure,
        device: str,
        qubit_count: int,
        clock: Callable[[], dt.datetime],
        *,
        login_url: str = LOGIN_URL,
        management_url: str = MANAGEMENT_URL,
    ) -> None:
        """Reach `device` ("quantinuum.qpu.h2-1"). Raises Refused for a target whose formats are not spoken here."""
        self._qubit_count = qubit_count
        self._credentials = credentials
        self._device = device
        self._maker = device.partition(".")[0]
        if self._maker not in _FORMATS:
            raise Refused(f"{device}: of Azure's targets those of IonQ and Quantinuum are spoken here")
        self._clock = clock
        self._login_url = login_url
        self._management_url = management_url
        self._web = Web("Azure", clock)
        self._tokens: dict[str, tuple[str, dt.datetime]] = {}
        self._base: str | None = None

    async def target(self) -> Target:
        """All qubits of both makers' machines are connected, and they place the gates."""
        await self._require_target()
        ionq = self._maker == "ionq"
        return Target(
            device=self._device,
            dialect="ionq" if ionq else "openqasm2",
            qubit_count=self._qubit_count,
            simulated="qpu" not in self._device,
            gates=dict.fromkeys(IONQ_NAMES if ionq else QELIB1_NAMES, ()),
        )

    async def submit(self, circuit: Compiled, tag: str) -> ProviderJobId:
        """Put the program into the workspace's storage, then the job under the id of its tag."""
        job_id, container = _job_id(tag), f"job-{_job_id(tag)}"
        container_uri = await self._sas(container)
        program_uri = _in_container(container_uri, "inputData")
        await self._web.call("PUT", f"{container_uri}&restype=container", headers=STORAGE, none_for=409)
        headers = {**STORAGE, "x-ms-blob-type": "BlockBlob"}
        await self._web.call("PUT", program_uri, content=self._program(circuit), headers=headers)
        body = {
            "id": job_id,
            "name": tag,
            "providerId": self._maker,
            "target": self._device,
            "containerUri": container_uri,
            "inputDataUri": program_uri,
            "inputDataFormat": f"{_FORMATS[self._maker][0]}.v1",
            "outputDataFormat": f"{_FORMATS[self._maker][1]}.v1",
            "inputParams": {"shots": circuit.shots, "count": circuit.shots},
            "metadata": {"qmumma_tag": tag},
        }
        await self._call("PUT", f"/jobs/{job_id}", safe=False, body=body)
        return job_id

    async def find(self, tag: str, since: dt.datetime) -> ProviderJobId | None:
        """The job of this id, where there is one; `since` is not needed for that."""
        del since
        return _job_id(tag) if await self._call("GET", f"/jobs/{_job_id(tag)}", missing=True) else None

    async def poll(self, job_id: ProviderJobId) -> Status:
        """Ask for the job."""
        job = await self._call("GET", f"/jobs/{job_id}")
        error = job.get("errorData") or {}
        return Status(_STAGES.get(job["status"], Stage.QUEUED), detail=str(error.get("message", ""))[:300])

    async def cancel(self, job_id: ProviderJobId) -> None:
        """Cancel, unless it has ended."""
        if not (await self.poll(job_id)).stage.ended:
            await self._call("DELETE", f"/jobs/{job_id}")

    async def result(self, job_id: ProviderJobId, circuit: Compiled) -> Result:
        """Counts from the output in the workspace's storage, and Azure's cost estimate where it is in dollars."""
        job = await self._call("GET", f"/jobs/{job_id}")
        name = urlsplit(str(job["outputDataUri"])).path.rpartition("/")[2]
        output = await self._web.get(_in_container(await self._sas(f"job-{job_id}"), name), headers=STORAGE)
        estimate = job.get("costEstimate") or {}
        total = estimate.get("estimatedTotal") if estimate.get("currencyCode") == "USD" else None
        return Result(
            checked(circuit, _counts(circuit, output, self._maker)),
            cost_micros=None if total is None else round(float(total) * MICROS),
        )

    async def condition(self) -> Condition:
        """Ask for the target: whether it is available, and the mean seconds in its queue."""
        target = await self._found()
        online, waits = target.get("currentAvailability") != _CLOSED, target.get("averageQueueTime")
        reason = "" if online else "Azure says that it is unavailable"
        return Condition(online, reason, queue_seconds=None if waits is None else float(waits))

    async def check(self) -> str:
        """Sign in, and ask the workspace for its targets."""
        providers = (await self._call("GET", "/providerStatus"))["value"]
        return f"Azure opens the workspace, which has {', '.join(sorted(each['id'] for each in providers))}"[:300]

    async def close(self) -> None:
        """Close the connections."""
        await self._web.close()

    def _program(self, circuit: Compiled) -> str:
        if self._maker != "ionq":
            return circuit.text
        return json.dumps({"gateset": "qis", "qubits": circuit.qubit_count, "circuit": json.loads(circuit.text)})

    async def _require_target(self) -> None:
        if (await self._found()).get("currentAvailability") == _CLOSED:
            raise Busy(f"{self._device} takes no jobs now")

    async def _found(self) -> Mapping[str, Any]:
        """What the workspace says of the target. Raises Refused where it has none of the name."""
        for provider in (await self._call("GET", "/providerStatus"))["value"]:
            for target in provider.get("targets", ()):
                if target["id"] == self._device:
                    found: Mapping[str, Any] = target
                    return found
        raise Refused(f"the workspace {self._credentials.workspace} has no target {self._device}")

    async def _sas(self, container: str) -> str:
        """The address of a container with a signature that opens it for a while: a secret."""
        answer = await self._call("POST", "/storage/sasUri", body={"containerName": container})
        return str(answer["sasUri"])

    async def _call(
        self, method: str, path: str, *, safe: bool = True, missing: bool = False, body: object = None
    ) -> Any:
        headers = {"Authorization": f"Bearer {await self._token(SCOPE)}"}
        url = f"{await self._workspace()}{path}"
        none_for = 404 if missing else 0
        return await self._web.call(
            method, url, safe=safe, none_for=none_for, params=VERSION, headers=headers, json=body
        )

    async def _workspace(self) -> str:
        """The address of the workspace's API: its region is asked of Azure's management once."""
        if self._base is None:
            mine = self._credentials
            path = (
                f"/subscriptions/{mine.subscription_id}/resourceGroups/{mine.resource_group}"
                f"/providers/Microsoft.Quantum/workspaces/{mine.workspace}"
            )
            headers = {"Authorization": f"Bearer {await self._token(f'{MANAGEMENT_URL}/.default')}"}
            found = await self._web.get(f"{self._management_url}{path}", params=VERSION, headers=headers)
            endpoint = (found.get("properties") or {}).get("endpointUri") or ""
            if not endpoint:
                endpoint = f"https://{found['location']}.quantum.azure.com"
            self._base = f"{endpoint.rstrip('/')}{path}"
        return self._base

    async def _token(self, scope: str) -> str:
        token, end = self._tokens.get(scope, ("", self._clock()))
        if self._clock() + _EARLY < end:
            return token
        mine = self._credentials
        form = {
            "grant_type": "client_credentials",
            "client_id": mine.client_id,
            "client_secret": mine.client_secret,
            "scope": scope,
        }
        url = f"{self._login_url}/{mine.tenant_id}/oauth2/v2.0/token"
        try:
            answer = await self._web.call("POST", url, data=form)
        except Refused as refusal:  # 400 for an unknown application or tenant, 401 for a wrong secret
            raise NotAdmitted(f"{refusal}: the application cannot sign in") from None
        token = str(answer["access_token"])
        self._tokens[scope] = token, self._clock() + dt.timedelta(seconds=float(answer["expires_in"]))
        return token


def _job_id(tag: str) -> ProviderJobId:
    return ProviderJobId(str(uuid.uuid5(_TAGS, tag)))


def _in_container(container_uri: str, name: str) -> str:
    parts = urlsplit(container_uri)
    return parts._replace(path=f"{parts.path}/{name}").geturl()


def _counts(circuit: Compiled, output: Mapping[str, Any], maker: str) -> Mapping[str, int]:
    """IonQ: `{"histogram": {"0": 0.5, …}}`; Quantinuum: `{"c": ["00", …]}`, one string a shot, bit 0 rightmost."""
    if maker == "ionq":
        return from_probabilities(circuit, {key: float(share) for key, share in output["histogram"].items()})
    return Counter(str(bits) for bits in output["c"])
