"""IBM Quantum, over qiskit-ibm-runtime and its sampler."""

from __future__ import annotations

import asyncio
import contextlib
import warnings
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

from services.execution.live.counts import checked
from services.execution.live.errors import Busy, NotAdmitted, OutcomeUnknown, ProviderError, Refused
from services.execution.live.provider import DEADLINE_SECONDS, Condition, ProviderJobId, Result, Stage, Status
from services.execution.live.target import Compiled, Place, Target

if TYPE_CHECKING:
    import datetime as dt

    from qiskit import QuantumCircuit
    from qiskit_ibm_runtime import QiskitRuntimeService

    from services.execution.live.credentials import Ibm

R = TypeVar("R")

LONGEST_DETAIL = 300
_STAGES = {
    "INITIALIZING": Stage.QUEUED,
    "QUEUED": Stage.QUEUED,
    "RUNNING": Stage.RUNNING,
    "DONE": Stage.DONE,
    "ERROR": Stage.FAILED,
    "CANCELLED": Stage.CANCELLED,
}


class IbmProvider:
    """One of IBM's machines. The client blocks, so that every call has a thread while it lasts."""

    idempotent = False

    def __init__(self, device: str, connect: Callable[[], QiskitRuntimeService]) -> None:
        """Reach `device` ("ibm_marrakesh") through what `connect` opens at the first call."""
        self._device = device
        self._connect = connect
        self._service: QiskitRuntimeService | None = None
        self._lock = asyncio.Lock()

    async def target(self) -> Target:
        """The gates with their errors, as calibrated last."""
        return await self._call(lambda service: _target(service.backend(self._device)))

    async def submit(self, circuit: Compiled, tag: str) -> ProviderJobId:
        """Send a circuit on the machine's own qubits and gates, with the tag as its tag."""

        def run(service: QiskitRuntimeService) -> ProviderJobId:
            from qiskit_ibm_runtime import SamplerV2  # noqa: PLC0415 - only a worker of live jobs pays for it

            sampler = SamplerV2(mode=service.backend(self._device))
            sampler.options.environment.job_tags = [tag]
            return ProviderJobId(sampler.run([(_circuit(circuit), None, circuit.shots)]).job_id())

        return await self._call(run, safe=False)

    async def find(self, tag: str, since: dt.datetime) -> ProviderJobId | None:
        """Ask for the jobs with the tag."""
        jobs = await self._call(lambda service: service.jobs(job_tags=[tag], created_after=since, limit=1))
        return ProviderJobId(jobs[0].job_id()) if jobs else None

    async def poll(self, job_id: ProviderJobId) -> Status:
        """Ask for the job; IBM tells no queue position."""

        def ask(service: QiskitRuntimeService) -> Status:
            job = service.job(job_id)
            stage = _STAGES.get(str(job.status()), Stage.QUEUED)
            detail = str(job.error_message() or "") if stage is Stage.FAILED else ""
            return Status(stage, detail=detail[:LONGEST_DETAIL])

        return await self._call(ask)

    async def cancel(self, job_id: ProviderJobId) -> None:
        """Cancel, unless it has ended."""

        def cancel(service: QiskitRuntimeService) -> None:
            job = service.job(job_id)
            if not job.in_final_state():
                job.cancel()

        await self._call(cancel)

    async def result(self, job_id: ProviderJobId, circuit: Compiled) -> Result:
        """Counts of the register `c`, and the seconds that IBM charges."""

        def read(service: QiskitRuntimeService) -> Result:
            job = service.job(job_id)
            counts = job.result()[0].data.c.get_counts()
            usage = job.metrics().get("usage") or {}
            return Result(checked(circuit, counts), seconds=float(usage.get("qpu_charge_time_seconds") or 0))

        return await self._call(read)

    async def condition(self) -> Condition:
        """Ask for the backend's status, and the jobs that wait for it."""

        def ask(service: QiskitRuntimeService) -> Condition:
            status = service.backend(self._device).status()
            # A machine that is up but paused keeps what is sent to it for later.
            online = bool(status.operational) and status.status_msg in ("active", "available")
            reason = "" if online else f"IBM says that it is {status.status_msg or 'not operational'}"
            return Condition(online, reason, queue_depth=int(status.pending_jobs))

        return await self._call(ask)

    async def check(self) -> str:
        """Sign in, and count the machines of the instance."""
        names = await self._call(lambda service: [backend.name for backend in service.backends()])
        return f"IBM opens the instance, which has {len(names)} machines"

    async def close(self) -> None:
        """Let go; the client has nothing to close."""
        self._service = None

    async def _call(self, work: Callable[[QiskitRuntimeService], R], *, safe: bool = True) -> R:
        async with self._lock:
            if self._service is None:
                self._service = await self._timed(lambda: _opened(self._connect), safe=True)
        service = self._service
        return await self._timed(lambda: work(service), safe=safe)

    async def _timed(self, work: Callable[[], R], *, safe: bool) -> R:
        try:
            async with asyncio.timeout(2 * DEADLINE_SECONDS):
                return await asyncio.to_thread(_named, work, safe=safe)
        except TimeoutError:
            said = f"IBM did not answer in {2 * DEADLINE_SECONDS:.0f} s"
            raise (Busy(said) if safe else OutcomeUnknown(said)) from None


