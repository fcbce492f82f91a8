"""Small providers that speak as the real ones do, as far as we speak to them, and simulate what they are sent."""

# ruff: noqa: C901, PLR0911 - one method is a whole provider

from __future__ import annotations

import json
import uuid
from typing import Any

from braket.default_simulator import StateVectorSimulator
from braket.ir.openqasm import Program as BraketProgram
from qiskit import QuantumCircuit, qasm2
from qiskit.quantum_info import Statevector

from services.execution.live.dialects import BRAKET_NAMES, IONQ_NAMES
from tests.unit.execution.live.serving import Answer, Fake, Request

STATES = ("queued", "running", "done", "failed", "cancelled")
IONQ_WORDS = dict(zip(STATES, ("ready", "started", "completed", "failed", "canceled"), strict=True))
AZURE_WORDS = dict(zip(STATES, ("Waiting", "Executing", "Succeeded", "Failed", "Cancelled"), strict=True))
BRAKET_WORDS = dict(zip(STATES, ("QUEUED", "RUNNING", "COMPLETED", "FAILED", "CANCELLED"), strict=True))


class Queue:
    """Jobs at a provider, all waiting until the test lets them go on."""

    def __init__(self) -> None:
        self.jobs: dict[str, dict[str, Any]] = {}
        self.stage = "done"
        """What every job that was not cancelled is, in our words."""
        self.open = True
        """Whether the machine takes jobs."""

    def state(self, job: dict[str, Any]) -> str:
        return "cancelled" if job.get("cancelled") else self.stage


def histogram(gates: list[dict[str, Any]], width: int) -> dict[str, float]:
    """Shares of outcomes, qubit 0 lowest, of IonQ's list of gates."""
    names = {theirs: ours for ours, theirs in IONQ_NAMES.items()}
    circuit = QuantumCircuit(width)
    for gate in gates:
        angles = [gate["rotation"]] if "rotation" in gate else []
        qubits = gate.get("targets") or [*([gate["control"]] if "control" in gate else []), gate["target"]]
        getattr(circuit, names[gate["gate"]])(*angles, *qubits)
    return {str(i): float(share) for i, share in enumerate(Statevector(circuit).probabilities()) if share > 1e-9}


class FakeIonq(Fake):
    """IonQ's API v0.4."""

    KEY = "ionq-key-that-must-never-show"

    def __init__(self) -> None:
        super().__init__()
        self.queue = Queue()

    def handle(self, request: Request) -> Answer:
        if request.headers["authorization"] != f"apiKey {self.KEY}":
            return 401, {"error": "Unauthorized Error", "message": "Invalid key provided."}
        match request.method, request.path.strip("/").split("/"):
            case "GET", ["whoami"]:
                return 200, {"key_id": "1", "key_name": "test"}
            case "GET", ["backends", device]:
                return 200, {
                    "backend": device,
                    "qubits": 11,
                    "characterization_id": "c-1",
                    "status": "available" if self.queue.open else "unavailable",
                    "average_queue_time": 125_000,
                }
            case "POST", ["jobs"]:
                job_id = str(uuid.uuid4())
                self.queue.jobs[job_id] = request.json | {"submitted_at": "2026-11-21T12:00:00.000Z"}
                return 200, {"id": job_id, "status": "ready", "session_id": None}
            case "GET", ["jobs"]:
                jobs = [self._job(job_id) for job_id in reversed(self.queue.jobs)]
                start = int(request.query.get("next", ["0"])[0])
                size = min(int(request.query["limit"][0]), 2)
                more = str(start + size) if start + size < len(jobs) else None
                return 200, {"jobs": jobs[start : start + size], "next": more}
            case method, ["jobs", job_id, *rest] if job_id in self.queue.jobs:
                return self._one(method, job_id, rest)
        return 404, {"error": "Not Found Error", "message": "Resource not found."}

    def _one(self, method: str, job_id: str, rest: list[str]) -> Answer:
        job = self.queue.jobs[job_id]
        match method, rest:
            case "GET", []:
                return 200, self._job(job_id)
            case "PUT", ["status", "cancel"]:
                job["cancelled"] = True
                return 200, {"id": job_id, "status": "canceled"}
            case "GET", ["results", "probabilities"]:
                return 200, histogram(job["input"]["circuit"], job["input"]["qubits"])
            case "GET", ["cost"]:
                return 200, {"dry_run": False, "cost": {"unit": "usd", "value": 12.41}}
        return 404, None

    def _job(self, job_id: str) -> dict[str, Any]:
        job = self.queue.jobs[job_id]
        state = self.queue.state(job)
        failure = {"code": "internal_error", "message": "the trap lost its ions"} if state == "failed" else None
        return {
            "id": job_id,
            "status": IONQ_WORDS[state],
            "metadata": job["metadata"],
            "name": job["name"],
            "submitted_at": job["submitted_at"],
            "execution_duration_ms": 1500,
            "failure": failure,
        }


