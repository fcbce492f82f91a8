"""The set: families of MQT Bench at several widths, and shapes of our own."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
from mqt.bench import BenchmarkLevel, get_benchmark
from qiskit import QuantumCircuit

from bench.circuits import Case, shapes

FITTED: dict[str, tuple[int, ...]] = {
    "ae": (6, 12, 18),
    "bv": (12, 30, 80),
    "cdkm_ripple_carry_adder": (10, 20),
    "ghz": (20, 60),
    "graphstate": (16, 50, 120),
    "qft": (6, 12, 18, 22),
    "qnn": (5, 10, 15, 20),
    "qpeexact": (8, 16),
    "randomcircuit": (6, 10, 14, 20),
    "vqe_su2": (6, 12, 18, 22),
    "wstate": (10, 24),
    "dynamic_qft": (6,),
}
"""Widths of the families of MQT Bench that are fitted to."""
HELD_OUT: dict[str, tuple[int, ...]] = {
    "bmw_quark_cardinality": (8, 14, 20),
    "bmw_quark_copula": (8, 14),
    "dj": (10, 22, 60),
    "draper_qft_adder": (8, 16),
    "grover": (5, 8),
    "half_adder": (9, 17),
    "hhl": (6,),
    "multiplier": (8, 16),
    "qaoa": (8, 14, 20),
    "qftentangled": (8, 16, 22),
    "qpeinexact": (8, 16),
    "qwalk": (5, 8),
    "seven_qubit_steane_code": (13,),
    "shors_nine_qubit_code": (17,),
    "vqe_real_amp": (7, 13, 19),
    "vqe_two_local": (8, 16),
    "ghz_dynamic": (12,),
}
"""Those that nothing is fitted to."""
QUICK = {"ghz_20", "qft_12", "qnn_15", "randomcircuit_20", "wstate_24", "bv_80", "dj_22", "qaoa_14", "vqe_real_amp_13"}


def cases() -> list[Case]:
    """The whole set."""
    return [*_own(), *_mqt(FITTED, held_out=False), *_mqt(HELD_OUT, held_out=True)]


def _mqt(families: dict[str, tuple[int, ...]], *, held_out: bool) -> Iterator[Case]:
    for family, widths in families.items():
        for width in widths:
            name = f"{family}_{width}"
            yield Case(name, family, partial(_made, family, width), held_out=held_out, quick=name in QUICK)


def _made(family: str, width: int) -> QuantumCircuit:
    np.random.seed(width)  # noqa: NPY002 - where MQT Bench takes its chance from, and here
    random.seed(width)
    circuit = get_benchmark(family, BenchmarkLevel.INDEP, width, opt_level=0)
    if circuit.num_clbits == 0:
        circuit.measure_all()
    return circuit


def _case(
    name: str, make: Callable[[], QuantumCircuit], *, shots: int = 1024, held_out: bool = False, quick: bool = False
) -> Case:
    return Case(name, name.rstrip("0123456789x_"), make, shots, held_out, quick)


def _own() -> Iterator[Case]:
    yield from _dense()
    yield from _wide()
    yield from _clifford()
    yield from _dynamic()


def _dense() -> Iterator[Case]:
    """Circuits that a state vector is for."""
    yield _case("bell", shapes.bell, quick=True)
    for shots in (1, 8192, 65536):
        yield _case(f"bell_{shots}_shots", shapes.bell, shots=shots)
    for n, layers in ((4, 4), (4, 40), (7, 10), (10, 6), (10, 24), (13, 10), (16, 10), (18, 24), (20, 6), (22, 10)):
        yield _case(f"brick_{n}x{layers}", partial(shapes.brick, n, layers), quick=(n, layers) == (10, 6))
    yield _case("brick_24x8", partial(shapes.brick, 24, 8))
    yield _case("brick_cx_16x10", partial(shapes.brick, 16, 10, pair="cx", seed=8), shots=16384, held_out=True)
    for n, layers in ((6, 8), (12, 12), (17, 10), (20, 20)):
        yield _case(f"all_to_all_{n}x{layers}", partial(shapes.all_to_all, n, layers), quick=n == 17)
    yield _case("all_to_all_rzz_18x10", partial(shapes.all_to_all, 18, 10, pair="rzz"), held_out=True)
    for n, layers in ((10, 4), (16, 2), (22, 1)):
        yield _case(f"maxcut_{n}x{layers}", partial(shapes.qaoa, n, layers), quick=n == 16)
    for n, layers in ((26, 1), (50, 2)):
        yield _case(f"maxcut_{n}x{layers}", partial(shapes.qaoa, n, layers), held_out=True)
    for n in (12, 25):
        for start in ("basis", "product"):
            yield _case(f"fourier_{start}_{n}", partial(shapes.fourier, n, start), quick=(n, start) == (25, "basis"))
    yield _case("long_8x_10000_gates", partial(shapes.brick, 8, 870), quick=True)


def _wide() -> Iterator[Case]:
    """Circuits of little entanglement."""
    for n, layers in ((60, 4), (100, 6), (30, 12), (40, 2)):
        yield _case(f"shallow_{n}x{layers}", partial(shapes.brick, n, layers), quick=(n, layers) == (60, 4))
    for n in (16, 60, 120):
        yield _case(f"w_{n}", partial(shapes.w_state, n), quick=n == 60)
    for n, steps in ((12, 8), (20, 4), (60, 5), (100, 7), (80, 3)):
        yield _case(f"ising_{n}x{steps}", partial(shapes.ising, n, steps), held_out=n == 80, quick=n == 60)


def _clifford() -> Iterator[Case]:
    for n, layers in ((4, 6), (10, 10), (20, 20), (50, 20), (100, 30), (400, 20), (1000, 10)):
        yield _case(f"clifford_{n}x{layers}", partial(shapes.clifford, n, layers), quick=n in (20, 400))
    yield _case("clifford_near_200x20", partial(shapes.clifford, 200, 20, near=True), held_out=True)
    yield _case("clifford_100_8192_shots", partial(shapes.clifford, 100, 12, seed=12), shots=8192)
    yield _case("long_clifford_30x_10000_gates", partial(shapes.clifford, 30, 225))
    yield _case("clifford_t_50", partial(shapes.clifford_t, 50, 12, 8), held_out=True)
    yield _case("ghz_100", partial(shapes.ghz, 100), quick=True)
    yield _case("ghz_1000", partial(shapes.ghz, 1000), held_out=True)


def _dynamic() -> Iterator[Case]:
    """Circuits that measure midway or branch."""
    for n, count in ((2, 4), (5, 3), (10, 4), (16, 6)):
        yield _case(f"rounds_{n}x{count}", partial(shapes.rounds, n, count), quick=n == 16)
    yield _case("rounds_clifford_40x5", partial(shapes.rounds, 40, 5, clifford_only=True))
    yield _case("rounds_12x3", partial(shapes.rounds, 12, 3, seed=60), held_out=True)
    for hops in (1, 3, 6):
        yield _case(f"teleported_{hops}", partial(shapes.teleported, hops), held_out=hops == 3)
