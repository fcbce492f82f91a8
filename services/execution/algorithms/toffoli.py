"""X with many controls, made of Toffoli gates and the like."""

from __future__ import annotations

from collections.abc import Sequence

from qiskit import QuantumCircuit
from qiskit.synthesis import synth_mcx_1_clean_kg24

_TOFFOLI, _TWO_TOFFOLIS = 2, 3
"""Controls that one Toffoli, or two and the spare qubit, can take."""


def flip_with_spare(circuit: QuantumCircuit, controls: Sequence[int], target: int, spare: int) -> None:
    """Append X on `target` where all `controls` are 1; `spare` is |0> before and after.

    With many controls by the construction of Khattar and Gidney, arXiv:2407.17966, linear in them.
    """
    if not controls:
        circuit.x(target)
    elif len(controls) == 1:
        circuit.cx(controls[0], target)
    elif len(controls) == _TOFFOLI:
        circuit.ccx(*controls, target)
    elif len(controls) == _TWO_TOFFOLIS:
        circuit.ccx(controls[0], controls[1], spare)
        circuit.ccx(spare, controls[2], target)
        circuit.ccx(controls[0], controls[1], spare)
    else:
        circuit.compose(synth_mcx_1_clean_kg24(len(controls)), [*controls, target, spare], inplace=True)


def flip_with_borrowed(circuit: QuantumCircuit, controls: Sequence[int], target: int, borrowed: Sequence[int]) -> None:
    """Append X on `target` where all `controls` are 1, with two `borrowed` qubits fewer than controls, in any state.

    4 (k - 2) Toffoli gates for k controls: Barenco et al., arXiv:quant-ph/9503016, lemma 7.2.
    """
    if len(controls) <= _TOFFOLI:
        flip_with_spare(circuit, controls, target, target)
        return
    chain = [*borrowed[: len(controls) - _TOFFOLI], target]
    ladder = list(zip(controls[_TOFFOLI:], chain[:-1], chain[1:], strict=True))[::-1]
    for steps in (ladder, ladder[1:]):
        for step in (*steps, (controls[0], controls[1], chain[0]), *reversed(steps)):
            circuit.ccx(*step)
