"""What an engine child does: one request at a time, from parameters to an answer. Runs in forks of the zygote.

A fault of the program is an answer (Failure). A fault of the engine ends the child: the parent sees the end of the
stream, and the next child starts clean.
"""

from __future__ import annotations

import functools
import importlib.metadata
import json
import os
import signal
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

import msgspec

from services.execution import task
from services.execution.algorithms.algorithm import (
    AlgorithmError,
    AlgorithmResult,
    CircuitDescriber,
    Describer,
    ParameterError,
    Runner,
)
from services.execution.algorithms.facts import AlgorithmId, Facts, algorithm_folders, read_facts
from services.execution.engines import registry
from services.execution.engines.device import Simulator
from services.execution.engines.engine import EngineError
from services.execution.engines.journal import Journal
from services.execution.engines.memory import available_memory, limited_memory
from services.execution.programs.encoding import MOST_STEPS, encode

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from services.execution.engines.device import Device
    from services.execution.engines.engine import Method
    from services.execution.engines.transpiled import Transpiled

THREADS = 1
"""Of one run: on busy cores more threads cost ten times what they bring."""
SHOWN_GATES = 500
SHOWN_CHARACTERS = 65_536
"""Of a fitted circuit that the record shows; its measures are told of any."""
PROGRESS_SECONDS = 0.2
"""A child says how far it is at most this often."""
_AT_ONCE = 3
ROW_SECONDS = 0.2
"""No run of a lane begins later: the parent waits for a lane four times as long."""
_OUT_OF_MEMORY = ("bad_alloc", "Cannot allocate memory", "Insufficient memory")
"""What C++ and Aer say when there is no memory left."""
_WARM_UP = 'OPENQASM 2.0; include "qelib1.inc"; qreg q[2]; creg c[2]; h q[0]; cx q[0],q[1]; measure q -> c;'


@functools.cache
def _facts() -> dict[AlgorithmId, Facts]:
    return {AlgorithmId(folder.name): read_facts(folder) for folder in algorithm_folders()}


@functools.cache
def _describer(algorithm_id: AlgorithmId) -> Describer:
    return _facts()[algorithm_id].load_describer()


@functools.cache
def _runner(algorithm_id: AlgorithmId) -> Runner:
    return _facts()[algorithm_id].load_runner()


def preload(*, engines: bool) -> None:
    """Import what describing programs takes, and `engines` too; in the zygote, where nothing may run yet."""
    for algorithm_id in _facts():
        _describer(algorithm_id)
        if engines:
            _runner(algorithm_id)
    if engines:
        registry.preload()
        import services.execution.engines.attempt  # noqa: PLC0415 - as the next
        import services.execution.twins.twin  # noqa: F401, PLC0415 - describing programs needs no engine


def serve(connection: Connection, *, engines: bool) -> None:
    """Answer requests until the parent goes away; without `engines` a run has to wait for its imports."""
    _warm_up(engines=engines)
    connection.send_bytes(task.encode(task.Ready(os.getpid())))
    while True:
        try:
            request = task.decode_request(connection.recv_bytes())
        except EOFError:
            return
        if isinstance(request, task.Lane):
            connection.send_bytes(task.encode(_in_a_row(request)))
            continue
        if isinstance(request, task.Describe):
            # The signal ends the process, so that no parser has to look at a clock.
            signal.setitimer(signal.ITIMER_PROF, request.cpu_seconds)
        payload = _message(answer(request, _progress(connection)))
        signal.setitimer(signal.ITIMER_PROF, 0)
        connection.send_bytes(payload)


def _in_a_row(lane: task.Lane) -> task.Answers:
    """Run a lane, as far as its answers fit one message, and there are memory and time."""
    answers: list[task.Outcome | task.Failure | task.Starved | None] = []
    left, until = task.LARGEST_ANSWER // 2, time.monotonic() + ROW_SECONDS
    for run in lane.runs:
        if time.monotonic() > until:
            break
        told = answer(run, _silent)
        left -= len(task.encode(told))
        if left < 0 or not isinstance(told, task.Outcome | task.Failure | task.Starved):
            break
        answers.append(told)
        if isinstance(told, task.Starved):
            break
    return task.Answers((*answers, *[None] * (len(lane.runs) - len(answers))))


