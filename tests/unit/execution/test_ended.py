"""What the end of a job tells."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

from google.protobuf.duration_pb2 import Duration
from qm.routing.v1 import routing_pb2

from services.execution.ended import outcome_of
from services.execution.job import State
from services.execution.record import build_record
from services.execution.task import Outcome
from tests.unit.execution.jobs import CREATED, backend, job

TWIN = backend(backend_id="ibm_fez", engine="twin", kind=routing_pb2.BACKEND_KIND_TWIN)
DECISION = routing_pb2.Decision(decision_id="d", backend=TWIN, estimate=routing_pb2.Estimate(fidelity=0.95))
STARTED = replace(job(decision=DECISION), start_time=CREATED + dt.timedelta(milliseconds=250))
END = CREATED + dt.timedelta(seconds=1)
RAN = Outcome({}, 2, 0.9876, "ideal_comparison", "qmumma-twin", "1", 12.5, calibration_id="ibm_fez@2025-02-26")


def test_the_end_of_a_job_tells_what_was_measured_beside_what_was_predicted():
    record = build_record(STARTED, RAN, END).signed
    told = outcome_of(STARTED, State.COMPLETED, END, record=record, error_type=None)
    assert told is not None
    assert (told.decision_id, told.backend_id, told.engine) == ("d", "ibm_fez", "qmumma-twin")
    assert (told.fidelity, told.fidelity_method, told.calibration_id) == (
        0.9876,
        "ideal_comparison",
        "ibm_fez@2025-02-26",
    )
    assert told.queue_duration == Duration(nanos=250_000_000)
    assert told.run_duration == Duration(nanos=750_000_000)
    assert told.engine_duration == Duration(nanos=12_500_000)
    assert told.estimate.fidelity == 0.95
    assert not told.backend_fault


def test_a_job_that_was_moved_tells_nothing_of_its_first_prediction():
    moved = replace(STARTED, backend=backend())
    told = outcome_of(moved, State.FAILED, END, record=None, error_type="server_error")
    assert told is not None
    assert told.rerouted
    assert not told.HasField("estimate")
    assert told.backend_fault
    assert not told.HasField("fidelity")


def test_a_fault_of_the_program_is_not_the_backends_and_a_cancelled_job_tells_nothing():
    told = outcome_of(STARTED, State.FAILED, END, record=None, error_type="bad_request")
    assert told is not None
    assert (told.backend_fault, told.error_type) == (False, "bad_request")
    assert outcome_of(STARTED, State.CANCELLED, END, record=None, error_type=None) is None
