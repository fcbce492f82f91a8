import dataclasses

import pytest
from qm.execution.v1 import execution_pb2 as pb
from qm.type.v1.requester_pb2 import Requester

from mesh.errors import NotFound
from services.execution.engines.cost import CostModel
from services.execution.job import UNPREDICTABLE, Job, Priority, Queue, Stage, State, job_not_found, public_id
from services.execution.messages import job_message
from tests.unit.execution.jobs import CREATED, JOB_ID, backend, job, new_job


def test_states_and_priorities_have_the_numbers_of_the_proto():
    assert {state.value: f"JOB_STATE_{state.name}" for state in State} == {
        value: name for name, value in pb.JobState.items() if value
    }
    assert {priority.value: f"PRIORITY_{priority.name}" for priority in Priority} == {
        value: name for name, value in pb.Priority.items() if value
    }


def test_what_may_run_to_its_limit_leaves_engines_to_others_as_long_jobs_do():
    requester = Requester(plan="academic")
    assert [Queue.of(requester, 0.04, method) for method in ("statevector", "decision_diagram")] == [
        Queue.SHORT,
        Queue.LONG,
    ]
    assert {cost.method for cost, _ in CostModel.load()._costs if not cost.predictable} == {UNPREDICTABLE}


def test_three_states_are_the_end():
    assert [state.word for state in State if state.ended] == ["completed", "failed", "cancelled"]


def test_an_accepted_job_is_queued_in_its_first_version():
    new = new_job()
    accepted = job()
    assert (accepted.state, accepted.version, accepted.attempt_count) == (State.QUEUED, 1, 0)
    assert (accepted.create_time, accepted.update_time, accepted.start_time) == (CREATED, CREATED, None)
    kept = {field.name for field in dataclasses.fields(new)} - {
        "request_id",
        "release_time",
        "public_request",
        "public_address",
        "quote_id",
        "worker",
    }
    assert all(getattr(accepted, name) == getattr(new, name) for name in kept)


def test_a_job_that_is_begun_with_its_commit_is_as_a_claim_would_leave_it():
    begun = Job.begun(new_job())
    assert (begun.state, begun.version, begun.attempt_count) == (State.RUNNING, 2, 1)
    assert (begun.start_time, begun.history) == (CREATED, (Stage.QUEUED, Stage.RUNNING))


def test_only_a_job_whose_caller_named_no_backend_may_move_and_once():
    assert job().may_reroute
    assert not job(requested_hardware="simulator").may_reroute
    moved = dataclasses.replace(job(), backend=backend(backend_id="another"))
    assert moved.rerouted
    assert not moved.may_reroute


def test_a_job_is_known_in_public_by_its_hex_digits():
    assert public_id(JOB_ID) == "qm_job_01890a5dac96774bbcceb302099a8057"


def test_no_job_is_not_found():
    assert isinstance(job_not_found(), NotFound)
    assert job_not_found().reason == "JOB_NOT_FOUND"


@pytest.mark.parametrize("state", State)
def test_a_job_costs_what_was_held_unless_it_gave_nothing(state: State):
    message = job_message(dataclasses.replace(job(), state=state))
    assert message.quoted_cost.micros == 100_000
    assert message.cost.micros == (0 if state in {State.FAILED, State.CANCELLED} else 100_000)


def test_parameters_and_records_stay_out_of_logs():
    secret = dataclasses.replace(job(parameters=b"secret"), record=b"secret")
    assert "secret" not in repr(secret)
