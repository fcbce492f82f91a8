"""A worker: takes jobs from the queue and runs them. Start as many as the machine has room for.

python -m services.execution.worker --config worker.toml
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import uuid

from google.protobuf.message import DecodeError
from qm.execution.v1 import events_pb2

from mesh.consumer import Consumer, Delivery
from mesh.errors import MeshError
from mesh.events import Events
from mesh.identity import now
from mesh.outbox import Outbox
from mesh.process import Part, Process, run
from mesh.streams import JOBS_WORK, cancel_subject, work_subject
from mesh.telemetry import log
from services.execution.children import Children
from services.execution.config import WorkerConfig
from services.execution.engines.cost import CostModel, Limits
from services.execution.job import JobId, Priority
from services.execution.offers import Offers
from services.execution.peers import Peers
from services.execution.results.opening import open_results
from services.execution.run import Runner, Verdict
from services.execution.store import Store

RETRY_SECONDS = 3.0
"""Before a job that could not go on comes again."""


class Worker:
    """Pulls the jobs of one pool; each priority has slots of its own, so that neither waits for the other's line."""

    def __init__(self, events: Events, runner: Runner, config: WorkerConfig) -> None:
        """Run with `runner` what comes over `events`."""
        self._events = events
        self._runner = runner
        self._config = config
        self._tasks: set[asyncio.Task[None]] = set()

    async def pull(self, priority: Priority) -> None:
        """Take jobs of one priority, for as long as the process lives."""
        consumer = Consumer(
            self._events,
            JOBS_WORK,
            f"{self._config.pool}-{priority.word}",
            subject=work_subject(self._config.pool, priority.word),
            ack_wait=self._config.ack_wait_seconds,
            max_deliveries=sys.maxsize,  # the attempts that count are counted with the job
        )
        # One more than the engines: the next job is claimed while the last one is signed and settled.
        slots = asyncio.Semaphore(self._config.engine_count + 1)
        async with consumer:
            while True:
                await slots.acquire()
                task = asyncio.create_task(self._work(await anext(consumer)))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
                task.add_done_callback(lambda _: slots.release())

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

    async def _work(self, delivery: Delivery) -> None:
        handled = False
        try:
            handled = await self._handled(delivery)
        except asyncio.CancelledError:
            await delivery.nak()  # another worker takes over at once
            raise
        except MeshError as error:
            log.warning("delivery_postponed", reason=error.reason)
        except Exception:  # noqa: BLE001 - whatever it was, the message has to come again
            log.exception("delivery_crashed")
        if not handled:
            await delivery.nak(RETRY_SECONDS)

    async def _handled(self, delivery: Delivery) -> bool:
        """Run the job of a message; False where the message has to come again."""
        job_id = _job_id(delivery.payload)
        if job_id is None:
            await delivery.bury("not a JobWork message")
            return True
        match await self._runner.run_job(job_id):
            case Verdict.DONE:
                await delivery.ack()
            case Verdict.BURY:
                await delivery.bury("every attempt at the job failed")
            case Verdict.LATER:
                return False
        return True


def _job_id(payload: bytes) -> JobId | None:
    try:
        return JobId(uuid.UUID(events_pb2.JobWork.FromString(payload).job_id))
    except (DecodeError, ValueError):
        return None


async def wire(process: Process[WorkerConfig], config: WorkerConfig) -> None:
    """Connect the parts."""
    database = await process.database()
    events = await process.events()
    outbox = Outbox(database, events)
    outbox.start()
    process.on_close(outbox.close)
    children = Children(config.engine_count, memory_bytes=config.engine_memory_bytes)
    await children.start()
    process.on_close(children.close)
    runner = Runner(
        Store(database, outbox),
        children,
        Peers.of(process),
        open_results(config.results, events),
        Offers(CostModel.load(), Limits(config.run_memory_bytes, config.run_seconds)),
        worker=f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}",
        clock=now,
    )
    worker = Worker(events, runner, config)
    await events.subscribe(cancel_subject("*"), worker.hear_cancel)
    process.on_close(worker.finish)
    for priority in Priority:
        process.background(worker.pull(priority), f"pull-{priority.word}")
    process.server  # noqa: B018 - answers health checks


PART = Part("execution", WorkerConfig, wire)

if __name__ == "__main__":
    run(PART)
