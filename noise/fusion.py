"""Circuits as few noisy channels: each gate with the noise that follows it, neighbours multiplied together."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias, cast

import numpy as np

from noise.channel import Channel, gate_noise, joined, relaxation, swapped, unitary

if TYPE_CHECKING:
    from qiskit import QuantumCircuit
    from qiskit.circuit import CircuitInstruction

    from noise.machine import Machine

Step: TypeAlias = tuple[tuple[int, ...], Channel]
"""A channel, and the machine's qubits that it acts on, the lowest first."""

_IDENTITY = np.eye(4)
_SILENT = frozenset({"measure", "barrier"})
_SECONDS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9, "ps": 1e-12}


class Channels:
    """The channels of one machine's gates with their noise, each made once."""

    def __init__(self, device: Machine) -> None:
        """Take the errors of `device`."""
        self._device = device
        self._noise: dict[tuple[str, tuple[int, ...]], Channel | None] = {}
        self._ideal: dict[str, Channel] = {}

    def of(self, item: CircuitInstruction, place: tuple[int, ...]) -> Channel:
        """What an operation does at qubits of the machine, the first one lowest."""
        if item.name == "delay":
            return relaxation(self._device.qubits[place[0]], seconds_of(item, self._device))
        noise = self._noise_of(item.name, place)
        ideal = unitary(item.operation.to_matrix()) if item.params else self._fixed(item)
        return ideal if noise is None else noise @ ideal

    def _fixed(self, item: CircuitInstruction) -> Channel:
        """The ideal channel of a gate without angles."""
        if item.name not in self._ideal:
            self._ideal[item.name] = unitary(item.operation.to_matrix())
        return self._ideal[item.name]

    def _noise_of(self, name: str, place: tuple[int, ...]) -> Channel | None:
        key = (name, place)
        if key not in self._noise:
            error, seconds = self._device.rate(name, place)
            qubits = tuple(self._device.qubits[qubit] for qubit in place)
            self._noise[key] = gate_noise(qubits, error, seconds)
        return self._noise[key]


def seconds_of(delay: CircuitInstruction, device: Machine) -> float:
    """How long a delay lasts on a machine."""
    if delay.operation.unit == "dt":
        return float(delay.operation.duration) * (device.dt_ns or 0.0) * 1e-9
    return float(delay.operation.duration) * _SECONDS[delay.operation.unit]


def fused(circuit: QuantumCircuit, channels: Channels) -> list[Step]:
    """A circuit on the machine's qubits, without its measurements, in few steps on one or two qubits, noise included.

    A step on one qubit joins whatever was last done there; a step on two joins the last one on the same two, and takes
    in what was last done on either alone.
    """
    index = {qubit: place for place, qubit in enumerate(circuit.qubits)}
    steps: list[Step | None] = []
    last: dict[int, int] = {}
    for item in circuit.data:
        if item.name in _SILENT:
            continue
        qubits = tuple(index[qubit] for qubit in item.qubits)
        channel = channels.of(item, qubits)
        before = last.get(qubits[0])
        if before is not None and all(last.get(qubit) == before for qubit in qubits):
            there, earlier = cast("Step", steps[before])
            steps[before] = (there, _within(channel, qubits, there) @ earlier)
            continue
        if len(qubits) > 1:
            channel = channel @ joined([_taken(steps, last.get(qubit)) for qubit in qubits])
        steps.append((qubits, channel))
        last.update(dict.fromkeys(qubits, len(steps) - 1))
    return [step for step in steps if step is not None]


def _taken(steps: list[Step | None], place: int | None) -> Channel:
    """A step on one qubit, which is taken out of the list; the identity for any other."""
    if place is None:
        return _IDENTITY
    step = steps[place]
    if step is None or len(step[0]) > 1:
        return _IDENTITY
    steps[place] = None
    return step[1]


def _within(channel: Channel, qubits: tuple[int, ...], there: tuple[int, ...]) -> Channel:
    """A channel on `qubits` as one on the qubits of an earlier step."""
    if qubits == there:
        return channel
    if len(qubits) > 1:
        return swapped(channel)
    return joined([channel, _IDENTITY] if qubits[0] == there[0] else [_IDENTITY, channel])
