"""The CPU time of one circuit one way, in a warm child process of its own."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import resource
import signal
import time
from collections.abc import Callable
from enum import Enum
from functools import cache
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from types import TracebackType
from typing import Any, Self

from qiskit_aer import AerSimulator

from bench.circuits.shapes import bell
from bench.processes import cpu_seconds
from services.execution.engines import registry
from services.execution.engines.attempt import AttemptingSimulator
from services.execution.engines.cost import CostModel, Limits
from services.execution.engines.engine import EngineError, Method
from services.execution.programs.circuit import program_of
from services.execution.programs.limits import Limits as ProgramLimits
from services.execution.programs.program import Program

Way = tuple[str, str]
"""An engine and its method."""
AUTOMATIC: Way = ("Aer alone", "automatic")
CHOSEN: Way = ("chosen", "with short cuts")
"""What a job gets that leaves the engine open."""
NOT_PLANNED: frozenset[str] = frozenset({"density_matrix"})
"""Methods that no ideal simulation is planned by."""
MEMORY_BYTES = 4 * 1024**3
LONGEST_RUN_SECONDS = 300.0
ADDRESS_SPACE_BYTES = 8 * 1024**3
REPEATS, ENOUGH_SECONDS = 20, 0.1
LOOK_SECONDS = 0.05
START_SECONDS = 60.0
_PR_SET_PDEATHSIG = 1  # linux/prctl.h


class Timed(Enum):
    """Why there is no time."""

    OVER = "over"
    """It did not end in time."""
    UNABLE = "unable"
    """It refused, failed, or died."""


@cache
def ways(engines: tuple[str, ...] = registry.ENGINES) -> tuple[Way, ...]:
    """Each of the engines by every method."""
    return tuple(
        (name, method)
        for name in engines
        for method in registry.engine(name).capabilities.max_qubits
        if method not in NOT_PLANNED
    )


class Timer:
    """A child for each way, started at its first circuit and again when it had to be killed."""

    def __init__(self) -> None:
        """Fork before anything runs."""
        registry.preload()
        self._children: dict[Way, tuple[BaseProcess, Connection]] = {}

    def __enter__(self) -> Self:
        """Nothing runs yet."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Kill the children."""
        for way in list(self._children):
            self._kill(way)

    def run(self, way: Way, program: Program, shots: int, seconds: float) -> float | Timed:
        """The CPU seconds from program to counts, the least of a few runs, of which each may take `seconds`."""
        if way not in self._children:
            self._start(way)
        child, connection = self._children[way]
        spent = cpu_seconds(child.pid or 0)
        answer: float | Timed = Timed.OVER
        try:
            connection.send((program, shots))
            while not (answered := connection.poll(LOOK_SECONDS)):
                if cpu_seconds(child.pid or 0) - spent > seconds + ENOUGH_SECONDS:
                    break
            if answered:
                return connection.recv()  # type: ignore[no-any-return] # what _serve sends
        except (EOFError, OSError):
            answer = Timed.UNABLE
        self._kill(way)
        return answer

    def _start(self, way: Way) -> None:
        ours, theirs = multiprocessing.Pipe()
        arguments = (theirs, way, os.getpid())
        child = multiprocessing.get_context("fork").Process(target=_serve, args=arguments, daemon=True)
        child.start()
        theirs.close()
        if not ours.poll(START_SECONDS):
            raise SystemExit(f"{way} does not start")
        ours.recv()
        self._children[way] = child, ours

    def _kill(self, way: Way) -> None:
        child, connection = self._children.pop(way)
        child.kill()
        child.join()
        connection.close()


def _serve(connection: Connection, way: Way, parent: int) -> None:
    # Whatever ends the measurement, its children end too: one may be minutes into a run.
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        return
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE_BYTES, ADDRESS_SPACE_BYTES))
    run = _runner(way)
    run(program_of(bell(), ProgramLimits()), 16)
    connection.send("ready")
    while True:
        try:
            program, shots = connection.recv()
        except EOFError:
            return
        connection.send(_timed(run, program, shots))


def _timed(run: Callable[[Program, int], Any], program: Program, shots: int) -> float | Timed:
    times: list[float] = []
    while len(times) < REPEATS and sum(times) < ENOUGH_SECONDS:
        start = time.process_time()
        try:
            run(program, shots)
        except (EngineError, MemoryError, RuntimeError):
            return Timed.UNABLE
        times.append(time.process_time() - start)
    return min(times)


def _runner(way: Way) -> Callable[[Program, int], Any]:
    name, method = way
    if way == AUTOMATIC:
        simulator = AerSimulator(max_parallel_threads=1)

        def alone(program: Program, shots: int) -> Any:  # noqa: ANN401 - Aer has no types
            result = simulator.run(program.circuit, shots=shots, seed_simulator=7).result()
            if not result.success:
                raise RuntimeError(result.status)
            return result.get_counts()

        return alone
    if way == CHOSEN:
        model = CostModel.load()

        def chosen(program: Program, shots: int) -> Any:  # noqa: ANN401 - as above
            plans, _ = model.plans(program.features, shots, Limits(MEMORY_BYTES, LONGEST_RUN_SECONDS))
            if not plans:
                raise RuntimeError("no plan")
            plan = plans[0]
            device = AttemptingSimulator(registry.engine(plan.engine), plan.engine, plan.method, 1)
            return device.run(program, shots=shots, seed=7)

        return chosen
    engine = registry.engine(name)
    by: Method = method  # type: ignore[assignment] # one of its own
    return lambda program, shots: engine.run(program, shots=shots, seed=7, method=by)
