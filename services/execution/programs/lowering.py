"""OpenQASM 3 rewritten into the part of it that the importer reads rightly.

Constants are folded, counted loops unrolled (so that the loop variable can index), conditions put into the importer's
forms. Gate parameters are renamed into alphabetical order, because qiskit-qasm3-import binds them in that order instead
of theirs. Everything is counted against the limits before it is made.
"""

from __future__ import annotations

import re
from functools import singledispatchmethod
from typing import TYPE_CHECKING, NamedTuple, cast

from openqasm3 import ast

from services.execution.programs.conditions import normalise
from services.execution.programs.errors import ProgramError
from services.execution.programs.inputs import input_value
from services.execution.programs.inspection import leaves_early, names_in, targets
from services.execution.programs.modifiers import fold_modifiers
from services.execution.programs.scope import Operand, Scope, refuse

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from services.execution.programs.errors import Reason
    from services.execution.programs.limits import Limits

_LARGEST_ANGLE = 256
"""Parameters in the angle of a gate once its callers' angles are put into it; the importer keeps them as formulas."""
_ALLOWED_TYPES_OF_LOOP = (ast.IntType, ast.UintType)


def lower(program: ast.Program, limits: Limits, inputs: Mapping[str, float]) -> list[ast.Statement]:
    """Return the statements of an equivalent program for the importer, its inputs bound. Raises ProgramError."""
    lowering = _Lowering(limits, inputs)
    lowered = lowering.block(program.statements, Scope())[0]
    for name in inputs:
        if name not in lowering.bound:
            raise ProgramError("UNKNOWN_INPUT", f"the program declares no input {name[:60]!r}", field="inputs")
    return lowered


class _Gate(NamedTuple):
    """A gate's operations once expanded, qubits, levels of definitions, and parameters in its longest angle."""

    cost: int
    width: int
    depth: int
    growth: int


