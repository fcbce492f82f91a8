import math

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.execution import compute, task
from services.execution.programs.features import Features

OUTCOME = task.Outcome({"counts": {"0": 1}}, 1, 1.0, "exact", "qiskit-aer", "0.17", 0.5)
FEATURES = Features(2, 2, 2, 3, 2, 1, 2, 1, clifford=True, dynamic=False, unbounded=False, gates={"h": 1, "cx": 1})


@pytest.mark.parametrize(
    "message",
    [
        task.Progress(0.5, "iteration 3: -1.137306 Hartree"),
        task.Description(FEATURES),
        OUTCOME,
        task.Failure("SYNTAX_ERROR", "parameters.qasm: line 1, column 2: …", "parameters.qasm"),
    ],
)
def test_messages_of_a_child_come_back_as_they_were(message: task.Message):
    assert task.decode(task.encode(message)) == message


@pytest.mark.parametrize(
    "request_",
    [
        task.Describe("circuit.openqasm.v1", b"{}"),
        task.Run("circuit.openqasm.v1", b"{}", 1024, 2**63 - 1, "aer", "statevector"),
    ],
)
def test_requests_come_back_as_they_were(request_: task.Request):
    assert task.decode_request(task.encode(request_)) == request_


def test_a_child_begins_by_being_ready_and_is_that_once():
    ready = task.encode(task.Ready(7))
    assert task.decode_ready(ready) == task.Ready(7)
    with pytest.raises(msgspec.DecodeError):
        task.decode(ready)
    with pytest.raises(msgspec.DecodeError):
        task.decode_ready(task.encode(OUTCOME))


@pytest.mark.parametrize("word", ["describe", "run"])
def test_a_child_cannot_ask(word: str):
    with pytest.raises(msgspec.DecodeError):
        task.decode(msgspec.msgpack.encode({"type": word, "algorithm_id": "a", "parameters": b"{}"}))


@pytest.mark.parametrize(
    ("field", "lie"),
    [
        ("fidelity", 1.5),
        ("fidelity", -0.1),
        ("fidelity", math.nan),
        ("duration_ms", math.inf),
        ("duration_ms", math.nan),
        ("duration_ms", -1.0),
        ("qubits_used", -1),
        ("qubits_used", 1.5),
        ("engine", "x" * 65),
        ("result", "text"),
        ("result", None),
    ],
)
def test_an_outcome_out_of_bounds_is_refused(field: str, lie: object):
    claim = msgspec.to_builtins(OUTCOME) | {field: lie}
    with pytest.raises(msgspec.DecodeError):
        task.decode(msgspec.msgpack.encode(claim))


@pytest.mark.parametrize("text", ["a\x00b", "x" * 1001])
def test_words_that_a_table_or_a_reader_cannot_take_are_refused(text: str):
    for message in (task.Progress(0.5, text), task.Failure("X", text), task.Failure("X", "", text)):
        with pytest.raises(msgspec.DecodeError):
            task.decode(task.encode(message))


@given(st.binary(max_size=200))
def test_any_bytes_are_a_message_or_refused(payload: bytes):
    try:
        message = task.decode(payload)
    except msgspec.DecodeError:
        return
    assert isinstance(message, task.Message)


def test_an_answer_that_is_too_large_becomes_a_failure_that_says_what_to_do(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(task, "LARGEST_ANSWER", 1000)
    large = task.Outcome({"text": "x" * 1000}, 1, 1.0, "exact", "fake", "1", 0.1)
    told = task.decode(compute._message(large))
    assert isinstance(told, task.Failure)
    assert (told.reason, "use fewer shots" in told.message) == ("RESULT_TOO_LARGE", True)
    small = task.Outcome({}, 1, 1.0, "exact", "fake", "1", 0.1)
    assert task.decode(compute._message(small)) == small
