"""A machine as circuits are fitted to it: gates, where they act, how often they fail, and the text that it reads.

A snapshot of a provider's calibration, small enough to travel to an engine child as MessagePack.
"""

from __future__ import annotations

from typing import Literal

import msgspec

Dialect = Literal["openqasm2", "braket", "ionq"]
"""OpenQASM 2 with qelib1, OpenQASM 3 with Braket's gate names, or IonQ's JSON list of gates."""


class Place(msgspec.Struct, frozen=True, array_like=True):
    """Qubits that a gate acts on, in order, and its error there (1 - average gate fidelity; None where unknown)."""

    qubits: tuple[int, ...]
    error: float | None


class Target(msgspec.Struct, frozen=True):
    """A machine at one time."""

    device: str
    dialect: Dialect
    qubit_count: int
    gates: dict[str, tuple[Place, ...]]
    """By Qiskit's names; a gate without places acts anywhere, and its provider finds the place."""
    readout_errors: tuple[float, ...] = ()
    """By qubit; empty where unknown."""
    calibration_id: str | None = None
    """Names the calibration by the machine and its time."""
    simulated: bool = False
    """Whether the provider only simulates."""


class Compiled(msgspec.Struct, frozen=True):
    """A circuit as it is sent."""

    text: str
    """In the target's dialect."""
    qubit_count: int
    """Qubits that the text declares."""
    readout: tuple[tuple[int, int], ...]
    """Each classical bit that is measured, and the qubit of the text that it is measured from."""
    clbit_count: int
    """Classical bits of the program; those that are not measured stay 0."""
    digest: str
    """Of the circuit as the algorithm asked for it, and its shots."""
    shots: int
    fidelity: float | None
    """The chance that no gate and no readout fails, by the calibration; None where it does not say."""
    depth: int
    two_qubit_gates: int


class Reading(msgspec.Struct, frozen=True):
    """What a machine answered to one circuit."""

    digest: str
    counts: dict[str, int]
    """By classical bits, bit 0 rightmost, without spaces."""
    fidelity: float | None
    """As compiled."""
    seconds: float
    """That the machine worked on it, where its provider says so; else 0."""
