"""Random bits through the whole service: once each, tested, accounted for, and never from a source that failed."""

from __future__ import annotations

import asyncio
import datetime as dt
import hashlib
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import pytest
import pytest_asyncio
from qm.entropy.v1 import entropy_pb2 as pb
from qm.type.v1 import requester_pb2
from qmumma.entropy import examine_bits

from mesh.errors import Conflict, InvalidArgument, NotFound, Unavailable
from mesh.identity import Authority
from services.entropy.block import Grade
from services.entropy.source import SourceKey, State
from tests.conftest import RunningPostgres
from tests.mesh.entropic import BLOCK_BITS, CALL, MACHINE, SIMULATOR, Entropy, good, making_entropy, requester

SOURCE = SourceKey(SIMULATOR)


@pytest_asyncio.fixture(scope="module")
async def make(postgres: RunningPostgres, authority: Authority, scratch: Path) -> AsyncIterator[Callable[..., Any]]:
    async with making_entropy(postgres, authority, scratch) as make:
        yield make


@pytest_asyncio.fixture(scope="module")
async def shared(make: Callable[..., Any]) -> Entropy:
    """A service with a full pool, for tests that break nothing."""
    entropy: Entropy = await make(ready_blocks=2)
    await entropy.refiller.fill(SOURCE)
    return entropy


async def test_bits_fill_their_last_byte_from_its_high_end_and_cost_a_cent_for_each_started_10000(shared: Entropy):
    answer = await shared.generate(10_001)
    assert len(answer.data) == 1251
    assert answer.data[-1] in {0, 0x80}
    assert (answer.bit_count, answer.cost.micros, answer.simulated) == (10_001, 20_000, True)
    assert answer.tests_passed
    assert not answer.record
    assert 20_000 in shared.billing.settled


async def test_a_short_certified_answer_says_that_its_block_was_tested(shared: Entropy):
    answer = await shared.generate(1000, certification=True)
    record = json.loads(answer.record)
    report = record["report"]
    assert record["data_sha256"] == hashlib.sha256(answer.data).hexdigest()
    assert report["sp800_22"]["of"] == "block"
    assert report["sp800_22"]["tested_bits"] == BLOCK_BITS
    tests = report["sp800_22"]["tests"]
    assert sum(len(test["p_values"]) for test in tests) == report["sp800_22"]["p_value_count"]
    assert next(test["name"] for test in tests if test.get("not_applicable")) == "OverlappingTemplate"
    assert report["source"]["credited_min_entropy_bits"] == 0
    assert report["source"]["simulated"] is record["simulated"] is True
    assert len(report["sp800_90b"]["estimates"]) == 10
    assert shared.signing.records[f"entropy/{answer.entropy_id}"] == answer.record
    assert [check.ok for check in examine_bits({**record, "data": answer.data.hex().upper()})] == [True]
    assert [check.ok for check in examine_bits({**record, "data": answer.data[1:].hex()})] == [False]


async def test_a_record_and_its_picture_can_be_read_by_its_own_team_alone(shared: Entropy):
    ours = requester()
    answer = await shared.generate(certification=True, requester=ours)
    request = pb.GetCertificationRequest(requester=ours, entropy_id=answer.entropy_id)
    found = await shared.service.GetCertification(request, CALL)
    assert found.record == answer.record
    marks = [mark for mark in ET.fromstring(found.plot_svg).iter() if mark.tag.endswith("circle")]  # noqa: S314
    assert len(marks) == 2 * json.loads(found.record)["report"]["sp800_22"]["p_value_count"]
    request.requester.CopyFrom(requester())
    with pytest.raises(NotFound):
        await shared.service.GetCertification(request, CALL)


async def test_no_bit_is_handed_out_twice_at_once_or_after_a_kill(make: Callable[..., Any]):
    entropy: Entropy = await make(ready_blocks=3)
    await entropy.refiller.fill(SOURCE)
    answers = await asyncio.gather(*(entropy.generate(8 * 512) for _ in range(40)))
    entropy.again()  # as after kill -9: the open block was in memory alone
    answers += await asyncio.gather(*(entropy.generate(8 * 512) for _ in range(80)))
    everything = b"".join(answer.data for answer in answers)
    pieces = {everything[start : start + 8] for start in range(0, len(everything), 8)}
    assert len(pieces) == len(everything) // 8
    takes = (entropy.store.take(SOURCE, Grade.DRBG, tested=False) for _ in range(20))  # as several processes do
    taken = [block.block_id for block in await asyncio.gather(*takes) if block is not None]
    assert len(taken) == len(set(taken)) == 16 - 3


