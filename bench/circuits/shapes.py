"""Circuits of our own making: bricks, random ones, transforms, Clifford circuits, chains, dynamic ones."""

from __future__ import annotations

import math
import random
from itertools import pairwise

from qiskit import ClassicalRegister, QuantumCircuit

CLIFFORD_SINGLE = ("h", "s", "sx", "x", "sdg", "z")


def measured(circuit: QuantumCircuit) -> QuantumCircuit:
    """The circuit with every qubit measured."""
    circuit.measure_all()
    return circuit


def bell() -> QuantumCircuit:
    """A Bell pair."""
    return ghz(2)


def ghz(n: int) -> QuantumCircuit:
    """A chain of CX behind a Hadamard gate."""
    circuit = QuantumCircuit(n)
    circuit.h(0)
    for qubit in range(n - 1):
        circuit.cx(qubit, qubit + 1)
    return measured(circuit)


def brick(n: int, layers: int, *, pair: str = "cz", seed: int = 7) -> QuantumCircuit:
    """Layers of random one-qubit gates, each behind a brick wall of two-qubit gates."""
    angles = random.Random(seed)
    circuit = QuantumCircuit(n)
    for layer in range(layers):
        for qubit in range(n):
            circuit.u(*(angles.uniform(0, 2 * math.pi) for _ in range(3)), qubit)
        for qubit in range(layer % 2, n - 1, 2):
            getattr(circuit, pair)(qubit, qubit + 1)
    return measured(circuit)


def all_to_all(n: int, layers: int, *, pair: str = "cx", seed: int = 5) -> QuantumCircuit:
    """Layers of random one-qubit gates and of two-qubit gates between randomly paired qubits."""
    chance = random.Random(seed)
    circuit = QuantumCircuit(n)
    for _ in range(layers):
        for qubit in range(n):
            circuit.u(*(chance.uniform(0, 2 * math.pi) for _ in range(3)), qubit)
        order = chance.sample(range(n), n)
        for first, second in zip(order[::2], order[1::2], strict=False):
            if pair == "rzz":
                circuit.rzz(chance.uniform(0, math.pi), first, second)
            else:
                getattr(circuit, pair)(first, second)
    return measured(circuit)


def clifford(n: int, layers: int, *, near: bool = False, seed: int = 3) -> QuantumCircuit:
    """Layers of random one-qubit Clifford gates and of CX between random pairs, or between neighbours."""
    chance = random.Random(seed)
    circuit = QuantumCircuit(n)
    for layer in range(layers):
        for qubit in range(n):
            getattr(circuit, chance.choice(CLIFFORD_SINGLE))(qubit)
        order = list(range(layer % 2, n)) if near else chance.sample(range(n), n)
        for first, second in zip(order[::2], order[1::2], strict=False):
            circuit.cx(first, second)
    return measured(circuit)


def clifford_t(n: int, layers: int, t_count: int, *, seed: int = 4) -> QuantumCircuit:
    """A Clifford circuit with T gates in its middle."""
    half = clifford(n, layers, seed=seed).remove_final_measurements(inplace=False)
    circuit = half.copy()
    for qubit in random.Random(seed).sample(range(n), t_count):
        circuit.t(qubit)
    return measured(circuit.compose(half))


def fourier(n: int, start: str) -> QuantumCircuit:
    """A quantum Fourier transform of a basis state, or of a product of random states."""
    chance = random.Random(n)
    circuit = QuantumCircuit(n)
    for qubit in range(n):
        if start == "product":
            circuit.u(*(chance.uniform(0, math.pi) for _ in range(3)), qubit)
        elif chance.random() < 0.5:
            circuit.x(qubit)
    for target in reversed(range(n)):
        circuit.h(target)
        for control in range(target):
            circuit.cp(math.pi / 2 ** (target - control), control, target)
    for qubit in range(n // 2):
        circuit.swap(qubit, n - 1 - qubit)
    return measured(circuit)


def qaoa(n: int, layers: int, *, degree: int = 3, seed: int = 9) -> QuantumCircuit:
    """QAOA of MaxCut on a random regular graph."""
    chance = random.Random(seed)
    edges: set[tuple[int, int]] = set()
    while len(edges) < n * degree // 2:
        ends = [qubit for qubit in range(n) for _ in range(degree)]
        chance.shuffle(ends)
        edges = {(min(pair), max(pair)) for pair in zip(ends[::2], ends[1::2], strict=True) if pair[0] != pair[1]}
    circuit = QuantumCircuit(n)
    circuit.h(range(n))
    for _ in range(layers):
        gamma, beta = chance.uniform(0, 1), chance.uniform(0, 1)
        for first, second in sorted(edges):
            circuit.rzz(2 * gamma, first, second)
        circuit.rx(2 * beta, range(n))
    return measured(circuit)


def ising(n: int, steps: int) -> QuantumCircuit:
    """Trotter steps of a transverse-field Ising chain."""
    circuit = QuantumCircuit(n)
    for _ in range(steps):
        for first, second in pairwise(range(n)):
            circuit.rzz(0.4, first, second)
        circuit.rx(0.3, range(n))
    return measured(circuit)


def w_state(n: int) -> QuantumCircuit:
    """A W state: one excitation shared by all qubits."""
    circuit = QuantumCircuit(n)
    circuit.x(0)
    for qubit in range(n - 1):
        angle = 2 * math.acos(math.sqrt(1 / (n - qubit)))
        circuit.ry(-angle / 2, qubit + 1)
        circuit.cz(qubit, qubit + 1)
        circuit.ry(angle / 2, qubit + 1)
        circuit.cx(qubit + 1, qubit)
    return measured(circuit)


def rounds(n: int, count: int, *, clifford_only: bool = False, seed: int = 6) -> QuantumCircuit:
    """Layers of gates, with every qubit measured after each of them."""
    chance = random.Random(seed)
    circuit = QuantumCircuit(n)
    for number in range(count):
        for qubit in range(n):
            if clifford_only:
                circuit.h(qubit)
            else:
                circuit.ry(chance.uniform(0, math.pi), qubit)
        for qubit in range(number % 2, n - 1, 2):
            circuit.cx(qubit, qubit + 1)
        register = ClassicalRegister(n, f"round{number}")
        circuit.add_register(register)
        circuit.measure(range(n), register)
    return circuit


def teleported(hops: int) -> QuantumCircuit:
    """A state that is teleported along a line, with corrections by measured bits."""
    circuit = QuantumCircuit(2 * hops + 1, 2 * hops + 1)
    circuit.ry(0.7, 0)
    for hop in range(hops):
        source, middle, target = 2 * hop, 2 * hop + 1, 2 * hop + 2
        circuit.h(middle)
        circuit.cx(middle, target)
        circuit.cx(source, middle)
        circuit.h(source)
        circuit.measure([source, middle], [source, middle])
        with circuit.if_test((circuit.clbits[middle], 1)):
            circuit.x(target)
        with circuit.if_test((circuit.clbits[source], 1)):
            circuit.z(target)
    circuit.measure(2 * hops, 2 * hops)
    return circuit