def _message(told: task.Answer) -> bytes:
    """The bytes of an answer; one that the parent would not take is a failure that says so."""
    payload = task.encode(told)
    if len(payload) <= task.LARGEST_ANSWER:
        return payload
    message = (
        f"the result has {len(payload)} bytes, more than the {task.LARGEST_ANSWER} that are taken; "
        "use fewer shots, or ask for less (memory, probabilities)"
    )
    return task.encode(task.Failure("RESULT_TOO_LARGE", message, "parameters"))


def answer(request: task.Describe | task.Run | task.Replay, progress: Callable[[float, str], None]) -> task.Answer:
    """Do what is asked; raises whatever is no fault of the program."""
    algorithm_id = AlgorithmId(request.algorithm_id)
    parameters = json.loads(request.parameters)
    try:
        match request:
            case task.Describe():
                done: task.Answer = _description(_describer(algorithm_id), parameters, told=request.with_circuit)
            case task.Replay():
                done = _replay(_runner(algorithm_id), request, parameters, progress)
            case task.Run():
                # What the first use of an engine imports is not the run's.
                device = _device(request, named="engine" in parameters)
                with limited_memory(request.memory_bytes):
                    done = _run(_runner(algorithm_id), device, request, parameters, progress)
        return done  # noqa: TRY300 - the handlers below answer too
    except ParameterError as error:
        return task.Failure(error.reason, str(error), error.path)
    except AlgorithmError as error:
        return task.Failure("PROGRAM_FAILED", str(error), "parameters")
    except EngineError as error:
        if error.reason != "ENGINE_FAULT" and not isinstance(error.__cause__, MemoryError):
            return task.Failure(error.reason, str(error), "parameters")
        if not _is_for_memory(error):
            raise
    except MemoryError:
        pass
    limit = request.memory_bytes if isinstance(request, task.Run) else 0
    return task.Starved(limit or available_memory())


def _description(describer: Describer, parameters: dict[str, Any], *, told: bool) -> task.Description:
    if not told or not isinstance(describer, CircuitDescriber):
        return task.Description(describer.features(parameters))
    features, tape = describer.described(parameters)
    return task.Description(features, encode(tape) if features.gate_count <= MOST_STEPS else b"")


def _device(request: task.Run, *, named: bool) -> Device:
    if request.crash:
        os.kill(os.getpid(), signal.SIGKILL)
    if request.twin:
        from services.execution.twins.twin import twin_of  # noqa: PLC0415 - describing programs needs no engine

        return twin_of(request.twin, threads=THREADS)
    engine, method = registry.engine(request.engine, threads=request.threads), cast("Method", request.method)
    if request.attempts and not named:
        from services.execution.engines.attempt import AttemptingSimulator  # noqa: PLC0415 - describing needs no engine

        return AttemptingSimulator(engine, request.engine, method, THREADS)
    return Simulator(engine, method)


def _run(
    runner: Runner,
    device: Device,
    request: task.Run,
    parameters: dict[str, Any],
    progress: Callable[[float, str], None],
) -> task.Outcome:
    journal = Journal(device)
    began_at, started = time.time(), time.perf_counter()
    result = runner.run(parameters, device=journal, shots=request.shots, seed=request.seed, progress=progress)
    outcome = _outcome(request.algorithm_id, journal, result, began_at)
    return msgspec.structs.replace(outcome, duration_ms=(time.perf_counter() - started) * 1e3)


