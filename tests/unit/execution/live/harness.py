"""Each provider beside its fake, as a test sees both."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import localqpu
from localqpu.control_client import LocalqpuControl
from localqpu.server import RunningServer

from services.execution.live.azure import AzureProvider
from services.execution.live.braket import BraketProvider
from services.execution.live.credentials import Aws, Azure, Ionq
from services.execution.live.ibm import IbmProvider
from services.execution.live.ionq import IonqProvider
from services.execution.live.provider import Provider
from tests.unit.execution.live.fakes import FakeAzure, FakeBraket, FakeIonq, Queue
from tests.unit.execution.live.serving import Fake, Fault, serving

NOW = dt.datetime(2026, 11, 21, 12, 0, tzinfo=dt.UTC)
START = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
IDS = [f"{number}0000000-0000-4000-8000-000000000000" for number in range(3)]
AZURE = Azure(IDS[0], "group", "space", IDS[1], IDS[2], FakeAzure.SECRET)
AWS = Aws("AKIATESTTESTTEST1234", "aws-secret-that-must-never-show", "us-east-1", "bucket")
WORKSPACE = f"/subscriptions/{IDS[0]}/resourceGroups/group/providers/Microsoft.Quantum/workspaces/space"
ARIA = "arn:aws:braket:us-east-1::device/qpu/ionq/Aria-1"
BRISBANE = "ibm_brisbane"


def clock() -> dt.datetime:
    return NOW


@dataclass(repr=False)
class Harness:
    """A provider and its fake. Faults are those of its submission, or of any call that asks."""

    provider: Provider
    wrong: Provider
    """The same with credentials that are not accepted."""
    unreachable: Provider
    secrets: tuple[str, ...]
    fake: Fake
    queue: Queue
    submission: tuple[str, str]
    """Method and path of the call that makes a job."""
    asking: tuple[str, str]
    """Of a call that asks for a job."""

    @property
    def job_count(self) -> int:
        return len(self.queue.jobs)

    def stage(self, stage: str) -> None:
        self.queue.stage = stage

    def close_machine(self) -> None:
        self.queue.open = False

    def lose_submission(self) -> None:
        self.fake.faults.append(Fault(*self.submission, after=True))

    def fail_submission(self, status: int, **headers: str) -> None:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.fake.faults.append(Fault(*self.submission, status=status, headers=named))

    def fail_asking(self, status: int) -> None:
        self.fake.faults.append(Fault(*self.asking, status=status))


@contextmanager
def ionq() -> Iterator[Harness]:
    fake = FakeIonq()
    with serving(fake):
        nowhere = "http://127.0.0.1:9"
        yield Harness(
            IonqProvider(Ionq(fake.KEY), "qpu.aria-1", 11, clock, url=fake.url),
            IonqProvider(Ionq("wrong-key-that-must-never-show"), "qpu.aria-1", 11, clock, url=fake.url),
            IonqProvider(Ionq(fake.KEY), "qpu.aria-1", 11, clock, url=nowhere),
            (fake.KEY, "wrong-key-that-must-never-show"),
            fake,
            fake.queue,
            ("POST", "/jobs"),
            ("GET", "/jobs"),
        )


@contextmanager
def azure(device: str) -> Iterator[Harness]:
    fake = FakeAzure(WORKSPACE)
    with serving(fake):
        wrong = Azure(IDS[0], "group", "space", IDS[1], IDS[2], "wrong-that-must-never-show")

        def provider(credentials: Azure, url: str) -> AzureProvider:
            return AzureProvider(credentials, device, 20, clock, login_url=url, management_url=url)

        yield Harness(
            provider(AZURE, fake.url),
            provider(wrong, fake.url),
            provider(AZURE, "http://127.0.0.1:9"),
            (AZURE.client_secret, wrong.client_secret, "token-that-must-never-show", "signature-that-must-never-show"),
            fake,
            fake.queue,
            ("PUT", f"{WORKSPACE}/jobs"),
            ("GET", f"{WORKSPACE}/jobs"),
        )


@contextmanager
def braket() -> Iterator[Harness]:
    fake = FakeBraket(AWS.access_key_id)
    with serving(fake):
        wrong = Aws("AKIAWRONGWRONGWRONG1", "wrong-that-must-never-show", "us-east-1", "bucket")
        yield Harness(
            BraketProvider(AWS, ARIA, endpoint_url=fake.url),
            BraketProvider(wrong, ARIA, endpoint_url=fake.url),
            BraketProvider(AWS, ARIA, endpoint_url="http://127.0.0.1:9"),
            (AWS.secret_access_key, wrong.secret_access_key),
            fake,
            fake.queue,
            ("POST", "/quantum-task"),
            ("GET", "/quantum-task/"),
        )


class IbmHarness(Harness):
    """IBM's client against localqpu, which speaks IBM's API."""

    def __init__(self, server: RunningServer, control: LocalqpuControl) -> None:
        self._control = control
        self._server = server
        self._scenario: dict[str, Any] = {}
        self.provider = IbmProvider(BRISBANE, self._connect)
        self.wrong = IbmProvider(BRISBANE, self._rejected)
        self.unreachable = IbmProvider(BRISBANE, self._nowhere)
        self.secrets = ("localqpu-token-that-must-never-show",)

    def _connect(self) -> Any:
        return localqpu.connect(port=self._server.port, host=self._server.host)

    def _rejected(self) -> Any:
        self._control.set_scenario({"auth": {"reject_tokens": True}})
        return self._connect()

    def _nowhere(self) -> Any:
        return localqpu.connect(port=9)

    @property
    def job_count(self) -> int:
        return len(self._control.jobs())

    def stage(self, stage: str) -> None:
        match stage:
            case "queued":
                self._set(queue={"polls_before_running": 1000})
            case "failed":
                self._set(next_jobs=[{"outcome": "failed", "reason": "the fridge warmed up", "reason_code": 1517}])
            case "done":
                self._set(queue={"polls_before_running": 0})

    def close_machine(self) -> None:
        self._set(backends={BRISBANE: {"status": "offline", "queue_length": 7}})

    def lose_submission(self) -> None:
        self._fault("POST", "/api/v1/jobs", status=503, phase="after")

    def fail_submission(self, status: int, **headers: str) -> None:
        numbers = {name: int(value) for name, value in headers.items()}
        self._fault("POST", "/api/v1/jobs", status=status, **numbers)

    def fail_asking(self, status: int) -> None:
        self._fault("GET", "/api/v1/jobs/*", status=status)

    def _fault(self, method: str, path: str, **rest: Any) -> None:
        self._set(http_faults=[{"method": method, "path": path, **rest}])

    def _set(self, **changes: Any) -> None:
        self._scenario |= changes
        self._control.set_scenario(self._scenario)
