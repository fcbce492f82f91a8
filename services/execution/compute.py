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
from services.execution.algorithms.algorithm import AlgorithmError, ParameterError, Runner
from services.execution.algorithms.listing import AlgorithmId, load_catalogue
from services.execution.engines.engine import EngineError

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from services.execution.engines.engine import Method

THREADS = 1
"""Of one run: on busy cores more threads cost ten times what they bring."""
PROGRESS_SECONDS = 0.2
"""A child says how far it is at most this often."""
_WARM_UP = 'OPENQASM 2.0; include "qelib1.inc"; qreg q[2]; creg c[2]; h q[0]; cx q[0],q[1]; measure q -> c;'


@functools.cache
def _runners() -> dict[AlgorithmId, Runner]:
    return {algorithm.id: algorithm.load_runner() for algorithm in load_catalogue().values()}


def preload() -> None:
    """Import every algorithm and engine; in the zygote, where nothing may run yet."""
    _runners()


def serve(connection: Connection) -> None:
    """Answer requests until the parent goes away."""
    _warm_up()
    connection.send_bytes(task.encode(task.Ready(os.getpid())))
    while True:
        try:
            request = task.decode_request(connection.recv_bytes())
        except EOFError:
            return
        connection.send_bytes(task.encode(answer(request, _progress(connection))))


def answer(request: task.Request, progress: Callable[[float, str], None]) -> task.Answer:
    """Do what is asked; raises whatever is no fault of the program."""
    runner = _runners()[AlgorithmId(request.algorithm_id)]
    parameters = json.loads(request.parameters)
    try:
        if isinstance(request, task.Describe):
            return task.Description(runner.features(parameters))
        return _run(runner, request, parameters, progress)
    except ParameterError as error:
        return task.Failure(error.reason, str(error), error.path)
    except AlgorithmError as error:
        return task.Failure("PROGRAM_FAILED", str(error), "parameters")
    except EngineError as error:
        if error.reason == "ENGINE_FAULT":
            raise
        return task.Failure(error.reason, str(error), "parameters")


def _run(
    runner: Runner, request: task.Run, parameters: dict[str, Any], progress: Callable[[float, str], None]
) -> task.Outcome:
    result = runner.run(
        parameters,
        shots=request.shots,
        seed=request.seed,
        method=cast("Method", request.method),
        threads=THREADS,
        progress=progress,
    )
    return task.Outcome(
        result=dict(result.result),
        qubits_used=result.qubits_used,
        fidelity=min(1.0, result.fidelity),  # a sum of shares may pass 1 by a rounding
        fidelity_method=result.fidelity_method,
        engine=result.engine,
        engine_version=result.engine_version,
        duration_ms=result.duration_ms,
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


def _warm_up() -> None:
    """Run a Bell pair: the first run of a process pays for what the engines set up once."""
    parameters = json.dumps({"qasm": _WARM_UP}).encode()
    request = task.Run("circuit.openqasm.v1", parameters, shots=16, seed=0, method="statevector")
    answer(request, lambda _fraction, _message: None)
