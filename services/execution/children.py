"""Child processes in which programs are parsed and run: each job alone, with limits of time and memory.

A child that crashes, runs out of memory, runs out of time or is cancelled is killed alone, and its job fails with a
clear error; a fresh one is forked from the zygote in milliseconds.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Final, overload

import msgspec

from mesh.errors import InvalidArgument, MeshError, ResourceExhausted, Unavailable
from mesh.telemetry import log
from mesh.wording import bytes_text
from services.execution import task
from services.execution.child import Child, TaskStream, Zygote, out_of_memory_kills
from services.execution.room import Room

START_SECONDS: Final = 60.0
"""How long a zygote may take to import the engines, on a cold disk."""

RESTART_SECONDS: Final = 0.2
"""Before a zygote that died is started again."""

_ANSWERS: Final = {
    task.Describe: (task.Description,),
    task.Run: (task.Outcome,),
    task.Lane: (task.Answers,),
    task.Replay: (task.Circuits, task.Outcome),
}

HEADROOM_BYTES: Final = 2**30
"""What a run may take beside twice the memory that its engine is predicted to need."""

OnProgress = Callable[[float, str], None]


class EngineFault(Exception):
    """The child ended without an answer, or answered nonsense: the engine crashed, often for memory. Another may do."""


class Children:
    """A fixed number of warm children; a call waits for a free one, in the order of arrival."""

    def __init__(self, count: int, *, memory_bytes: int, total_bytes: int | None = None, engines: bool = True) -> None:
        """Plan `count` children with at most `memory_bytes` of address space each; `start` makes them.

        Runs that say what they need get at most `total_bytes` all together, and wait for each other where that is not
        enough. Without `engines` the children are warm for describing programs alone, and start in half the time.
        """
        self._count = count
        self._memory_bytes = memory_bytes
        self._room = Room(total_bytes if total_bytes is not None else count * memory_bytes)
        self._engines = engines
        self._idle: asyncio.Queue[Child] = asyncio.Queue()
        self._zygote: Zygote | None = None
        self._replacing: set[asyncio.Task[None]] = set()
        self._one_at_a_time = asyncio.Lock()
        self._kills = out_of_memory_kills()
        self._closing = False

    @property
    def count(self) -> int:
        """How many calls run at a time."""
        return self._count

    def allowance(self, predicted_bytes: int) -> int:
        """The most memory that a run may take which is predicted to need so many bytes; 0 where nothing was predicted.

        A prediction is a bound for the engine alone: an algorithm has matrices of its own, and libraries their copies.
        """
        share = self._room.total // self._count
        wanted = 2 * predicted_bytes + HEADROOM_BYTES if predicted_bytes else share
        return min(wanted, self._memory_bytes, self._room.total)

    async def start(self) -> None:
        """Start the zygote and fork the children; raises Unavailable where the engines cannot be imported."""
        for _ in range(self._count):
            self._idle.put_nowait(await self._fork())

    @overload
    async def call(self, request: task.Describe, *, timeout: float) -> task.Description: ...

    @overload
    async def call(
        self, request: task.Run, *, timeout: float, on_progress: OnProgress | None = None
    ) -> task.Outcome: ...

    @overload
    async def call(self, request: task.Lane, *, timeout: float) -> task.Answers: ...

    @overload
    async def call(self, request: task.Replay, *, timeout: float) -> task.Circuits | task.Outcome: ...

    async def call(
        self, request: task.Request, *, timeout: float, on_progress: OnProgress | None = None
    ) -> task.Answer:
        """The answer to a request, in at most `timeout` seconds of running.

        Raises InvalidArgument for a fault of the program, ResourceExhausted when the time is up or the memory is not
        enough, and EngineFault when the child died. Cancelling the call kills the child.
        """
        async with self._room.taken(_needed(request)):
            return await self._call(request, timeout, on_progress)

    async def _call(self, request: task.Request, timeout: float, on_progress: OnProgress | None) -> task.Answer:
        child = await self._take()
        healthy = False
        try:
            async with asyncio.timeout(timeout):
                answer = await self._ask(child, request, on_progress)
            answers = answer.answers if isinstance(answer, task.Answers) else (answer,)
            healthy = not any(isinstance(each, task.Starved) for each in answers)
        except TimeoutError:
            message = f"the program ran longer than its limit of {timeout:g} s; use fewer shots, qubits or iterations"
            raise ResourceExhausted(message, reason="TIME_LIMIT") from None
        except (EOFError, OSError) as error:
            kills, self._kills = self._kills, out_of_memory_kills()
            raise EngineFault(await child.death(for_memory=self._kills > kills)) from error
        except (msgspec.DecodeError, RecursionError) as error:
            raise EngineFault("the engine gave no valid answer") from error
        finally:
            if healthy:
                self._idle.put_nowait(child)
            else:
                self._discard(child)
        if isinstance(answer, task.Failure | task.Starved):
            raise refusal(answer)
        return answer

    async def close(self) -> None:
        """Kill the zygote, and with it every child."""
        self._closing = True
        for replacing in self._replacing:
            replacing.cancel()
        await self._end_zygote()

    async def _take(self) -> Child:
        """A free child that lives; one that died while it was idle is replaced."""
        while not (child := await self._idle.get()).alive:
            self._discard(child)
        return child

    async def _ask(self, child: Child, request: task.Request, on_progress: OnProgress | None) -> task.Answer:
        await child.stream.send(task.encode(request))
        message = task.decode(await child.stream.receive())
        while isinstance(message, task.Progress):
            if on_progress is not None:
                on_progress(message.fraction, message.message)
            message = task.decode(await child.stream.receive())
        if not isinstance(message, (*_ANSWERS[type(request)], task.Failure, task.Starved)):
            raise msgspec.ValidationError(f"{type(message).__name__} answers no {type(request).__name__}")
        return message

    def _discard(self, child: Child) -> None:
        child.kill()
        if not self._closing:
            replacing = asyncio.create_task(self._replace())
            self._replacing.add(replacing)
            replacing.add_done_callback(self._replacing.discard)

    async def _replace(self) -> None:
        """Fork a child in place of one that is gone, however long it takes."""
        async with self._one_at_a_time:
            while True:
                try:
                    return self._idle.put_nowait(await self._fork())
                except Unavailable as error:
                    log.warning("engine_restarts", reason=error.message)
                await asyncio.sleep(RESTART_SECONDS)

    async def _fork(self) -> Child:
        """A fresh child, of a fresh zygote where there is none; raises Unavailable."""
        ours, theirs = socket.socketpair()
        stream = TaskStream(ours)
        try:
            with theirs:
                if self._zygote is None:
                    self._zygote = await asyncio.to_thread(Zygote, self._memory_bytes, engines=self._engines)
                    self._zygote.listen()
                self._zygote.fork(theirs)
            async with asyncio.timeout(START_SECONDS):
                ready = task.decode_ready(await stream.receive())
            return Child(stream, ready.pid, self._zygote.end_of(ready.pid))
        except (TimeoutError, EOFError, OSError, msgspec.DecodeError) as error:
            stream.close()
            if isinstance(error, TimeoutError) or self._zygote is None or not self._zygote.alive:
                await self._end_zygote()
            message = "the engine process does not start; its log says why"
            raise Unavailable(message, reason="ENGINE_UNAVAILABLE") from error

    async def _end_zygote(self) -> None:
        zygote, self._zygote = self._zygote, None
        if zygote is not None:
            await asyncio.to_thread(zygote.kill)
            zygote.close()


def refusal(answer: task.Failure | task.Starved) -> MeshError:
    """What a caller is told of a run that gave no result."""
    if isinstance(answer, task.Failure):
        return InvalidArgument(answer.message, reason=answer.reason, field=answer.field)
    message = f"the program needed more than its limit of {bytes_text(answer.memory_bytes)} of memory"
    return ResourceExhausted(f"{message}; use fewer qubits or less entanglement", reason="MEMORY_LIMIT")


def _needed(request: task.Request) -> int:
    """The most memory that a request may take at a time."""
    if isinstance(request, task.Lane):
        return max(run.memory_bytes for run in request.runs)
    return request.memory_bytes if isinstance(request, task.Run) else 0
