"""Wide circuits by qsim, in single precision: the ideal distribution alone, many times as fast. Heavy: for children.

Its C++ extension is loaded by itself, as execution does: the package around it imports all of Cirq, which takes
seconds. The extension is no public interface, so the version is pinned and a test walks every gate.
"""

from __future__ import annotations

import importlib.util
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import ModuleType

    from numpy.typing import NDArray

_BUILDS = ("avx512", "avx2", "sse", "basic")
"""What `qsim_decide.detect_instructions` counts, from 0."""
_FUSED = 2
"""Qubits of a gate that others are joined to; more take longer at these widths (20 qubits: 25 ms, with four 36)."""
_RUN = {"s": 0, "t": 1, "f": _FUSED, "r": 1, "g": False, "gmode": 0, "gsst": 512, "gdb": 16, "v": 0, "z": False}


def probabilities(width: int, gates: Iterable[tuple[tuple[int, ...], NDArray[np.complex128]]]) -> NDArray[np.float32]:
    """What the gates give from |0...0>, qubit 0 lowest; each on its qubits by its matrix, the first one lowest."""
    library = _library()
    circuit = library.Circuit()
    circuit.num_qubits = width
    for time, (qubits, matrix) in enumerate(gates):
        parts = np.ascontiguousarray(matrix, dtype=np.complex128).view(np.float64).ravel().tolist()
        library.add_matrix_gate(time, list(qubits[::-1]), parts, circuit)
    state = np.asarray(library.qsim_simulate_fullstate(_RUN | {"c": circuit}, 0), dtype=np.float32)
    state = state[: 2 << width].reshape(-1, 2)
    return np.asarray(np.einsum("ij,ij->i", state, state), dtype=np.float32)


@cache
def _library() -> Any:  # noqa: ANN401 - the extension has no types
    return _extension(f"qsim_{_BUILDS[_extension('qsim_decide').detect_instructions()]}")


def _extension(name: str) -> ModuleType:
    package = importlib.util.find_spec("qsimcirq")
    if package is None or package.origin is None:
        raise ImportError("qsimcirq is not installed")
    (file,) = Path(package.origin).parent.glob(f"{name}.*.so")
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise ImportError(f"{file} is no extension")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
