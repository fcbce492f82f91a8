"""Every algorithm asks the same questions again where it gets the same answers, as a job on a live machine must."""

import pytest

from services.execution.algorithms.listing import load_catalogue
from services.execution.engines.device import Simulator
from services.execution.engines.engine import Outcome
from services.execution.programs.program import Program
from tests.unit.execution.devices import simulator
from tests.unit.execution.marketplace import Job, Noisy


class Recording(Noisy):
    """A noisy machine that keeps what it was asked and what it answered."""

    def __init__(self) -> None:
        super().__init__(0.1)
        self.answers: list[tuple[Program, int, Outcome]] = []

    def run(self, program: Program, *, shots: int, seed: int, **how: bool) -> Outcome:
        outcome = super().run(program, shots=shots, seed=seed, **how)
        self.answers.append((program, shots, outcome))
        return outcome


class Replaying(Simulator):
    """Answers from a record, in its order, and computes nothing."""

    ideal = False

    def __init__(self, answers: list[tuple[Program, int, Outcome]]) -> None:
        inner = simulator("statevector")
        super().__init__(inner._engine, inner._method)
        self.answers = list(answers)

    def run(self, program: Program, *, shots: int, **_how: object) -> Outcome:
        asked, number, outcome = self.answers.pop(0)
        assert program.circuit == asked.circuit
        assert shots == number
        return outcome


@pytest.mark.parametrize("algorithm_id", sorted(load_catalogue()))
def test_algorithm_is_a_function_of_its_parameters_seed_and_answers(algorithm_id: str):
    job = Job(algorithm_id)
    request = dict(job.algorithm.example["request"])
    request.pop("statevector", None)  # which a machine does not have
    machine = Recording()
    first = job.done(request, device=machine, shots=1024)
    replay = Replaying(machine.answers)
    again = job.done(request, device=replay, shots=1024)
    assert machine.answers
    assert replay.answers == []
    assert again == first
