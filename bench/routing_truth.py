"""The truth that predictions are scored by: machines that drift and err in ways their calibration does not say.

    nice -n 15 python -m bench.routing_truth      writes bench/routing_data/truth.json, some 25 minutes of one core

Circuits are of MQT Bench, in two sides that share no kind of circuit, no machine and no day; the machines and their
days are in routing_worlds.py. bench/routing_data/README.md is the data sheet.
"""

from __future__ import annotations

import datetime as dt
import time
import warnings
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import msgspec
from mqt.bench import get_benchmark_indep

from bench.routing_worlds import SEED, Machine, World
from services.execution.programs.circuit import program_of
from services.execution.programs.limits import Limits
from services.execution.programs.program import Program
from services.routing.prediction.circuit import encode

TRUTH_FILE = Path(__file__).with_name("routing_data") / "truth.json"
TRAIN = (
    *(("cdkm_ripple_carry_adder", n) for n in (4, 8)),
    *(("full_adder", n) for n in (6, 8)),
    *(("half_adder", n) for n in (5, 7)),
    ("vbe_ripple_carry_adder", 7),
    *(("vqe_real_amp", n) for n in (4, 7)),
    *(("vqe_su2", n) for n in (5, 8)),
    *(("vqe_two_local", n) for n in (4, 6)),
    *(("ghz", n) for n in (5, 8, 12)),
    *(("bv", n) for n in (6, 10)),
    *(("dj", n) for n in (5, 8)),
    ("multiplier", 4),
    *(("hhl", n) for n in (4, 6)),
    *(("bmw_quark_cardinality", n) for n in (5, 8)),
    *(("bmw_quark_copula", n) for n in (4, 6)),
)
TEST = (
    *(("ae", n) for n in (4, 6)),
    *(("draper_qft_adder", n) for n in (4, 6, 8)),
    *(("graphstate", n) for n in (6, 10)),
    ("grover", 4),
    *(("qaoa", n) for n in (4, 6, 8)),
    ("qft", 6),
    *(("qftentangled", n) for n in (4, 6, 8)),
    *(("qnn", n) for n in (6, 8)),
    *(("qpeexact", n) for n in (4, 6, 8)),
    *(("qpeinexact", n) for n in (5, 7)),
    ("qwalk", 3),
    *(("randomcircuit", n) for n in (4, 5, 6)),
    *(("wstate", n) for n in (4, 7, 10)),
)
"""No kind of circuit is on both sides: Fourier transforms and phase estimation, states, walks and random here; adders,
variational ansätze and oracles there."""
PROBES = (("ghz", 5), ("dj", 5), ("bv", 6), ("vqe_real_amp", 4), ("cdkm_ripple_carry_adder", 4), ("hhl", 4))
"""What a scheduled benchmark job runs on every machine: families of the training side."""

POOLS = {
    "eagles": ("brisbane", "brussels", "kawasaki", "osaka", "quebec", "sherbrooke", "strasbourg"),
    "falcons": ("algiers", "auckland", "hanoi", "kolkata", "mumbai", "peekskill"),
    "herons": ("aachen", "boston", "fez", "kingston", "marrakesh", "pittsburgh"),
}
MIXED = (
    *("ionq_forte_1", "iqm_emerald", "google_willow"),
    *("ibm_torino", "ibm_berlin", "ibm_marrakesh", "ibm_brisbane", "ibm_hanoi"),
)
"""Without Quantinuum's H2, which would win nearly every circuit: such a pool tells choosers apart no more."""
TRAIN_DEVICES = (
    *("ibm_kyiv", "ibm_cusco", "ibm_washington", "ibm_miami", "ibm_prague", "ibm_geneva", "ibm_montreal"),
    *("ibm_brooklyn", "iqm_garnet", "ionq_aria_1"),
)
TEST_DEVICES = tuple(dict.fromkeys((*(f"ibm_{each}" for pool in POOLS.values() for each in pool), *MIXED)))


TRAIN_WORLDS = (World("train_fresh", 1, 1), World("train_stale", 1, 2))
HARSH = World("harsh", 3, 3, coherent=0.10, crosstalk=0.05)
TEST_WORLDS = (World("fresh", 3, 3), World("stale", 3, 4), HARSH)


class Case(msgspec.Struct, frozen=True):
    """A circuit of MQT Bench, as routing gets it (services/routing/prediction/circuit.py)."""

    name: str
    family: str
    encoded: bytes


class Run(msgspec.Struct, frozen=True, array_like=True):
    """What a circuit was worth on a machine, and what others say of it from the calibration that was known."""

    world: str
    case: str
    device: str
    fidelity: float
    """Of Hellinger, of the exact distributions."""
    esp: float
    """The product of (1 - reported error) over the fitted circuit."""
    selector: float
    """The score of qiskit-quantum-backend-selector's NoiseAwareScoring."""


class Truth(msgspec.Struct, frozen=True):
    """All of it."""

    generated: str
    versions: dict[str, str]
    seed: int
    cases: list[Case]
    runs: list[Run]


def plan() -> Iterator[tuple[World, str, tuple[tuple[str, int], ...]]]:
    """What is run where."""
    for world in TRAIN_WORLDS:
        yield from ((world, device, TRAIN) for device in TRAIN_DEVICES)
    for world in TEST_WORLDS:
        # Benchmark jobs run on the day that the jobs run, with the calibration that is known then.
        yield from ((world, device, (*TEST, *PROBES)) for device in TEST_DEVICES)


def generate() -> None:
    """Run everything, and write the file."""
    programs = {each: program_of(get_benchmark_indep(*each), Limits()) for each in (*TRAIN, *TEST, *PROBES)}
    cases = {each: _case(each, program) for each, program in programs.items()}
    runs = []
    started = time.process_time()
    for world, device, wanted in plan():
        machine = Machine(device, world)
        found = {cases[each].name: machine.run(programs[each]) for each in wanted}
        runs += [Run(world.name, name, device, *worth) for name, worth in found.items() if worth is not None]
        print(
            f"{time.process_time() - started:6.0f} s {world.name} {device}: {len(found) - found.count(None)}",
            flush=True,
        )
    truth = Truth(
        generated=dt.datetime.now(dt.UTC).date().isoformat(),
        versions=_versions("mqt-bench", "qiskit", "qiskit-ibm-runtime", "qiskit-quantum-backend-selector", "numpy"),
        seed=SEED,
        cases=list({case.name: case for case in cases.values()}.values()),
        runs=runs,
    )
    TRUTH_FILE.write_bytes(msgspec.json.encode(truth).replace(b"],[", b"],\n["))


def _case(wanted: tuple[str, int], program: Program) -> Case:
    family, size = wanted
    tape = program.tape
    return Case(f"{family}_{size}", family, encode(tape.width, tape.num_clbits, tape.operations()))


def _versions(*packages: str) -> dict[str, str]:
    return {each: version(each) for each in packages}


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    generate()