async def test_neither_seeds_nor_answers_lie_in_the_database_in_clear(shared: Entropy):
    answer = await shared.generate(2048, keep_answer=True)
    block = await shared.store.untested(SOURCE)
    assert block is not None
    kept = b"".join(
        bytes(row["sealed"])
        for row in await shared.database.fetch("SELECT sealed FROM blocks UNION ALL SELECT sealed FROM answers")
        if row["sealed"]
    )
    for secret in (answer.data, block.secret):
        assert not any(secret[start : start + 16] in kept for start in range(0, len(secret), 16))
    assert block.secret.hex() not in repr(block)


async def test_a_repeat_gets_the_same_bits_for_nothing_and_another_request_is_refused(shared: Entropy):
    same: dict[str, Any] = {"requester": requester(), "request_id": "my key", "keep_answer": True}
    first, second = await asyncio.gather(shared.generate(**same), shared.generate(**same))
    assert first.data == second.data
    assert sorted((first.replayed, second.replayed)) == [False, True]
    holds = len(shared.billing.holds)
    assert (await shared.generate(**same)).data == first.data
    assert len(shared.billing.holds) == holds
    with pytest.raises(Conflict) as refused:
        await shared.generate(**same, fingerprint=b"g" * 32)
    assert refused.value.reason == "IDEMPOTENCY_KEY_REUSED"
    assert (await shared.generate(**same | {"requester": requester()})).data != first.data


async def test_two_processes_that_work_on_one_key_at_once_give_one_answer_for_one_price(shared: Entropy):
    same: dict[str, Any] = {"requester": requester(), "request_id": "one key", "keep_answer": True}
    first = await shared.generate(**same)
    holds = len(shared.billing.holds)
    team = same["requester"].team_id
    other = first.__class__(data=b"another process was later")
    assert (await shared.archive.keep(team, "one key", other)).data == first.data
    assert (await shared.generate(**same)).data == first.data
    assert len(shared.billing.holds) == holds


async def test_a_kept_answer_is_forgotten_after_a_day(make: Callable[..., Any]):
    entropy: Entropy = await make()
    await entropy.refiller.fill(SOURCE)
    same: dict[str, Any] = {"requester": requester(), "request_id": "k", "keep_answer": True}
    first = await entropy.generate(**same)
    entropy.now += dt.timedelta(hours=24)
    await entropy.generator.expire()
    assert (await entropy.generate(**same)).replayed
    entropy.now += dt.timedelta(hours=2)
    await entropy.generator.expire()
    assert (await entropy.generate(**same)).data != first.data


async def test_a_test_key_pays_nothing(shared: Entropy):
    answer = await shared.generate(requester=requester(requester_pb2.ENVIRONMENT_TEST))
    assert answer.cost.micros == 0


async def test_what_cannot_be_signed_is_neither_answered_nor_charged_and_can_be_repeated(shared: Entropy):
    same: dict[str, Any] = {"requester": requester(), "request_id": "again", "keep_answer": True, "certification": True}
    shared.signing.before["SignRecord"].append(Unavailable("down", reason="PEER_UNAVAILABLE"))
    settled = len(shared.billing.settled)
    with pytest.raises(Unavailable):
        await shared.generate(**same)
    assert len(shared.billing.settled) == settled
    assert not (await shared.generate(**same)).replayed
    assert len(shared.billing.settled) == settled + 1


async def test_a_hold_that_the_sweeper_gave_back_is_replaced(shared: Entropy):
    same: dict[str, Any] = {"requester": requester(), "request_id": "crashed", "keep_answer": True}
    team_id = same["requester"].team_id
    hold_id = "0199d1c2-0000-7000-8000-000000000009"
    await shared.archive.reserve(team_id, "crashed", fingerprint=b"f" * 32, hold_id=hold_id, now=shared.now)  # type: ignore[arg-type]
    shared.billing.holds[hold_id] = [10_000, 3]
    assert (await shared.generate(**same)).data
    assert shared.billing.holds[hold_id][1] == 3


async def test_a_call_that_the_mesh_repeats_after_a_stop_is_answered(shared: Entropy):
    same: dict[str, Any] = {"requester": requester(), "request_id": "made up by the edge"}
    shared.signing.before["SignRecord"].append(Unavailable("stopping", reason="SHUTTING_DOWN"))
    with pytest.raises(Unavailable):
        await shared.generate(**same, certification=True)
    assert (await shared.generate(**same, certification=True)).data