def connector(credentials: Ibm) -> Callable[[], QiskitRuntimeService]:
    """What opens IBM Quantum with an account."""

    def connect() -> QiskitRuntimeService:
        from qiskit_ibm_runtime import QiskitRuntimeService  # noqa: PLC0415 - only a worker of live jobs pays for it

        return QiskitRuntimeService(channel=credentials.channel, token=credentials.token, instance=credentials.instance)

    return connect


def _opened(connect: Callable[[], QiskitRuntimeService]) -> QiskitRuntimeService:
    """The service with a client that neither waits for ever nor sends anything twice.

    The client repeats a POST whose answer was a 5xx, which makes a second paid job where the first had arrived; it has
    no public setting for that.
    """
    from requests.adapters import HTTPAdapter  # noqa: PLC0415 - as the client itself

    service = connect()
    for client in {id(each): each for each in (service._active_api_client, *service._api_clients.values())}.values():  # noqa: SLF001 - see above
        session = client._session  # noqa: SLF001
        session._timeout = (DEADLINE_SECONDS / 3, DEADLINE_SECONDS)  # noqa: SLF001
        for scheme in ("http://", "https://"):
            session.mount(scheme, HTTPAdapter(max_retries=0))
    return service


def _target(backend: Any) -> Target:
    from qiskit.circuit.library.standard_gates import get_standard_gate_name_mapping  # noqa: PLC0415

    target, properties = backend.target, backend.properties()
    known = get_standard_gate_name_mapping()
    gates = {
        name: tuple(Place(tuple(qubits), facts.error if facts else None) for qubits, facts in target[name].items())
        for name in target.operation_names
        if name in known and name not in ("measure", "reset", "delay", "id")
    }
    measured = target["measure"]
    readout = [measured[(qubit,)] for qubit in range(target.num_qubits)]
    errors = tuple(facts.error for facts in readout if facts is not None and facts.error is not None)
    return Target(
        device=backend.name,
        dialect="openqasm2",
        qubit_count=target.num_qubits,
        gates=gates,
        simulated=bool(getattr(backend, "simulator", False)),
        readout_errors=errors if len(errors) == target.num_qubits else (),
        calibration_id=f"{backend.name}/{properties.last_update_date.isoformat(timespec='seconds')}"[:64]
        if properties
        else None,
    )


def _circuit(circuit: Compiled) -> QuantumCircuit:
    from qiskit import qasm2  # noqa: PLC0415 - only a worker of live jobs pays for it
    from qiskit.circuit.library import ECRGate  # noqa: PLC0415

    ecr = qasm2.CustomInstruction("ecr", 0, 2, ECRGate, builtin=True)
    return qasm2.loads(circuit.text, custom_instructions=(*qasm2.LEGACY_CUSTOM_INSTRUCTIONS, ecr))


def _named(work: Callable[[], R], *, safe: bool) -> R:
    """The answer of the client, its errors named by what they mean for us."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return work()
        except ProviderError:
            raise
        except Exception as error:  # noqa: BLE001 - the client's errors have no common root, and hide HTTP's
            raise _meaning(error, safe=safe) from None


def _meaning(error: Exception, *, safe: bool) -> ProviderError:
    import requests  # noqa: PLC0415 - as the client itself
    from ibm_cloud_sdk_core import ApiException  # noqa: PLC0415
    from qiskit_ibm_runtime.accounts import InvalidAccountError  # noqa: PLC0415

    chain = list(_chain(error))
    for cause in chain:
        if isinstance(cause, requests.RequestException):
            return _interrupted(cause, safe=safe)
    for cause in chain:
        if isinstance(cause, (ApiException, InvalidAccountError)):
            return NotAdmitted(f"IBM does not accept the credentials ({type(cause).__name__})")
    return Refused(f"IBM's client refused: {type(error).__name__}: {error}"[:LONGEST_DETAIL])


def _interrupted(error: Any, *, safe: bool) -> ProviderError:
    """What an error of HTTP's means."""
    import requests  # noqa: PLC0415 - as the client itself

    if error.response is not None:
        return _answered(error.response, safe=safe)
    never_sent = isinstance(error, (requests.ConnectTimeout, requests.exceptions.ProxyError))
    refused = "NewConnectionError" in repr(error) or "refused" in str(error)
    said = f"IBM did not answer ({type(error).__name__})"
    return Busy(said) if safe or refused or never_sent else OutcomeUnknown(said)


def _answered(response: Any, *, safe: bool) -> ProviderError:
    status = int(response.status_code)
    message = ""
    with contextlib.suppress(Exception):
        body = response.json()
        first = (body.get("errors") or [body.get("error") or body])[0]
        message = f": {first.get('message', '')}"
    said = f"IBM answered {status}{message}"[:LONGEST_DETAIL]
    if status == 429:  # noqa: PLR2004 - too many requests
        after = response.headers.get("retry-after", "")
        return Busy(said, float(after) if after.isdecimal() else 0.0)
    if status >= 500:  # noqa: PLR2004 - the server's fault
        return Busy(said) if safe else OutcomeUnknown(said)
    if status in (401, 403):
        return NotAdmitted(f"{said}: the credentials are not accepted, or do not allow this")
    return Refused(said)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
