"""Sources of random bits."""

from __future__ import annotations

import argparse
import json
import uuid

from qm.entropy.v1 import entropy_pb2 as pb
from qm.entropy.v1.entropy_pb2_grpc import EntropyServiceStub

from deploy.admin.command import Command, Shown, Thing, argument
from deploy.admin.output import time
from deploy.admin.session import Session


async def _sources(session: Session, _given: argparse.Namespace) -> Shown:
    answer = await EntropyServiceStub(session.channel("entropy")).ListSources(pb.ListSourcesRequest())
    return [_thing(source) for source in answer.sources]


async def _lift(session: Session, given: argparse.Namespace) -> Shown:
    request = pb.LiftQuarantineRequest(
        request_id=given.request_id or str(uuid.uuid4()), source_id=given.source, live=given.live, reason=given.reason
    )
    return _told((await EntropyServiceStub(session.channel("entropy")).LiftQuarantine(request)).lift)


async def _lifts(session: Session, _given: argparse.Namespace) -> Shown:
    answer = await EntropyServiceStub(session.channel("entropy")).ListLifts(pb.ListLiftsRequest())
    return [_told(lift) for lift in answer.lifts]


def _thing(source: pb.Source) -> Thing:
    return {
        "source": source.source_id,
        "simulated": source.simulated,
        "state": pb.SourceState.Name(source.state).removeprefix("SOURCE_STATE_").lower(),
        "drawn": time(source.chunk_time) if source.HasField("chunk_time") else None,
        "reason": source.reason or None,
    }


def _told(lift: pb.Lift) -> Thing:
    record = json.loads(lift.record)
    names = ("time", "source", "live", "quarantined_for", "failures_in_a_row", "reason")
    return {**{name: record[name] for name in names}, "anchor": f"vajra://txid/{lift.seal.leaf_hash.hex()}"}


COMMANDS = (
    Command(group="entropy", name="sources", summary="list the sources and how they stand", run=_sources),
    Command(
        group="entropy",
        name="lift",
        summary="let a source that is in quarantine make its start-up test now; the log tells everyone",
        run=_lift,
        arguments=(
            argument("source", "the source's name, such as sim.stabilizer"),
            argument("--reason", "why, for everyone to read in the log", required=True),
            argument("--live", "the machine itself, and not what simulates it", action="store_true"),
            argument("--request-id", "makes a repeat answer the first lift", default=""),
        ),
        examples=('entropy lift ibm_marrakesh --live --reason "recalibrated, ticket 4711"',),
        question="Let {source} be tested again? The log will tell everyone.",
    ),
    Command(group="entropy", name="lifts", summary="list the quarantines that were lifted, newest first", run=_lifts),
)