async def test_certified_bits_enough_for_it_are_tested_themselves_while_others_are_served(make: Callable[..., Any]):
    entropy: Entropy = await make(block_bits=1_048_576)
    await entropy.refiller.fill(SOURCE)
    certified = asyncio.create_task(entropy.generate(1_000_000, certification=True, encoding=pb.ENCODING_RAW))
    for _ in range(5):
        assert (await entropy.generate(64)).tests_passed
    assert not certified.done()
    suite = json.loads((await certified).record)["report"]["sp800_22"]
    assert (suite["of"], suite["tested_bits"]) == ("data", 1_000_000)
    assert suite["p_value_count"] in {162, 188}  # some walks return to zero too rarely for the excursions


async def test_full_entropy_never_comes_from_a_simulator(shared: Entropy):
    with pytest.raises(Unavailable) as refused:
        await shared.generate(grade=pb.GRADE_FULL_ENTROPY)
    assert refused.value.reason == "HARDWARE_UNAVAILABLE"
    with pytest.raises(InvalidArgument) as wrong:
        await shared.generate(grade=pb.GRADE_FULL_ENTROPY, source=SIMULATOR)
    assert wrong.value.field == "grade"
    with pytest.raises(InvalidArgument) as unknown:
        await shared.generate(source="moon")
    assert unknown.value.reason == "UNKNOWN_SOURCE"


async def test_a_machine_gives_full_entropy_with_credit_and_never_to_a_test_key(make: Callable[..., Any]):
    entropy: Entropy = await make(live_sources=(MACHINE,))
    live = SourceKey(MACHINE, live=True)
    await entropy.refiller.fill(live)
    answer = await entropy.generate(4096, grade=pb.GRADE_FULL_ENTROPY, certification=True)
    record = json.loads(answer.record)
    assert (record["source"], record["simulated"], record["grade"]) == (MACHINE, False, "full_entropy")
    assert record["report"]["source"]["credited_min_entropy_bits"] == 32_768
    assert record["report"]["generator"] is None
    assert entropy.execution.asked[-1].requester.environment == requester_pb2.ENVIRONMENT_LIVE
    with pytest.raises(InvalidArgument) as much:
        await entropy.generate(100_000, grade=pb.GRADE_FULL_ENTROPY)
    assert much.value.reason == "TOO_MANY_BITS"
    with pytest.raises(Unavailable):
        await entropy.generate(grade=pb.GRADE_FULL_ENTROPY, requester=requester(requester_pb2.ENVIRONMENT_TEST))
    sources = (await entropy.service.ListSources(pb.ListSourcesRequest(), CALL)).sources
    assert [source.source_id for source in sources] == [MACHINE, SIMULATOR]
    assert [source.state for source in sources] == [pb.SOURCE_STATE_HEALTHY, pb.SOURCE_STATE_IDLE]


def _once(bits: np.ndarray) -> Callable[[int], np.ndarray]:
    return lambda count: np.resize(bits, count)


