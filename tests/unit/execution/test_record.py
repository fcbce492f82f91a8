import dataclasses
import datetime as dt
import hashlib
import json

import pytest
import rfc8785
from qm.routing.v1 import routing_pb2

from mesh.errors import ResourceExhausted
from services.execution.job import Priority
from services.execution.record import (
    LARGEST_RECORD,
    Record,
    RecordError,
    ResultObject,
    build_record,
    read_result,
    rfc3339,
)
from services.execution.task import Outcome, Stages, Transpiled
from tests.unit.execution.jobs import CREATED, backend, job

EXECUTED = dt.datetime(2026, 3, 1, 14, 0, 1, tzinfo=dt.timezone(dt.timedelta(hours=2)))
OUTCOME = Outcome({"counts": {"11": 500, "00": 524}}, 2, 0.99237, "ideal_comparison", "qiskit-aer", "0.17", 1.23456)
RECORD = (
    '{"algorithm_id":"circuit.openqasm.v1","cost_usd":0.1,"created_at":"2026-03-01T12:00:00.000005Z",'
    '"executed_at":"2026-03-01T12:00:01.000000Z",'
    '"execution":{"calibration_id":null,"circuits":null,"device_ms":null,"duration_ms":1.235,"engine":"qiskit-aer",'
    '"engine_version":"0.17","method":"statevector","seed":"9223372036854775807","shots_total":null,"simulated":true,'
    '"stages":{"accepted_at":"2026-03-01T12:00:00.000005Z","claimed_at":null,"run_began_at":null,'
    '"run_ended_at":"2026-03-01T12:00:01.000000Z"},"transpiled":null,"versions":{}},'
    '"fidelity":"99.24%","fidelity_method":"ideal_comparison","hardware":"simulator",'
    '"job_id":"qm_job_01890a5dac96774bbcceb302099a8057",'
    f'"parameters_hash":"sha256:{hashlib.sha256(b"{" + b"}").hexdigest()}","priority":"standard","qubits":29,'
    '"qubits_used":2,"result":{"counts":{"00":524,"11":500}},"shots":1024,"status":"completed",'
    '"type":"qmumma.result/v1"}'
)


def outcome(**changes: object) -> Outcome:
    return Outcome(**({name: getattr(OUTCOME, name) for name in OUTCOME.__struct_fields__} | changes))


def test_a_record_is_canonical_to_the_byte():
    assert build_record(job(parameters=b"{}"), OUTCOME, EXECUTED) == Record(RECORD.encode())


def test_a_record_does_not_depend_on_the_order_of_a_result():
    turned = outcome(result={"counts": {"00": 524, "11": 500}})
    assert build_record(job(), turned, EXECUTED) == build_record(job(), OUTCOME, EXECUTED)


@pytest.mark.parametrize("simulated", [True, False])
@pytest.mark.parametrize("kind", [routing_pb2.BACKEND_KIND_SIMULATOR, routing_pb2.BACKEND_KIND_LIVE])
def test_whether_it_was_simulated_is_the_engines_word_not_the_catalogues(
    kind: routing_pb2.BackendKind.ValueType,
    simulated: bool,  # noqa: FBT001
):
    ran = dataclasses.replace(job(), backend=backend(kind=kind))
    record = build_record(ran, outcome(simulated=simulated), EXECUTED).signed
    assert json.loads(record)["execution"]["simulated"] is simulated


def test_a_record_tells_where_the_job_ran_in_the_end():
    moved = dataclasses.replace(job(priority=Priority.PRIORITY), backend=backend(backend_id="b", method="stabilizer"))
    record = json.loads(build_record(moved, OUTCOME, EXECUTED).signed)
    assert (record["hardware"], record["execution"]["method"], record["priority"]) == ("b", "stabilizer", "priority")