def _replay(
    runner: Runner, request: task.Replay, parameters: dict[str, Any], progress: Callable[[float, str], None]
) -> task.Circuits | task.Outcome:
    from services.execution.live.replay import CircuitsNeeded, ReplayDevice  # noqa: PLC0415 - imports the transpiler

    journal = Journal(ReplayDevice(request.provider, request.target, request.readings))
    try:
        result = runner.run(parameters, device=journal, shots=request.shots, seed=request.seed, progress=progress)
    except CircuitsNeeded as needed:
        return task.Circuits(needed.circuits)
    outcome = _outcome(request.algorithm_id, journal, result, request.began_at)
    # What this process took was no machine's time.
    machine_ms = sum(reading.seconds for reading in request.readings) * 1e3
    return msgspec.structs.replace(
        outcome,
        duration_ms=machine_ms,
        simulated=request.target.simulated,
        stages=msgspec.structs.replace(outcome.stages, device_ms=machine_ms) if outcome.stages else None,
    )


def _outcome(algorithm_id: str, journal: Journal, result: AlgorithmResult, began_at: float) -> task.Outcome:
    """What came of a run; how long it took is the caller's to say."""
    return task.Outcome(
        result=dict(result.result),
        qubits_used=result.qubits_used,
        fidelity=min(1.0, result.fidelity),  # a sum of shares may pass 1 by a rounding
        fidelity_method=result.fidelity_method,
        engine=journal.engine,
        engine_version=journal.engine_version,
        duration_ms=0.0,
        calibration_id=journal.calibration_id,
        stages=task.Stages(
            began_at=began_at,
            device_ms=journal.device_seconds * 1e3,
            circuit_count=journal.circuit_count,
            shot_count=journal.shot_count,
        ),
        transpiled=None if journal.transpiled is None else _told(journal.transpiled),
        versions=_versions(AlgorithmId(algorithm_id)),
    )


def _told(fitted: Transpiled) -> task.Transpiled:
    gate_count = fitted.gate_count
    text = fitted.openqasm() if gate_count <= SHOWN_GATES else None
    return task.Transpiled(
        layout=list(fitted.layout),
        depth=fitted.depth,
        gate_count=gate_count,
        two_qubit_gate_count=fitted.two_qubit_gate_count,
        optimization_level=fitted.optimization_level,
        openqasm=text if text is not None and len(text) <= SHOWN_CHARACTERS else None,
    )


@functools.cache
def _versions(algorithm_id: AlgorithmId) -> dict[str, str]:
    return {
        "algorithm": _facts()[algorithm_id].version,
        "qiskit": importlib.metadata.version("qiskit"),
        "qmumma": importlib.metadata.version("qmumma-cloud"),
    }


def _is_for_memory(error: BaseException) -> bool:
    """Whether a library failed for memory: it says so by an error of Python, or in words of its own."""
    cause = error.__cause__ or error.__context__
    said = isinstance(error, MemoryError) or any(words in str(error) for words in _OUT_OF_MEMORY)
    return said or (cause is not None and _is_for_memory(cause))


def _progress(connection: Connection) -> Callable[[float, str], None]:
    """Tell no more often than PROGRESS_SECONDS, but the first stages at once: a short one would stand for a long one.

    The end is not told: the answer does that.
    """
    last, at_once = 0.0, _AT_ONCE

    def report(fraction: float, message: str) -> None:
        nonlocal last, at_once
        now = time.monotonic()
        if fraction < 1.0 and (at_once > 0 or now - last >= PROGRESS_SECONDS):
            last, at_once = now, at_once - 1
            connection.send_bytes(task.encode(task.Progress(fraction, message)))

    return report


def _silent(_fraction: float, _message: str) -> None:
    """Progress that nobody waits for."""


def _warm_up(*, engines: bool) -> None:
    """Take a Bell pair: the first program of a process pays for what the libraries set up once."""
    circuit, parameters = "circuit.openqasm.v1", json.dumps({"qasm": _WARM_UP}).encode()
    answer(task.Describe(circuit, parameters), _silent)
    if engines:
        for name in registry.ENGINES:
            # Of an engine's methods the first one; a Bell pair is simple enough for each.
            method = next(iter(registry.engine(name, threads=THREADS).capabilities.max_qubits))
            run = task.Run(circuit, parameters, shots=16, seed=0, engine=name, method=method)
            answer(run, _silent)
