"""Programs, measured in a child process with limits of time and memory, and remembered."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections import OrderedDict
from contextlib import nullcontext
from dataclasses import dataclass, field
from weakref import WeakValueDictionary

from qm.routing.v1 import routing_pb2

from mesh.errors import InvalidArgument, ResourceExhausted
from services.execution import task
from services.execution.algorithms.algorithm import ParameterError
from services.execution.algorithms.listing import Algorithm
from services.execution.children import Children, EngineFault
from services.execution.messages import features_message
from services.execution.programs.features import Features

DESCRIBE_SECONDS = 6.0
"""CPU time that a program may take to be parsed and measured; 64 KiB of OpenQASM 3 take about 3."""
PATIENCE_SECONDS = 15.0
"""How long that may take on a busy machine, which is no fault of the program; a caller waits for longer."""
LONG_BYTES = 16 * 1024
"""Parameters beyond this size may take seconds to be measured, and leave one child to the others."""
KNOWN_PROGRAMS = 4096
"""Programs whose features are remembered: the same circuit is often sent again."""
_SHORT_CIRCUIT = 16 * 1024
"""Bytes of a circuit that is remembered with them."""


@dataclass(slots=True)
class Measured:
    """What is remembered of a program."""

    features: Features
    message: routing_pb2.Features
    circuit: bytes | None
    """The flat circuit (programs/encoding.py); None where it was not asked for, empty where there is none to show."""
    offers: dict[tuple[object, ...], list[routing_pb2.EngineOffer]] = field(default_factory=dict)
    """By all that they depend on besides."""


class Measurer:
    """Measures programs in child processes."""

    def __init__(self, children: Children) -> None:
        """Measure in `children`."""
        self._children = children
        self._known: OrderedDict[tuple[str, bytes], Measured] = OrderedDict()
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._long = asyncio.Semaphore(max(1, children.count - 1))

    async def measure(self, team_id: str, algorithm: Algorithm, parameters: bytes, *, with_circuit: bool) -> Measured:
        """The measures of a program, whose `parameters` are canonical JSON; raises InvalidArgument."""
        key = (algorithm.id, hashlib.sha256(parameters).digest())
        measured = self._known.get(key)
        if measured is None or (with_circuit and measured.circuit is None):
            describe = task.Describe(algorithm.id, _checked(algorithm, parameters), with_circuit, DESCRIBE_SECONDS)
            # One of a team at a time: its slow programs keep its own waiting, and nobody else's.
            async with self._turns.setdefault(team_id, asyncio.Lock()):
                measured = self._known.get(key)
                if measured is None or (with_circuit and measured.circuit is None):
                    measured = await self._describe(describe, key)
        else:
            self._known.move_to_end(key)
        return measured

    async def _describe(self, request: task.Describe, key: tuple[str, bytes]) -> Measured:
        try:
            async with self._long if len(request.parameters) > LONG_BYTES else nullcontext():
                description = await self._children.call(request, timeout=PATIENCE_SECONDS)
        except (ResourceExhausted, EngineFault) as error:
            message = f"parameters: the program takes over {DESCRIBE_SECONDS:.0f} s to be analysed; make it simpler"
            raise InvalidArgument(message, reason="PROGRAM_TOO_COMPLEX", field="parameters") from error
        features, circuit = description.features, description.circuit if request.with_circuit else None
        measured = Measured(features, features_message(features), circuit)
        if circuit is None or len(circuit) <= _SHORT_CIRCUIT or key not in self._known:
            short = circuit if circuit is None or len(circuit) <= _SHORT_CIRCUIT else None
            self._known[key] = Measured(features, measured.message, short, measured.offers)
            if len(self._known) > KNOWN_PROGRAMS:
                self._known.popitem(last=False)
        return measured


def _checked(algorithm: Algorithm, parameters: bytes) -> bytes:
    """The parameters with their defaults, as JSON; raises InvalidArgument naming what breaks the schema."""
    try:
        return json.dumps(algorithm.checked(json.loads(parameters))).encode()
    except ParameterError as error:
        raise InvalidArgument(str(error), reason=error.reason, field=error.path) from error