def test_a_record_tells_what_ran_when_and_as_what():
    ran = outcome(
        stages=Stages(EXECUTED.timestamp() - 0.5, 400.0, 3, 3072),
        transpiled=Transpiled([5, None, 4], 7, 9, 2, 2, "OPENQASM 3.0;"),
        versions={"qiskit": "2.6.2"},
    )
    execution = json.loads(build_record(dataclasses.replace(job(), start_time=CREATED), ran, EXECUTED).signed)[
        "execution"
    ]
    assert (execution["circuits"], execution["shots_total"], execution["device_ms"]) == (3, 3072, 400)
    assert execution["stages"] == {
        "accepted_at": "2026-03-01T12:00:00.000005Z",
        "claimed_at": "2026-03-01T12:00:00.000005Z",
        "run_began_at": "2026-03-01T12:00:00.500000Z",
        "run_ended_at": "2026-03-01T12:00:01.000000Z",
    }
    assert execution["transpiled"] == {
        "layout": [5, None, 4],
        "depth": 7,
        "gates": 9,
        "two_qubit_gates": 2,
        "optimization_level": 2,
        "openqasm": "OPENQASM 3.0;",
    }
    assert execution["versions"] == {"qiskit": "2.6.2"}


@pytest.mark.parametrize(
    ("micros", "shown"), [(0, "0"), (1, "0.000001"), (50_000_000, "50"), (12_345_678, "12.345678")]
)
def test_money_is_shown_to_the_micro_dollar(micros: int, shown: str):
    assert f'"cost_usd":{shown},' in build_record(job(cost=micros), OUTCOME, EXECUTED).signed.decode().replace(
        "1e-6", "0.000001"
    )


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), 2**53, b"bytes", object(), {1: "a key"}, "\ud800"])
def test_what_json_cannot_carry_is_no_result(bad: object):
    with pytest.raises(RecordError, match="cannot be sealed"):
        build_record(job(), outcome(result={"bad": bad}), EXECUTED)


def test_endless_depth_is_no_result():
    deep: dict[str, object] = {}
    for _ in range(100_000):
        deep = {"deeper": deep}
    with pytest.raises(RecordError):
        build_record(job(), outcome(result=deep), EXECUTED)


def blob(size: int) -> Outcome:
    return outcome(result={"blob": "x" * size})


def test_a_result_is_in_the_record_up_to_a_size_to_the_byte_and_apart_from_there():
    rest = len(build_record(job(), blob(0), EXECUTED).signed)
    inside = build_record(job(), blob(LARGEST_RECORD - rest), EXECUTED)
    assert (len(inside.signed), inside.apart) == (LARGEST_RECORD, None)
    outside = build_record(job(), blob(LARGEST_RECORD - rest + 1), EXECUTED)
    assert outside.apart == rfc8785.dumps(blob(LARGEST_RECORD - rest + 1).result)
    told = json.loads(outside.signed)
    assert "result" not in told
    assert told["result_object"] == {
        "digest": f"sha256:{hashlib.sha256(outside.apart).hexdigest()}",
        "size_bytes": len(outside.apart),
        "media_type": "application/json",
    }


def test_a_record_gives_its_result_or_names_it():
    small = build_record(job(), OUTCOME, EXECUTED)
    assert read_result(small.signed) == b'{"counts":{"00":524,"11":500}}'
    large = build_record(job(), blob(LARGEST_RECORD), EXECUTED)
    named = read_result(large.signed)
    assert isinstance(named, ResultObject)
    assert (named.sha256, named.size_bytes) == (large.sha256, len(large.apart or b""))


def test_a_result_is_bounded_to_the_byte(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("services.execution.record.LARGEST_RESULT", 2 * LARGEST_RECORD)
    rest = len(rfc8785.dumps({"blob": ""}))
    assert len(build_record(job(), blob(2 * LARGEST_RECORD - rest), EXECUTED).apart or b"") == 2 * LARGEST_RECORD
    with pytest.raises(ResourceExhausted, match="use fewer shots") as refusal:
        build_record(job(), blob(2 * LARGEST_RECORD - rest + 1), EXECUTED)
    assert refusal.value.reason == "RESULT_TOO_LARGE"


def test_moments_are_utc_to_the_microsecond():
    assert rfc3339(EXECUTED) == "2026-03-01T12:00:01.000000Z"
