"""Every provider against its fake: the same promises, whoever it is."""

from __future__ import annotations

import functools

import msgspec
import pytest
from structlog.testing import capture_logs

from services.execution.engines.engine import Outcome
from services.execution.live.errors import Busy, NotAdmitted, OutcomeUnknown
from services.execution.live.provider import Stage
from services.execution.live.target import Compiled, Target
from tests.unit.execution.devices import simulator
from tests.unit.execution.live.circuits import crossed, fitted
from tests.unit.execution.live.harness import START, Harness, IbmHarness

SHOTS = 2000
TAG = "qm-0190aaaabbbbccccddddeeeeffff0000-0"


@functools.cache
def fitted_once(target: bytes) -> Compiled:
    return fitted(crossed(), msgspec.msgpack.decode(target, type=Target), SHOTS)


async def circuit(harness: Harness) -> Compiled:
    return fitted_once(msgspec.msgpack.encode(await harness.provider.target()))


def truth() -> dict[str, float]:
    outcome: Outcome = simulator("statevector").run(crossed(), shots=1, seed=0, with_probabilities=True)
    assert outcome.probabilities is not None
    return {bits.replace(" ", ""): share for bits, share in outcome.probabilities.items()}


async def test_a_circuit_runs_and_its_counts_are_in_our_order_of_bits(harness: Harness):
    asked = await circuit(harness)
    job_id = await harness.provider.submit(asked, TAG)
    while (await harness.provider.poll(job_id)).stage is not Stage.DONE:
        pass
    result = await harness.provider.result(job_id, asked)
    assert sum(result.counts.values()) == SHOTS
    expected = truth()
    shares = {bits: count / SHOTS for bits, count in result.counts.items()}
    distance = sum(abs(shares.get(bits, 0) - expected.get(bits, 0)) for bits in {*shares, *expected}) / 2
    assert distance < 0.06  # four outcomes, 2,000 shots: more than six standard deviations
    await harness.provider.close()


async def test_a_lost_answer_is_an_unknown_outcome_and_the_tag_finds_the_one_job(harness: Harness):
    asked = await circuit(harness)
    harness.lose_submission()
    with pytest.raises(OutcomeUnknown):
        await harness.provider.submit(asked, TAG)
    found = await harness.provider.find(TAG, START)
    assert found is not None
    assert harness.job_count == 1
    assert (await harness.provider.poll(found)).stage in Stage


async def test_a_second_submission_is_the_first_where_the_provider_promises_it(harness: Harness):
    asked = await circuit(harness)
    ids = {await harness.provider.submit(asked, TAG) for _ in range(2)}
    assert harness.job_count == len(ids) == (1 if harness.provider.idempotent else 2)


async def test_a_server_that_breaks_while_a_job_is_sent_leaves_the_outcome_unknown(harness: Harness):
    asked = await circuit(harness)
    harness.fail_submission(500)
    with pytest.raises(OutcomeUnknown, match="500"):
        await harness.provider.submit(asked, TAG)
    assert await harness.provider.find(TAG, START) is None
    assert harness.job_count == 0


async def test_a_rate_limit_is_told_with_the_wait_that_is_asked_for(harness: Harness):
    asked = await circuit(harness)
    harness.fail_submission(429, retry_after="7")
    with pytest.raises(Busy) as busy:
        await harness.provider.submit(asked, TAG)
    assert busy.value.after == 7.0
    assert harness.job_count == 0


async def test_a_server_that_breaks_while_it_is_asked_is_asked_again_later(harness: Harness):
    job_id = await harness.provider.submit(await circuit(harness), TAG)
    harness.fail_asking(503)
    with pytest.raises(Busy, match="503"):
        await harness.provider.poll(job_id)
    assert (await harness.provider.poll(job_id)).stage in Stage


async def test_a_provider_that_cannot_be_reached_got_nothing(harness: Harness):
    asked = await circuit(harness)
    with pytest.raises(Busy):
        await harness.unreachable.submit(asked, TAG)


async def test_a_job_in_a_queue_is_queued_and_can_be_cancelled(harness: Harness):
    harness.stage("queued")
    asked = await circuit(harness)
    job_id = await harness.provider.submit(asked, TAG)
    assert (await harness.provider.poll(job_id)).stage is Stage.QUEUED
    await harness.provider.cancel(job_id)
    assert (await harness.provider.poll(job_id)).stage is Stage.CANCELLED
    await harness.provider.cancel(job_id)  # once more does nothing


async def test_a_job_that_fails_says_why(harness: Harness):
    harness.stage("failed")
    job_id = await harness.provider.submit(await circuit(harness), TAG)
    status = await harness.provider.poll(job_id)
    while not status.stage.ended:
        status = await harness.provider.poll(job_id)
    assert status.stage is Stage.FAILED
    assert "lost its ions" in status.detail or "warmed up" in status.detail


async def test_the_tag_finds_its_job_among_many(harness: Harness):
    asked = await circuit(harness)
    ids = [await harness.provider.submit(asked, f"{TAG}{number}") for number in range(5)]
    for number in (0, 2, 4):
        assert await harness.provider.find(f"{TAG}{number}", START) == ids[number]
    assert await harness.provider.find("qm-another-0", START) is None


async def test_credentials_are_checked_and_never_shown(harness: Harness):
    assert await harness.provider.check()
    with capture_logs() as lines, pytest.raises(NotAdmitted) as refused:
        await harness.wrong.check()
    shown = "".join([str(refused.value), repr(refused.value), str(lines), repr(vars(harness.wrong))])
    assert not any(secret in shown for secret in harness.secrets)
    assert "credentials" in str(refused.value) or "sign in" in str(refused.value)


async def test_a_target_says_what_is_known_of_its_calibration(harness: Harness):
    target = await harness.provider.target()
    if isinstance(harness, IbmHarness):
        assert target.qubit_count == 127
        assert target.calibration_id is not None
        assert target.calibration_id.startswith("ibm_brisbane/20")
        assert all(place.error is not None for place in target.gates["ecr"])
        assert len(target.readout_errors) == 127
        fidelity = fitted(crossed(), target).fidelity
        assert fidelity is not None
        assert 0.8 < fidelity < 1
    else:
        assert fitted(crossed(), target).fidelity is None


async def test_a_machine_says_how_it_is(harness: Harness):
    condition = await harness.provider.condition()
    assert (condition.online, condition.reason) == (True, "")
    assert condition.queue_seconds == 125 or condition.queue_depth in (0, 4000)
    harness.close_machine()
    condition = await harness.provider.condition()
    assert not condition.online
    assert "says that it is" in condition.reason
    with pytest.raises(Busy):
        await harness.unreachable.condition()
    await harness.provider.close()
