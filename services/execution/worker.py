"""A worker: takes jobs from the queue and runs them. Start as many as the machine has room for.

python -m services.execution.worker --config worker.toml
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import time
import uuid
from collections import Counter, deque
from collections.abc import Coroutine, Sequence
from contextlib import ExitStack
from contextvars import copy_context
from functools import partial
from typing import Any

from mesh.consumer import Consumer, Delivery
from mesh.errors import MeshError
from mesh.events import Events, Message
from mesh.identity import now
from mesh.outbox import Outbox
from mesh.process import Part, Process, run
from mesh.streams import JOBS_WORK, cancel_subject, work_subject
from mesh.telemetry import log
from services.execution.children import Children
from services.execution.config import WorkerConfig
from services.execution.engines.cost import CostModel, Limits
from services.execution.engines.memory import available_memory
from services.execution.job import Job, JobId, Queue
from services.execution.live.accounts import ProviderAccounts
from services.execution.live.store import LiveStore
from services.execution.live.story import LiveStory
from services.execution.offers import Offers
from services.execution.peers import Peers
from services.execution.place import Place
from services.execution.results.opening import open_results
from services.execution.run import Runner
from services.execution.slots import Slots
from services.execution.store import Store
from services.execution.threads import wanted_threads
from services.execution.turns import Turns

LOOK_SECONDS = 1.0
"""Between two looks at the database, for jobs whose worker is gone and those whose message was lost."""
HOLD_SECONDS = 0.05
"""How long a message waits for a place here before it is left to another worker."""
AGAIN_SECONDS = 0.01
"""Before a message that led to no job leads to another look: a claim beside it locks more jobs than it may take."""
LIVE_POOL = "live"
"""The pool of machines at providers: its workers compute nothing, and start engines with their first job."""
LIVE_CHILDREN = 1


class Worker:
    """Takes jobs of one pool for as long as it has places.

    A message of the queue says that a job waits, and wakes one worker; which job is next, the database says. So a
    message is done with once the database was asked, and one that is lost costs a second.
    """

    def __init__(self, events: Events, runner: Runner, turns: Turns, config: WorkerConfig) -> None:
        """Run with `runner` the jobs whose turn it is, woken over `events`."""
        self._events = events
        self._runner = runner
        self._turns = turns
        self._config = config
        self._slots = Slots(
            config.engine_count,
            short_count=config.short_engine_count,
            enterprise_count=config.enterprise_engine_count,
        )
        self._drained: set[Queue] = set()
        """In which nothing waited when they were last asked, and nothing was left to wait since."""
        self._heard: Counter[Queue] = Counter()
        self._heard_early: Counter[Queue] = Counter()
        self._tasks: set[asyncio.Task[None]] = set()
        self._own = copy_context()  # that of no request: whoever is overheard serves one, with its address and deadline

    async def work(self) -> None:
        """Take jobs, for as long as the process lives."""
        queues = tuple(filter(self._slots.serves, Queue))
        with ExitStack() as listening:
            for queue in queues:
                subject = work_subject(self._config.pool, queue.word)
                listening.callback(self._events.bulletin.listen(subject, partial(self._overhear, queue)))
                listening.callback(self._events.bulletin.offer(subject, partial(self._vacancy, queue)))
            async with asyncio.TaskGroup() as group:
                group.create_task(self._look())
                for queue in queues:
                    group.create_task(self._pull(queue))

    async def hear_cancel(self, subject: str, _payload: bytes) -> None:
        """Let go of a job that its team does not want any more."""
        self._runner.cancel(JobId(uuid.UUID(subject.rpartition(".")[2])))

    async def finish(self) -> None:
        """Wait for the jobs in hand, as long as the drain allows; others take over what is left."""
        if self._tasks:
            _, left = await asyncio.wait(self._tasks, timeout=self._config.drain_seconds)
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)

    async def _pull(self, queue: Queue) -> None:
        consumer = Consumer(
            self._events,
            JOBS_WORK,
            f"{self._config.pool}-{queue.word}",
            subject=work_subject(self._config.pool, queue.word),
            max_deliveries=sys.maxsize,  # busy workers hand it on
        )
        async with consumer:
            while True:
                await self._slots.room(queue)
                delivery = await anext(consumer)
                if self._is_early(queue, delivery):
                    await delivery.ack()
                    continue
                self._drained.discard(queue)
                try:
                    async with asyncio.timeout(HOLD_SECONDS):
                        await self._slots.acquire(queue)
                except TimeoutError:
                    await delivery.nak()
                    continue
                self._begin(queue, self._answer(queue, delivery))

    def _vacancy(self, queue: Queue) -> Place | None:
        """A place for a job that is being accepted in this process, where it passes none that waits."""
        if queue not in self._drained or not self._slots.take(queue):
            return None

        def begin(job: Job, accepted: asyncio.Future[bool]) -> None:
            self._turns.begin(job)
            self._begin(queue, self._run([job], accepted))

        return Place(self._turns.worker, begin)

    def _overhear(self, queue: Queue, _message: Message, _about: object) -> bool:
        """Take a message of this process, and look for the job at once, where there is a place for it."""
        self._drained.discard(queue)
        taken = self._slots.take(queue)
        if taken:
            self._begin(queue, self._answer(queue, None))
        return taken

    def _is_early(self, queue: Queue, delivery: Delivery) -> bool:
        """Whether a message tells of a job that was claimed together with an earlier one; the last one never does."""
        early = self._heard_early[queue] > 0 and delivery.pending > 0
        self._heard_early[queue] = self._heard_early[queue] - 1 if early else 0
        return early

    async def _look(self) -> None:
        queues = deque(filter(self._slots.serves, Queue))
        while True:
            try:
                for job_id, queue in await self._turns.lost():
                    if self._slots.take(queue):
                        self._begin(queue, self._again(job_id))
            except MeshError as error:
                log.warning("look_postponed", reason=error.reason)
            queues.rotate()  # where there is but one place, each comes first in turn
            for queue in queues:
                if self._slots.take(queue):
                    self._begin(queue, self._without_message(queue))
            await asyncio.sleep(LOOK_SECONDS)

    def _begin(self, queue: Queue, work: Coroutine[Any, Any, None]) -> None:
        """Work on a job in the place that was taken for it."""

        def ended(task: asyncio.Task[None]) -> None:
            self._tasks.discard(task)
            self._slots.release(queue)
            if not task.cancelled() and (error := task.exception()) is not None:  # a bug; a later look takes the job
                log.error("job_crashed", exc_info=error)

        task = asyncio.create_task(work, context=self._own.copy())
        self._tasks.add(task)
        task.add_done_callback(ended)

    async def _answer(self, queue: Queue, delivery: Delivery | None) -> None:
        """Run the job whose turn it is, once a message has come, or was overheard (None).

        Where the database could not be asked, the message comes again, and what was overheard waits for the next look.
        """
        self._heard[queue] += 1
        try:
            jobs = await self._claimed(queue)
            if not jobs:
                await asyncio.sleep(AGAIN_SECONDS)
                jobs = await self._claimed(queue)
        except Exception as error:
            if delivery is not None:
                await delivery.nak(LOOK_SECONDS)
            if not isinstance(error, MeshError):
                raise
            log.warning("claim_postponed", reason=error.reason)
            return
        if delivery is not None:
            await delivery.ack()
        self._heard_early[queue] += max(0, len(jobs) - 1)
        await self._run(jobs)

    async def _without_message(self, queue: Queue) -> None:
        """Run what waits in a queue until a message is heard again; mostly nothing does."""
        heard = self._heard[queue]
        try:
            while self._heard[queue] == heard and (jobs := await self._claimed(queue)):
                await self._run(jobs)
        except MeshError as error:
            log.warning("claim_postponed", reason=error.reason)

    async def _claimed(self, queue: Queue) -> list[Job]:
        """The jobs whose turn it is."""
        jobs = await self._turns.claim(queue)
        if jobs:
            self._drained.discard(queue)
        else:
            self._drained.add(queue)
        return jobs

    async def _run(self, jobs: Sequence[Job], accepted: asyncio.Future[bool] | None = None) -> None:
        """Run claimed jobs beside each other; a lone one that is large takes engines that nobody needs.

        `accepted` tells of a lone one that is being committed whether it was.
        """
        started = time.monotonic()
        if len(jobs) == 1:
            await self._run_wide(jobs[0], accepted)
        else:
            await asyncio.gather(*(self._runner.run_claimed(job, among_others=True) for job in jobs))
        for job in jobs:
            self._turns.ended(job, (time.monotonic() - started) / len(jobs))

    async def _run_wide(self, job: Job, accepted: asyncio.Future[bool] | None) -> None:
        more = self._slots.widen(job.queue, wanted_threads(job) - 1)
        try:
            await self._runner.run_claimed(job, threads=1 + more, accepted=accepted)
        finally:
            for _ in range(more):
                self._slots.release(job.queue)

    async def _again(self, job_id: JobId) -> None:
        """Go on with a job that another worker left."""
        try:
            await self._runner.run_job(job_id)
        except MeshError as error:
            log.warning("job_postponed", job_id=str(job_id), reason=error.reason)


async def wire(process: Process[WorkerConfig], config: WorkerConfig) -> None:
    """Connect the parts."""
    database = await process.database()
    events = await process.events()
    outbox = Outbox(database, events)
    outbox.start()
    process.on_close(outbox.close)
    live = config.pool == LIVE_POOL
    children = Children(
        LIVE_CHILDREN if live else config.engine_count,
        memory_bytes=config.engine_memory_bytes,
        total_bytes=config.memory_bytes or available_memory() * 3 // 4,
    )
    process.on_close(children.close)
    if not live:
        await children.start()
    peers, store = Peers.of(process), Store(database, outbox)
    name = f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
    runner = Runner(
        store,
        children,
        peers,
        open_results(config.results, events),
        Offers(CostModel.load(), Limits(config.run_memory_bytes, config.run_seconds)),
        worker=name,
        clock=now,
        live=LiveStory(
            LiveStore(database, name),
            ProviderAccounts.of(peers.accounts, config.provider_credentials_file, now),
            children,
            run_seconds=config.run_seconds,
            clock=now,
        )
        if live
        else None,
        telemetry=process.telemetry,
    )
    turns = Turns(store, pool=config.pool, worker=name, priority_weight=config.priority_weight, clock=now)
    worker = Worker(events, runner, turns, config)
    await events.subscribe(cancel_subject("*"), worker.hear_cancel)
    process.on_close(worker.finish)
    process.background(worker.work(), "work")
    process.server  # noqa: B018 - answers health checks


PART = Part("execution", WorkerConfig, wire)

if __name__ == "__main__":
    run(PART)