class FakeAzure(Fake):
    """Azure's sign-in, management, Quantum API and blob storage, all at one address."""

    SECRET = "azure-secret-that-must-never-show"
    SIGNATURE = "sig=signature-that-must-never-show"

    def __init__(self, workspace_path: str) -> None:
        super().__init__()
        self.queue = Queue()
        self.blobs: dict[str, bytes] = {}
        self._workspace = workspace_path

    def handle(self, request: Request) -> Answer:
        if request.path.endswith("/oauth2/v2.0/token"):
            if self.SECRET.encode() not in request.body:
                return 401, {"error": "invalid_client", "error_description": "AADSTS7000215: Invalid client secret."}
            return 200, {"access_token": "token-that-must-never-show", "expires_in": 3600}
        if request.path.startswith("/blobs/"):
            return self._blob(request)
        if request.headers["authorization"] != "Bearer token-that-must-never-show":
            return 401, {"error": {"code": "Unauthorized", "message": "no token"}}
        assert request.query["api-version"]
        assert request.path.startswith(self._workspace)
        rest = request.path.removeprefix(self._workspace).strip("/").split("/")
        match request.method, rest:
            case "GET", [""]:
                return 200, {"location": "eastus", "properties": {"endpointUri": self.url}}
            case "GET", ["providerStatus"]:
                now = {"currentAvailability": "Available" if self.queue.open else "Unavailable"}
                targets = [{"id": "ionq.qpu.aria-1", "averageQueueTime": 125} | now]
                h2 = [{"id": "quantinuum.qpu.h2-1", "averageQueueTime": 125} | now]
                return 200, {"value": [{"id": "ionq", "targets": targets}, {"id": "quantinuum", "targets": h2}]}
            case "POST", ["storage", "sasUri"]:
                return 200, {"sasUri": f"{self.url}/blobs/{request.json['containerName']}?{self.SIGNATURE}"}
            case "PUT", ["jobs", job_id]:
                self.queue.jobs.setdefault(job_id, request.json)
                return 201, self._job(job_id)
            case "GET", ["jobs", job_id] if job_id in self.queue.jobs:
                return 200, self._job(job_id)
            case "DELETE", ["jobs", job_id] if job_id in self.queue.jobs:
                self.queue.jobs[job_id]["cancelled"] = True
                return 204, None
        return 404, {"error": {"code": "JobNotFound", "message": "there is no such job"}}

    def _blob(self, request: Request) -> Answer:
        assert self.SIGNATURE.split("=")[1] in request.query["sig"]
        name = request.path.removeprefix("/blobs/")
        if request.method == "PUT":
            if "restype" in request.query:
                return (201, None) if self.blobs.setdefault(name, b"") is not None else (409, None)
            self.blobs[name] = request.body
            return 201, None
        if name not in self.blobs and name.endswith("/rawOutputData"):
            container = name.removesuffix("/rawOutputData")
            return 200, self._output(
                self.queue.jobs[container.removeprefix("job-")], self.blobs[f"{container}/inputData"]
            )
        return 404, None

    def _output(self, job: dict[str, Any], program: bytes) -> Any:
        if job["inputDataFormat"] == "ionq.circuit.v1":
            circuit = json.loads(program)
            return {"histogram": histogram(circuit["circuit"], circuit["qubits"])}
        read = qasm2.loads(program.decode(), custom_instructions=qasm2.LEGACY_CUSTOM_INSTRUCTIONS)
        homes = {read.find_bit(i.clbits[0]).index: read.find_bit(i.qubits[0]).index for i in read.data if i.clbits}
        state = Statevector(read.remove_final_measurements(inplace=False))
        shots = []
        for outcome, count in state.sample_counts(job["inputParams"]["shots"]).items():
            bits = ["0"] * read.num_clbits
            for clbit, qubit in homes.items():
                bits[-1 - clbit] = outcome[-1 - qubit]
            shots += ["".join(bits)] * int(count)
        return {"c": shots}

    def _job(self, job_id: str) -> dict[str, Any]:
        job = self.queue.jobs[job_id]
        state = self.queue.state(job)
        return job | {
            "status": AZURE_WORDS[state],
            "outputDataUri": f"{self.url}/blobs/job-{job_id}/rawOutputData",
            "errorData": {"code": "X", "message": "the trap lost its ions"} if state == "failed" else None,
            "costEstimate": {"currencyCode": "USD", "estimatedTotal": 3.5},
        }