FAULTS: dict[str, Callable[[], Callable[[int], np.ndarray]]] = {
    "stuck": lambda: lambda count: np.ones(count, np.uint8),
    "biased": lambda: lambda count: good(count) | good(count),
    "periodic": lambda: _once(good(997)),
    "repeated": lambda: _once(good(200_000)),
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_source_that_fails_gives_nothing_until_it_passes_again(make: Callable[..., Any], fault: str):
    entropy: Entropy = await make(ready_blocks=1)
    entropy.execution.bits = FAULTS[fault]()
    if fault == "repeated":  # the first time it looks like any other
        await entropy.refiller.fill(SOURCE)
        assert (await entropy.generate()).data
        await entropy.database.execute("DELETE FROM blocks")
    await entropy.refiller.fill(SOURCE)
    for bits in (64, 200_000):
        with pytest.raises(Unavailable) as refused:
            await entropy.generate(bits, certification=bits > 64)
        assert refused.value.reason == "HARDWARE_UNAVAILABLE"
        assert refused.value.metadata["retry_after_seconds"] == f"{entropy.config.quarantine_seconds:.0f}"
    assert await entropy.database.fetchval("SELECT count(*) FROM blocks") == 0
    [source] = await entropy.store.sources()
    assert source.state is State.QUARANTINED
    assert source.reason
    assert all(state == 3 for _, state in entropy.billing.holds.values() if state != 2)
    draws = entropy.execution.calls["SubmitJob"]
    entropy.execution.bits = good
    await entropy.refiller.fill(SOURCE)
    assert entropy.execution.calls["SubmitJob"] == draws  # not before its time
    entropy.now += dt.timedelta(seconds=entropy.config.quarantine_seconds)
    await entropy.refiller.fill(SOURCE)
    assert (await entropy.generate()).tests_passed


async def test_a_lifted_quarantine_is_logged_with_its_reason_and_skips_no_start_up_test(make: Callable[..., Any]):
    entropy: Entropy = await make()

    def lift(number: int, **changes: Any) -> Any:
        known = {"request_id": f"lift-{number}", "source_id": SIMULATOR, "reason": "the cable was loose"}
        return entropy.service.LiftQuarantine(pb.LiftQuarantineRequest(**known | changes), CALL)

    with pytest.raises(NotFound):
        await lift(0)
    entropy.execution.bits = FAULTS["stuck"]()
    await entropy.refiller.fill(SOURCE)
    entropy.signing.before["SignRecord"].append(Unavailable("down", reason="PEER_UNAVAILABLE"))
    with pytest.raises(Unavailable):
        await lift(1)
    await entropy.refiller.fill(SOURCE)
    assert entropy.execution.calls["SubmitJob"] == 1  # what is not in the log is not done
    told = (await lift(1)).lift
    assert json.loads(told.record) == {
        "type": "qmumma.quarantine_lift/v1",
        "request_id": "lift-1",
        "source": SIMULATOR,
        "live": False,
        "quarantined_for": "repetition count test: 65536 equal bits in a row, of 61 allowed",
        "failures_in_a_row": 1,
        "by": "operator",
        "reason": "the cable was loose",
        "time": "2026-11-21T12:00:01.000000Z",
    }
    with pytest.raises(Unavailable):  # nothing leaves it before it has passed
        await entropy.generate()
    await entropy.refiller.fill(SOURCE)
    [source] = await entropy.store.sources()
    assert (source.state, source.failure_count) == (State.QUARANTINED, 2)
    assert (await lift(1)).lift == told  # a repeat lifts nothing a second time
    await entropy.refiller.fill(SOURCE)
    assert entropy.execution.calls["SubmitJob"] == 2
    with pytest.raises(Conflict):
        await lift(1, source_id="another")
    entropy.execution.bits = good
    entropy.now += dt.timedelta(seconds=1)
    await lift(2)
    await entropy.refiller.fill(SOURCE)
    assert (await entropy.generate()).tests_passed
    with pytest.raises(Conflict) as well:
        await lift(3)
    assert well.value.reason == "NOT_QUARANTINED"
    lifts = (await entropy.service.ListLifts(pb.ListLiftsRequest(), CALL)).lifts
    assert [json.loads(each.record)["request_id"] for each in lifts] == ["lift-2", "lift-1"]


async def test_a_failure_closes_blocks_that_are_open_in_memory(make: Callable[..., Any]):
    entropy: Entropy = await make()
    await entropy.refiller.fill(SOURCE)
    await entropy.generate()
    entropy.execution.bits = FAULTS["stuck"]()
    await entropy.database.execute("DELETE FROM blocks")
    await entropy.refiller.fill(SOURCE)
    with pytest.raises(Unavailable) as refused:
        await entropy.generate()
    assert refused.value.reason == "HARDWARE_UNAVAILABLE"


async def test_an_examiner_that_dies_is_replaced(shared: Entropy):
    await shared.laboratory.run_suite(bytes(200), 1600)
    assert shared.laboratory._child is not None
    shared.laboratory._child.kill()
    await shared.laboratory._child.wait()
    assert not (await shared.laboratory.run_suite(bytes(200), 1600))["passed"]


async def test_the_beacon_is_a_chain_with_one_value_an_hour(make: Callable[..., Any]):
    entropy: Entropy = await make()
    await entropy.refiller.fill(SOURCE)
    with pytest.raises(NotFound):
        await entropy.service.GetBeacon(pb.GetBeaconRequest(), CALL)
    entropy.signing.before["SignRecord"].append(Unavailable("down", reason="PEER_UNAVAILABLE"))
    with pytest.raises(Unavailable):
        await entropy.beacon.pulse()
    for _ in range(2):  # the value that was not signed is signed now, and is no other
        await entropy.beacon.pulse()
    entropy.now += dt.timedelta(hours=1)
    await entropy.beacon.pulse()
    first, newest = [
        await entropy.service.GetBeacon(pb.GetBeaconRequest(beacon_index=index), CALL) for index in (0, None)
    ]
    records = json.loads(first.record), json.loads(newest.record)
    assert [record["beacon_index"] for record in records] == [0, 1]
    assert records[1]["previous_hash"] == f"sha256:{hashlib.sha256(first.record).hexdigest()}"
    assert records[0]["previous_hash"] == "sha256:" + 64 * "0"
    assert records[0]["value"] != records[1]["value"]
    assert list(entropy.signing.records) == ["beacon/0", "beacon/1"]
