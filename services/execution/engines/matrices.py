"""The matrices of the standard gates, in Qiskit's order: the first qubit is the lowest bit of a row's number."""

from __future__ import annotations

from cmath import exp
from functools import cache
from math import cos, pi, sin
from typing import TYPE_CHECKING

from qiskit.circuit.library import get_standard_gate_name_mapping

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Matrix = tuple[tuple[complex, ...], ...]


def matrix(name: str, angles: tuple[float, ...] = ()) -> Matrix:
    """Return the matrix of a standard gate, row by row. Raises KeyError for another."""
    return _TURNED[name](*angles) if angles else _fixed(name)


@cache
def _fixed(name: str) -> Matrix:
    return tuple(tuple(complex(entry) for entry in row) for row in get_standard_gate_name_mapping()[name].to_matrix())


def _u(theta: float, phi: float, lam: float) -> Matrix:
    cosine, sine = cos(theta / 2), sin(theta / 2)
    return (cosine, -exp(1j * lam) * sine), (exp(1j * phi) * sine, exp(1j * (phi + lam)) * cosine)


def _r(theta: float, phi: float) -> Matrix:
    cosine, sine = cos(theta / 2), -1j * sin(theta / 2)
    return (cosine, exp(-1j * phi) * sine), (exp(1j * phi) * sine, cosine)


def _diagonal(zero: complex, one: complex) -> Matrix:
    return (zero, 0), (0, one)


def _wide_diagonal(even: complex, odd: complex, last: complex) -> Matrix:
    return (even, 0, 0, 0), (0, odd, 0, 0), (0, 0, odd, 0), (0, 0, 0, last)


def _rxx(theta: float, corner: complex = 1) -> Matrix:
    cosine, sine = cos(theta / 2), -1j * sin(theta / 2)
    outer = corner * sine
    return (cosine, 0, 0, outer), (0, cosine, sine, 0), (0, sine, cosine, 0), (outer, 0, 0, cosine)


def _rzx(theta: float) -> Matrix:
    cosine, sine = cos(theta / 2), 1j * sin(theta / 2)
    return (cosine, 0, -sine, 0), (0, cosine, 0, sine), (-sine, 0, cosine, 0), (0, sine, 0, cosine)


def _rzz(theta: float) -> Matrix:
    even, odd = _half(theta)
    return _wide_diagonal(even, odd, even)


def _half(angle: float) -> tuple[complex, complex]:
    return exp(-0.5j * angle), exp(0.5j * angle)


_TURNED: Mapping[str, Callable[..., Matrix]] = {
    "u": _u,
    "u3": _u,
    "u2": lambda phi, lam: _u(pi / 2, phi, lam),
    "u1": lambda lam: _diagonal(1, exp(1j * lam)),
    "p": lambda lam: _diagonal(1, exp(1j * lam)),
    "r": _r,
    "rx": lambda theta: _r(theta, 0.0),
    "ry": lambda theta: _u(theta, 0.0, 0.0),
    "rz": lambda theta: _diagonal(*_half(theta)),
    "cp": lambda lam: _wide_diagonal(1, 1, exp(1j * lam)),
    "rzz": _rzz,
    "rxx": _rxx,
    "ryy": lambda theta: _rxx(theta, -1),
    "rzx": _rzx,
}
