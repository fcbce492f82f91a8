"""Modifiers of OpenQASM 3 gates (`ctrl`, `negctrl`, `pow`, `inv`) and what they cost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from openqasm3 import ast

from services.execution.programs.scope import Scope, refuse

if TYPE_CHECKING:
    from collections.abc import Sequence

_MOST_CONTROLS = 10
_COST_OF_CONTROL = 8
"""Operations, times the square of the number of controls, that a controlled operation is synthesised into at most."""
_WIDEST_POWER = 6
"""Qubits: a power is taken of the gate's matrix."""


def fold_modifiers(
    modifiers: Sequence[ast.QuantumGateModifier], width: int, scope: Scope
) -> tuple[list[ast.QuantumGateModifier], int]:
    """Return the modifiers of a gate on `width` qubits, folded, and how many operations they make of one.

    Raises ProgramError.
    """
    folded: list[ast.QuantumGateModifier] = []
    controls, factor = 0, 1
    for modifier in modifiers:
        argument = modifier.argument
        if modifier.modifier in (ast.GateModifierName.ctrl, ast.GateModifierName.negctrl):
            count = 1 if argument is None else scope.integer(argument, "the number of controls")
            if not 1 <= count <= _MOST_CONTROLS - controls:
                refuse(modifier, "UNSUPPORTED", f"a gate takes 1 to {_MOST_CONTROLS} controls in all")
            controls += count
        elif modifier.modifier is ast.GateModifierName.pow:
            if width + controls > _WIDEST_POWER:
                refuse(modifier, "UNSUPPORTED", f"pow takes gates of at most {_WIDEST_POWER} qubits")
            factor *= 4 ** max(width, 1)
        folded.append(ast.QuantumGateModifier(modifier.modifier, argument and scope.fold(argument)))
    return folded, factor * max(1, _COST_OF_CONTROL * controls**2)
