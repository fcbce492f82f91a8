"""What a child answers to a run that its memory is not enough for, whoever says so."""

from __future__ import annotations

import pytest

from services.execution import compute, task
from services.execution.engines.engine import EngineError

RUN = task.Run("circuit.openqasm.v1", b"{}", shots=1, seed=0, engine="aer", method="statevector", memory_bytes=2**30)


def starved(engine: str) -> EngineError:
    """What an engine raises that ran out of memory (simulating.py)."""
    fault = EngineError("OUT_OF_MEMORY", f"{engine} ran out of memory")
    fault.__cause__ = MemoryError()
    return fault


@pytest.mark.parametrize("fault", [MemoryError(), starved("cirq"), EngineError("ENGINE_FAULT", "std::bad_alloc")])
def test_a_run_without_enough_memory_is_told_its_limit_whatever_engine_says_so(
    monkeypatch: pytest.MonkeyPatch, fault: Exception
):
    def run(*_: object) -> None:
        raise fault

    monkeypatch.setattr(compute, "_run", run)
    assert compute.answer(RUN, lambda *_: None) == task.Starved(2**30)


def test_what_an_engine_refuses_beforehand_keeps_its_words(monkeypatch: pytest.MonkeyPatch):
    def run(*_: object) -> None:
        raise EngineError("OUT_OF_MEMORY", "30 qubits are more than the 24 here")

    monkeypatch.setattr(compute, "_run", run)
    told = compute.answer(RUN, lambda *_: None)
    assert told == task.Failure("OUT_OF_MEMORY", "30 qubits are more than the 24 here", "parameters")