class FakeBraket(Fake):
    """Amazon Braket, S3 and STS at one address; signatures are not checked, keys are."""

    def __init__(self, key_id: str) -> None:
        super().__init__()
        self.queue = Queue()
        self._key_id = key_id

    def handle(self, request: Request) -> Answer:
        if self._key_id not in request.headers["authorization"]:
            if request.path == "/":
                error = (
                    "<Error><Code>InvalidClientTokenId</Code><Message>The security token is invalid.</Message></Error>"
                )
                return 403, f"<ErrorResponse>{error}</ErrorResponse>".encode()
            return 403, {"__type": "UnrecognizedClientException", "message": "The security token is invalid."}
        match request.method, request.path.strip("/").split("/", 1):
            case "POST", [""]:
                body = "<GetCallerIdentityResponse><GetCallerIdentityResult><Account>123</Account>"
                return 200, f"{body}</GetCallerIdentityResult></GetCallerIdentityResponse>".encode()
            case "HEAD", ["bucket"]:
                return 200, None
            case "GET", ["device", _]:
                return 200, self._device()
            case "POST", ["quantum-task"]:
                return self._create(request.json)
            case "POST", ["quantum-tasks"]:
                return self._search(request.json)
            case method, ["quantum-task", arn]:
                return self._one(method, arn.replace("%2F", "/").replace("%3A", ":"))
            case "GET", ["bucket", key]:
                return 200, self._results(next(job for job in self.queue.jobs.values() if job["directory"] in key))
        return 404, {"__type": "ResourceNotFoundException", "message": request.path}

    def _device(self) -> dict[str, Any]:
        capabilities = {
            "action": {"braket.ir.openqasm.program": {"supportedOperations": [*BRAKET_NAMES.values(), "xx"]}},
            "paradigm": {"qubitCount": 25},
            "service": {"updatedAt": "2026-11-20T10:00:00"},
        }
        return {
            "deviceArn": "arn:aws:braket:us-east-1::device/qpu/ionq/Aria-1",
            "deviceName": "Aria-1",
            "deviceStatus": "ONLINE" if self.queue.open else "OFFLINE",
            "deviceQueueInfo": [
                {"queue": "QUANTUM_TASKS_QUEUE", "queueSize": "0", "queuePriority": "Priority"},
                {"queue": "QUANTUM_TASKS_QUEUE", "queueSize": ">4000", "queuePriority": "Normal"},
                {"queue": "JOBS_QUEUE", "queueSize": "1"},
            ],
            "deviceType": "QPU",
            "providerName": "IonQ",
            "deviceCapabilities": json.dumps(capabilities),
        }

    def _create(self, task: dict[str, Any]) -> Answer:
        for arn, job in self.queue.jobs.items():
            if job["clientToken"] == task["clientToken"]:
                return 201, {"quantumTaskArn": arn}
        arn = f"arn:aws:braket:us-east-1:123:quantum-task/{uuid.uuid4()}"
        self.queue.jobs[arn] = task | {"directory": f"{task['outputS3KeyPrefix']}/{arn.rpartition('/')[2]}"}
        return 201, {"quantumTaskArn": arn}

    def _search(self, query: dict[str, Any]) -> Answer:
        assert {each["name"] for each in query["filters"]} == {"deviceArn", "createdAt"}
        jobs = list(self.queue.jobs.items())
        start = int(query.get("nextToken", "0"))
        found = [
            {
                "quantumTaskArn": arn,
                "deviceArn": job["deviceArn"],
                "status": "QUEUED",
                "shots": 1,
                "outputS3Bucket": "bucket",
                "outputS3Directory": job["directory"],
                "createdAt": "2026-11-21T12:00:00Z",
                "tags": job["tags"],
            }
            for arn, job in jobs[start : start + 2]
        ]
        return 200, {"quantumTasks": found} | ({"nextToken": str(start + 2)} if start + 2 < len(jobs) else {})

    def _one(self, method: str, arn: str) -> Answer:
        arn, _, verb = arn.partition("/cancel")
        job = self.queue.jobs[arn]
        if method == "PUT":
            job["cancelled"] = True
            return 200, {"quantumTaskArn": arn, "cancellationStatus": "CANCELLING"}
        assert not verb
        state = self.queue.state(job)
        return 200, {
            "quantumTaskArn": arn,
            "status": BRAKET_WORDS[state],
            "deviceArn": job["deviceArn"],
            "deviceParameters": "{}",
            "shots": job["shots"],
            "outputS3Bucket": job["outputS3Bucket"],
            "outputS3Directory": job["directory"],
            "createdAt": "2026-11-21T12:00:00Z",
            "queueInfo": {"queue": "QUANTUM_TASKS_QUEUE", "position": "7"} if state == "queued" else None,
            "failureReason": "the trap lost its ions" if state == "failed" else None,
        }

    def _results(self, job: dict[str, Any]) -> dict[str, Any]:
        source = json.loads(job["action"])["source"]
        result = StateVectorSimulator().run_openqasm(BraketProgram(source=source), shots=job["shots"])
        return {
            "measurements": [[int(bit) for bit in shot] for shot in result.measurements],
            "measuredQubits": list(result.measuredQubits),
        }
