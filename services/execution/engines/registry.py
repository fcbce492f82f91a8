"""The engines by name, each imported at its first use and kept warm."""

from __future__ import annotations

import functools
import importlib
from typing import TYPE_CHECKING, cast

from services.execution.engines.memory import available_memory

if TYPE_CHECKING:
    from services.execution.engines.engine import Engine

_PLACES = {
    "aer": "services.execution.engines.aer:AerEngine",
    "qulacs": "services.execution.engines.qulacs:QulacsEngine",
    "qsim": "services.execution.engines.qsim:QsimEngine",
    "stim": "services.execution.engines.stim:StimEngine",
    "ddsim": "services.execution.engines.ddsim:DdsimEngine",
}
_NAMED_PLACES = {
    "braket": "services.execution.engines.braket:BraketEngine",
    "cirq": "services.execution.engines.cirq:CirqEngine",
    "pennylane": "services.execution.engines.pennylane:PennylaneEngine",
    "pyqrack": "services.execution.engines.pyqrack:PyqrackEngine",
}
ENGINES = tuple(_PLACES)
"""The names of those that are chosen from."""
NAMED = tuple(_NAMED_PLACES)
"""The names of those that run only where a caller names them."""


@functools.cache
def engine(name: str, *, threads: int = 1) -> Engine:
    """Return the engine of that name, made once for each number of threads; half of this process's memory is its limit.

    Raises KeyError for a name that is in neither ENGINES nor NAMED.
    """
    module, _, maker = (_PLACES | _NAMED_PLACES)[name].partition(":")
    made = getattr(importlib.import_module(module), maker)
    return cast("Engine", made(threads=threads, memory_limit=available_memory() // 2))


def preload() -> None:
    """Import the engines that are chosen from, and run nothing: a process may still fork after this.

    The others take seconds and hundreds of megabytes to import, so each waits for its first use in a child.
    """
    for place in _PLACES.values():
        importlib.import_module(place.partition(":")[0])
