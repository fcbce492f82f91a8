"""IonQ Quantum Cloud, over its REST API v0.4 (https://docs.ionq.com/api-reference/v0.4)."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from services.execution.live.counts import checked, from_probabilities
from services.execution.live.dialects import IONQ_NAMES
from services.execution.live.errors import Refused
from services.execution.live.provider import Condition, ProviderJobId, Result, Stage, Status
from services.execution.live.target import Compiled, Target
from services.execution.live.web import Web

if TYPE_CHECKING:
    from collections.abc import Callable

    from services.execution.live.credentials import Ionq

_OPEN = frozenset({"available", "running"})
"""The states in which a machine takes jobs; the others are reserved, calibrating, unavailable, offline, retired."""
URL = "https://api.ionq.co/v0.4"
MICROS = 1_000_000
_PAGE, _PAGES = 100, 20
"""Jobs that `find` looks through, newest first."""
_STAGES = {
    "submitted": Stage.QUEUED,
    "ready": Stage.QUEUED,
    "started": Stage.RUNNING,
    "running": Stage.RUNNING,
    "completed": Stage.DONE,
    "failed": Stage.FAILED,
    "canceled": Stage.CANCELLED,
}


class IonqProvider:
    """One of IonQ's machines."""

    idempotent = False

    def __init__(
        self,
        credentials: Ionq,
        device: str,
        qubit_count: int,
        clock: Callable[[], dt.datetime],
        *,
        url: str = URL,
    ) -> None:
        """Reach `device` ("qpu.aria-1")."""
        self._qubit_count = qubit_count
        self._device = device
        self._url = url
        self._credentials = credentials
        self._web = Web("IonQ", clock)

    async def target(self) -> Target:
        """All qubits are connected, and IonQ places the gates."""
        backend = await self._get(f"/backends/{self._device}")
        characterization = backend.get("characterization_id")
        return Target(
            device=self._device,
            dialect="ionq",
            qubit_count=int(backend.get("qubits") or self._qubit_count),
            gates=dict.fromkeys(IONQ_NAMES, ()),
            simulated=self._device == "simulator",
            calibration_id=f"{self._device}/{characterization}"[:64] if characterization else None,
        )

    async def submit(self, circuit: Compiled, tag: str) -> ProviderJobId:
        """Send a circuit; the tag is its name and in its metadata."""
        body = {
            "type": "ionq.circuit.v1",
            "backend": self._device,
            "name": tag,
            "shots": circuit.shots,
            "metadata": {"qmumma_tag": tag},
            "input": {"gateset": "qis", "qubits": circuit.qubit_count, "circuit": json.loads(circuit.text)},
        }
        answer = await self._web.call("POST", f"{self._url}/jobs", safe=False, json=body, headers=self._headers())
        return ProviderJobId(str(answer["id"]))

    async def find(self, tag: str, since: dt.datetime) -> ProviderJobId | None:
        """Look through the account's jobs, newest first: IonQ has no filter by name or metadata."""
        cursor: str | None = None
        for _ in range(_PAGES):
            page = await self._get("/jobs", limit=_PAGE, **({"next": cursor} if cursor else {}))
            for job in page["jobs"]:
                if (job.get("metadata") or {}).get("qmumma_tag") == tag:
                    return ProviderJobId(str(job["id"]))
            cursor = page.get("next")
            if not cursor or _all_before(page["jobs"], since):
                return None
        raise Refused(f"IonQ lists more than {_PAGE * _PAGES} jobs since {since:%Y-%m-%d %H:%M}; {tag} was not found")

    async def poll(self, job_id: ProviderJobId) -> Status:
        """Ask for the job; IonQ tells no queue position."""
        job = await self._get(f"/jobs/{job_id}")
        failure = job.get("failure") or {}
        return Status(_STAGES.get(job["status"], Stage.QUEUED), detail=str(failure.get("message", ""))[:300])

    async def cancel(self, job_id: ProviderJobId) -> None:
        """Cancel, unless it has ended."""
        if not (await self.poll(job_id)).stage.ended:
            await self._web.call("PUT", f"{self._url}/jobs/{job_id}/status/cancel", headers=self._headers())

    async def result(self, job_id: ProviderJobId, circuit: Compiled) -> Result:
        """Counts from the histogram, qubit 0 lowest, and the cost where IonQ has billed it."""
        job = await self._get(f"/jobs/{job_id}")
        histogram = await self._get(f"/jobs/{job_id}/results/probabilities")
        counts = from_probabilities(circuit, {outcome: float(share) for outcome, share in histogram.items()})
        return Result(
            checked(circuit, counts),
            seconds=float(job.get("execution_duration_ms") or 0) / 1e3,
            cost_micros=_cost(await self._get(f"/jobs/{job_id}/cost")),
        )

    async def condition(self) -> Condition:
        """Ask for the backend: its status, and the mean time in its queue in milliseconds."""
        backend = await self._get(f"/backends/{self._device}")
        status, waits = str(backend.get("status") or "available"), backend.get("average_queue_time")
        online = status in _OPEN
        return Condition(
            online,
            "" if online else f"IonQ says that it is {status}",
            queue_seconds=None if waits is None else float(waits) / 1e3,
        )

    async def check(self) -> str:
        """Ask whose key it is."""
        key = await self._get("/whoami")
        return f"IonQ knows the key {str(key.get('key_name', ''))[:80]!r}"

    async def close(self) -> None:
        """Close the connections."""
        await self._web.close()

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"apiKey {self._credentials.api_key}"}

    async def _get(self, path: str, **parameters: str | int) -> Any:
        return await self._web.get(f"{self._url}{path}", params=parameters, headers=self._headers())


def _all_before(jobs: list[Mapping[str, Any]], since: dt.datetime) -> bool:
    """Whether even the newest of a page is older than `since`, so that the next page is too."""
    times = [job["submitted_at"] for job in jobs if job.get("submitted_at")]
    return bool(times) and max(dt.datetime.fromisoformat(time) for time in times) < since


def _cost(answer: Mapping[str, Any]) -> int | None:
    cost = answer.get("cost") or {}
    value = cost.get("value") if isinstance(cost, Mapping) else cost
    return round(float(value) * MICROS) if value is not None else None
