"""What an engine child does: one request at a time, from parameters to an answer. Runs in forks of the zygote.

A fault of the program is an answer (Failure). A fault of the engine ends the child: the parent sees the end of the
stream, and the next child starts clean.
"""

from __future__ import annotations

import functools
import json
import os
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from services.execution import task
from services.execution.algorithms.algorithm import AlgorithmError, Describer, ParameterError, Runner
from services.execution.algorithms.facts import AlgorithmId, Facts, algorithm_folders, read_defaults, read_facts
from services.execution.engines import registry
from services.execution.engines.device import Simulator
from services.execution.engines.engine import EngineError

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from services.execution.engines.device import Device
    from services.execution.engines.engine import Method

THREADS = 1
"""Of one run: on busy cores more threads cost ten times what they bring."""
PROGRESS_SECONDS = 0.2
"""A child says how far it is at most this often."""
_WARM_UP = 'OPENQASM 2.0; include "qelib1.inc"; qreg q[2]; creg c[2]; h q[0]; cx q[0],q[1]; measure q -> c;'


@functools.cache
def _facts() -> dict[AlgorithmId, Facts]:
    return {AlgorithmId(folder.name): read_facts(folder) for folder in algorithm_folders()}


@functools.cache
def _defaults() -> dict[AlgorithmId, dict[str, Any]]:
    return {AlgorithmId(folder.name): read_defaults(folder) for folder in algorithm_folders()}


@functools.cache
def _describer(algorithm_id: AlgorithmId) -> Describer:
    return _facts()[algorithm_id].load_describer()


@functools.cache
def _runner(algorithm_id: AlgorithmId) -> Runner:
    return _facts()[algorithm_id].load_runner()


def preload(*, engines: bool) -> None:
    """Import what describing programs takes, and `engines` too; in the zygote, where nothing may run yet."""
    _defaults()
    for algorithm_id in _facts():
        _describer(algorithm_id)
        if engines:
            _runner(algorithm_id)
    if engines:
        registry.preload()
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
        connection.send_bytes(_message(answer(request, _progress(connection))))


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


def answer(request: task.Request, progress: Callable[[float, str], None]) -> task.Answer:
    """Do what is asked; raises whatever is no fault of the program."""
    algorithm_id = AlgorithmId(request.algorithm_id)
    # A job keeps what was sent; what was left out has its default here.
    parameters = {**_defaults()[algorithm_id], **json.loads(request.parameters)}
    try:
        if isinstance(request, task.Describe):
            return task.Description(_describer(algorithm_id).features(parameters))
        return _run(_runner(algorithm_id), request, parameters, progress)
    except ParameterError as error:
        return task.Failure(error.reason, str(error), error.path)
    except AlgorithmError as error:
        return task.Failure("PROGRAM_FAILED", str(error), "parameters")
    except EngineError as error:
        if error.reason == "ENGINE_FAULT":
            raise
        return task.Failure(error.reason, str(error), "parameters")


def _device(request: task.Run) -> Device:
    if request.twin:
        from services.execution.twins.twin import twin_of  # noqa: PLC0415 - describing programs needs no engine

        return twin_of(request.twin, threads=THREADS)
    return Simulator(registry.engine(request.engine, threads=THREADS), cast("Method", request.method))


def _run(
    runner: Runner, request: task.Run, parameters: dict[str, Any], progress: Callable[[float, str], None]
) -> task.Outcome:
    device = _device(request)
    started = time.perf_counter()
    result = runner.run(
        parameters,
        device=device,
        shots=request.shots,
        seed=request.seed,
        progress=progress,
    )
    return task.Outcome(
        result=dict(result.result),
        qubits_used=result.qubits_used,
        fidelity=min(1.0, result.fidelity),  # a sum of shares may pass 1 by a rounding
        fidelity_method=result.fidelity_method,
        engine=device.engine,
        engine_version=device.engine_version,
        duration_ms=(time.perf_counter() - started) * 1e3,
        calibration_id=device.calibration_id,
    )


def _progress(connection: Connection) -> Callable[[float, str], None]:
    last = 0.0

    def report(fraction: float, message: str) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= PROGRESS_SECONDS:
            last = now
            connection.send_bytes(task.encode(task.Progress(fraction, message)))

    return report


def _warm_up(*, engines: bool) -> None:
    """Take a Bell pair: the first program of a process pays for what the libraries set up once."""
    circuit, parameters = "circuit.openqasm.v1", json.dumps({"qasm": _WARM_UP}).encode()
    answer(task.Describe(circuit, parameters), lambda _fraction, _message: None)
    if engines:
        for name in registry.ENGINES:
            # Of an engine's methods the first one; a Bell pair is simple enough for each.
            method = next(iter(registry.engine(name, threads=THREADS).capabilities.max_qubits))
            run = task.Run(circuit, parameters, shots=16, seed=0, engine=name, method=method)
            answer(run, lambda _fraction, _message: None)