class _Lowering:
    """One pass over the tree. It makes new nodes and changes none, so that a loop's body can be lowered repeatedly."""

    def __init__(self, limits: Limits, inputs: Mapping[str, float]) -> None:
        self._limits = limits
        self._inputs = inputs
        self.bound: set[str] = set()
        self._spent = 0
        self._times = 1
        self._depth = 0
        self._gates: dict[str, _Gate] = {}
        self._growth = 1
        self._has_alias = False

    def block(
        self, statements: Sequence[ast.Statement | ast.Pragma], scope: Scope
    ) -> tuple[list[ast.Statement], Scope]:
        """Lower statements in order; return them and the scope after the last."""
        self._depth += 1
        lowered: list[ast.Statement] = []
        for statement in statements:
            if self._depth > self._limits.nesting:
                refuse(statement, "TOO_DEEP", f"blocks nest deeper than {self._limits.nesting}")
            if isinstance(statement, ast.ConstantDeclaration):
                scope = self._constant(statement, scope)
                continue
            if isinstance(statement, ast.IODeclaration) and statement.io_identifier is ast.IOKeyword.input:
                scope = self._input(statement, scope)
                continue
            made = self._lower(statement, scope)
            for new in made:
                new.span = new.span or statement.span
            lowered += made
        self._depth -= 1
        return lowered, scope

    def _spend(self, node: ast.QASMNode, operations: int) -> None:
        self._spent += operations * self._times
        if self._spent > self._limits.operations:
            message = f"the program means more than {self._limits.operations} operations once it is expanded"
            refuse(node, "TOO_MANY_OPERATIONS", message)

    def _constant(self, node: ast.ConstantDeclaration, scope: Scope) -> Scope:
        value = scope.value(node.init_expression)
        if value is None:
            refuse(node, "UNSUPPORTED", f"the value of constant {node.identifier.name} is not constant")
        if isinstance(node.type, ast.FloatType | ast.AngleType):
            value = float(value)
        return scope.with_constant(node.identifier.name, value)

    def _input(self, node: ast.IODeclaration, scope: Scope) -> Scope:
        """Make an input the constant that was sent for it, and so bounded as every other constant is."""
        name = node.identifier.name
        if name not in self._inputs:
            refuse(node, "UNBOUND_INPUT", f"input {name} has no value: send one in `inputs`")
        self.bound.add(name)
        return scope.with_constant(name, input_value(node, self._inputs[name]))

    @singledispatchmethod
    def _lower(self, node: ast.Statement, _scope: Scope) -> list[ast.Statement]:
        kind = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", type(node).__name__).lower()
        article = "an" if kind[0] in "aeiou" else "a"
        refuse(node, "UNSUPPORTED", f"{article} {kind} cannot be run here")

    @_lower.register
    def _include(self, node: ast.Include, _scope: Scope) -> list[ast.Statement]:
        return [node]

    @_lower.register
    def _pragma(self, _node: ast.Pragma, _scope: Scope) -> list[ast.Statement]:
        return []

    @_lower.register
    def _qubits(self, node: ast.QubitDeclaration, scope: Scope) -> list[ast.Statement]:
        size = None if node.size is None else self._size(node.size, scope, self._limits.qubits, "TOO_MANY_QUBITS")
        scope.sizes[node.qubit.name] = size
        return [ast.QubitDeclaration(node.qubit, None if size is None else ast.IntegerLiteral(size))]

    @_lower.register
    def _bits(self, node: ast.ClassicalDeclaration, scope: Scope) -> list[ast.Statement]:
        if not isinstance(node.type, ast.BitType):
            kind = type(node.type).__name__.removesuffix("Type").lower()
            refuse(node, "UNSUPPORTED", f"variables of type {kind} are not supported; use const, bit or bit[n]")
        bits = node.type.size
        size = None if bits is None else self._size(bits, scope, self._limits.clbits, "TOO_MANY_CLBITS")
        scope.sizes[node.identifier.name] = size
        start = node.init_expression
        if isinstance(start, ast.QuantumMeasurement):
            self._spend(node, scope.width(start.qubit))
            start = ast.QuantumMeasurement(scope.operand(start.qubit))
        elif start is not None and scope.value(start) == 0:
            start = None
        return [
            ast.ClassicalDeclaration(
                ast.BitType(None if size is None else ast.IntegerLiteral(size)), node.identifier, start
            )
        ]

    def _size(self, node: ast.Expression, scope: Scope, most: int, reason: Reason) -> int:
        size = scope.integer(node, "a register's size")
        if size < 1:
            refuse(node, "SYNTAX_ERROR", "a register needs a size of at least 1")
        if size > most:
            refuse(node, reason, f"a register of {size} bits is larger than the {most} allowed")
        return size

    @_lower.register
    def _io(self, node: ast.IODeclaration, scope: Scope) -> list[ast.Statement]:
        return self._bits(ast.ClassicalDeclaration(node.type, node.identifier), scope)

    @_lower.register
    def _alias(self, node: ast.AliasStatement, scope: Scope) -> list[ast.Statement]:
        self._has_alias = True
        return [ast.AliasStatement(node.target, cast("ast.Concatenation", scope.fold(node.value)))]

    @_lower.register
    def _gate_definition(self, node: ast.QuantumGateDefinition, scope: Scope) -> list[ast.Statement]:
        renamed = {name.name: f"p{index:04d}_{name.name}" for index, name in enumerate(node.arguments)}
        inner = scope.inside_gate(renamed, [name.name for name in node.qubits])
        spent, self._spent, self._growth = self._spent, 1, 1
        body, _ = self.block(node.body, inner)
        depth = 1 + max((self._gates[name].depth for name in names_in(node.body) if name in self._gates), default=0)
        if depth > self._limits.nesting:
            refuse(node, "TOO_DEEP", f"gate definitions use one another deeper than {self._limits.nesting}")
        self._gates[node.name.name] = _Gate(self._spent, len(node.qubits), depth, self._growth)
        self._spent = spent
        arguments = [ast.Identifier(name) for name in renamed.values()]
        return [ast.QuantumGateDefinition(node.name, arguments, node.qubits, cast("list[ast.QuantumStatement]", body))]

    @_lower.register
    def _gate(self, node: ast.QuantumGate, scope: Scope) -> list[ast.Statement]:
        gate = self._gates.get(node.name.name, _Gate(1, len(node.qubits), 0, 1))
        modifiers, factor = fold_modifiers(node.modifiers, gate.width, scope)
        operands = [scope.operand(qubit) for qubit in node.qubits]
        self._spend(node, gate.cost * factor * max(map(scope.width, operands), default=1))
        arguments = [scope.fold(argument) for argument in node.arguments]
        formulas = (sum(name in scope.renamed for name in names_in(argument)) for argument in node.arguments)
        self._growth = max(self._growth, gate.growth * max(formulas, default=0))
        if self._growth > _LARGEST_ANGLE:
            refuse(node, "TOO_DEEP", f"an angle grows past {_LARGEST_ANGLE} parameters once the gates are expanded")
        return [ast.QuantumGate(modifiers, node.name, arguments, operands, node.duration)]

    @_lower.register
    def _phase(self, node: ast.QuantumPhase, scope: Scope) -> list[ast.Statement]:
        modifiers, factor = fold_modifiers(node.modifiers, 0, scope)
        operands = [scope.operand(qubit) for qubit in node.qubits]
        self._spend(node, factor * max(map(scope.width, operands), default=1))
        return [ast.QuantumPhase(modifiers, scope.fold(node.argument), operands)]

    @_lower.register
    def _measurement(self, node: ast.QuantumMeasurementStatement, scope: Scope) -> list[ast.Statement]:
        measured = scope.operand(node.measure.qubit)
        self._spend(node, scope.width(measured))
        if node.target is None:
            refuse(node, "UNSUPPORTED", "a measurement must be assigned to a bit: c = measure q;")
        return [ast.QuantumMeasurementStatement(ast.QuantumMeasurement(measured), scope.operand(node.target))]

    @_lower.register
    def _reset(self, node: ast.QuantumReset, scope: Scope) -> list[ast.Statement]:
        operand = scope.operand(node.qubits)
        self._spend(node, scope.width(operand))
        return [ast.QuantumReset(operand)]

    @_lower.register
    def _barrier(self, node: ast.QuantumBarrier, scope: Scope) -> list[ast.Statement]:
        self._spend(node, 1)
        return [ast.QuantumBarrier([_folded(qubit, scope) for qubit in node.qubits])]

    @_lower.register
    def _delay(self, node: ast.DelayInstruction, scope: Scope) -> list[ast.Statement]:
        self._spend(node, 1)
        return [ast.DelayInstruction(node.duration, [scope.operand(qubit) for qubit in node.qubits])]

    @_lower.register
    def _box(self, node: ast.Box, scope: Scope) -> list[ast.Statement]:
        self._spend(node, 1)
        body, _ = self.block(node.body, scope)
        return [ast.Box(None, cast("list[ast.QuantumStatement]", body))]

    @_lower.register
    def _for(self, node: ast.ForInLoop, scope: Scope) -> list[ast.Statement]:
        values = self._loop_values(node, scope)
        self._spend(node, len(values))
        if leaves_early(node.block):
            times, self._times = self._times, self._times * len(values)
            kept = ast.DiscreteSet([ast.IntegerLiteral(value) for value in values])
            body, _ = self.block(node.block, scope)
            self._times = times
            return [ast.ForInLoop(node.type, node.identifier, kept, body)]
        unrolled: list[ast.Statement] = []
        for value in values:
            unrolled += self.block(node.block, scope.with_constant(node.identifier.name, value))[0]
        return unrolled

    def _loop_values(self, node: ast.ForInLoop, scope: Scope) -> Sequence[int]:
        chosen = node.set_declaration
        if not isinstance(node.type, _ALLOWED_TYPES_OF_LOOP):
            refuse(node, "UNSUPPORTED", "only int and uint loop variables are supported")
        if isinstance(chosen, ast.DiscreteSet):
            return [scope.integer(value, "a loop's value") for value in chosen.values]
        if not isinstance(chosen, ast.RangeDefinition) or chosen.start is None or chosen.end is None:
            refuse(node, "UNSUPPORTED", "a loop needs a range [first:last] or a set {a, b} of constants")
        first, last = (scope.integer(end, "a loop's bound") for end in (chosen.start, chosen.end))
        step = 1 if chosen.step is None else scope.integer(chosen.step, "a loop's step")
        if step == 0:
            refuse(node, "ENDLESS_LOOP", "a loop's step must not be 0")
        iterations = max(0, (last - first) // step + 1)
        self._spend(node, iterations)
        return range(first, last + (1 if step > 0 else -1), step)

    @_lower.register
    def _while(self, node: ast.WhileLoop, scope: Scope) -> list[ast.Statement]:
        condition = normalise(node.while_condition, scope)
        self._spend(node, condition.cost(scope))
        if condition.test is condition.negated:
            return []
        changed = set(names_in(targets(node.block)))
        if isinstance(condition.test, bool) or (
            not self._has_alias and changed.isdisjoint(names_in(condition.test)) and not leaves_early(node.block)
        ):
            refuse(node, "ENDLESS_LOOP", "nothing in this while-loop changes its condition, so it would never end")
        if condition.negated and not scope.is_single(condition.test):
            refuse(node, "UNSUPPORTED", "a while-loop can only test a bit, or a register for equality")
        return [ast.WhileLoop(_written(condition.test, negated=condition.negated), self.block(node.block, scope)[0])]

    @_lower.register
    def _branch(self, node: ast.BranchingStatement, scope: Scope) -> list[ast.Statement]:
        test = node.condition
        if isinstance(test, ast.BinaryExpression) and test.op.name == "&&" and not node.else_block:
            inner = ast.BranchingStatement(test.rhs, node.if_block, [])
            inner.span = node.span
            return self._branch(ast.BranchingStatement(test.lhs, [inner], []), scope)
        condition = normalise(test, scope)
        self._spend(node, condition.cost(scope))
        if isinstance(condition.test, bool):
            chosen = node.if_block if condition.test is not condition.negated else node.else_block
            return self.block(chosen, scope)[0]
        then, otherwise = self.block(node.if_block, scope)[0], self.block(node.else_block, scope)[0]
        if condition.negated and scope.is_single(condition.test):
            return [ast.BranchingStatement(_written(condition.test, negated=True), then, otherwise)]
        if condition.negated:
            then, otherwise = otherwise, then
        return [ast.BranchingStatement(condition.test, then, otherwise)]

    @_lower.register(ast.BreakStatement)
    @_lower.register(ast.ContinueStatement)
    def _leave(self, node: ast.Statement, _scope: Scope) -> list[ast.Statement]:
        return [node]


def _folded(node: ast.Expression, scope: Scope) -> ast.Expression:
    """Fold a barrier's operand, which the parser types as an expression."""
    return cast("ast.Expression", scope.operand(node)) if isinstance(node, Operand) else scope.fold(node)


def _written(test: ast.Expression, *, negated: bool) -> ast.Expression:
    return ast.UnaryExpression(ast.UnaryOperator["!"], test) if negated else test
