"""The truth that predictions are scored by: machines that drift and err in ways their calibration does not say.

    nice -n 15 python -m bench.routing_truth SIDE...      writes bench/routing_data/SIDE.json

There are three sides (`SIDES`), and no kind of circuit is in two: the model is fitted to `train`, whatever was to be
chosen was chosen by `validation`, and the scoreboard is of `test`. bench/routing_data/README.md is the data sheet.
"""

from __future__ import annotations

import datetime as dt
import sys
import time
import warnings
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path

import msgspec

from bench.routing_circuits import circuit
from bench.routing_worlds import SEED, Machine, World
from services.execution.programs.circuit import program_of
from services.execution.programs.encoding import encode
from services.execution.programs.limits import Limits
from services.execution.programs.program import Program

_READY: dict[str, Program] = {}
"""The circuits of a side, in a process that runs it."""
FOLDER = Path(__file__).with_name("routing_data")
Wanted = tuple[str, int]
"""A family, and a number of qubits."""
_TRAIN = (
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
_VALIDATION = (
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
_TEST = (
    *(("clifford", n) for n in (4, 6)),
    *(("cnot_network", n) for n in (5, 7)),
    *(("coupled_cluster", n) for n in (4, 5)),
    *(("detection_code", n) for n in (4, 6)),
    *(("floquet", n) for n in (4, 6, 8)),
    *(("hadamard_test", n) for n in (3, 5)),
    *(("image", n) for n in (3, 4)),
    *(("kernel", n) for n in (4, 6, 8)),
    *(("matchgates", n) for n in (4, 6, 8)),
    *(("repetition_code", n) for n in (5, 7, 9)),
    *(("reversible", n) for n in (4, 5)),
    *(("signal_processing", n) for n in (3, 5)),
    *(("state_preparation", n) for n in (3, 4)),
    *(("teleportation", n) for n in (3, 5, 7)),
)
PROBES = (
    *(("ghz", 5), ("dj", 5), ("bv", 6), ("vqe_real_amp", 4), ("cdkm_ripple_carry_adder", 4), ("hhl", 4)),
    *(("ghz", 8), ("vqe_su2", 5), ("half_adder", 5), ("vqe_two_local", 4)),
)
"""What scheduled benchmark jobs run on every machine: families of the training side."""
FEW = 6
"""Of them, the first: what is learned from is these, or all ten."""

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
_TRAIN_DEVICES = (
    *("ibm_kyiv", "ibm_cusco", "ibm_washington", "ibm_miami", "ibm_prague", "ibm_geneva", "ibm_montreal"),
    *("ibm_brooklyn", "iqm_garnet", "ionq_aria_1"),
)
_DEVICES = tuple(dict.fromkeys((*(f"ibm_{each}" for pool in POOLS.values() for each in pool), *MIXED)))
_TRAIN_SEEDS = (SEED, 20_261_124, 20_261_125)
"""Thirty machines and days tell more of how machines differ than ten."""
_TEST_SEEDS = (20_261_151, 20_261_152, 20_261_153)


class Side(msgspec.Struct, frozen=True):
    """Circuits on machines."""

    worlds: tuple[World, ...]
    devices: tuple[str, ...]
    circuits: tuple[Wanted, ...]
    probes: tuple[Wanted, ...] = ()
    """Which run as benchmark jobs besides."""


FRESH, STALE, HARSH = World("fresh", 3, 3), World("stale", 3, 4), World("harsh", 3, 3, coherent=0.10, crosstalk=0.05)
SIDES = {
    "train": Side(
        tuple(World(*days, seed=seed) for seed in _TRAIN_SEEDS for days in (("fresh", 1, 1), ("stale", 1, 2))),
        _TRAIN_DEVICES,
        _TRAIN,
    ),
    "validation": Side((FRESH, STALE, HARSH), _DEVICES, _VALIDATION, PROBES),
    "test": Side(
        (
            *(msgspec.structs.replace(world, seed=seed) for seed in _TEST_SEEDS for world in (FRESH, STALE)),
            msgspec.structs.replace(HARSH, seed=_TEST_SEEDS[0]),
        ),
        _DEVICES,
        _TEST,
        PROBES,
    ),
}


class Case(msgspec.Struct, frozen=True):
    """A circuit, as routing gets it (services/routing/prediction/circuit.py)."""

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
    seed: int
    """Of the world."""
    measured: float | None = None
    """The fidelity of the counts of SHOTS shots, as a job tells it; None on sides that are older than this."""


class Truth(msgspec.Struct, frozen=True):
    """A side."""

    generated: str
    versions: dict[str, str]
    cases: list[Case]
    runs: list[Run]


def read(side: str) -> Truth:
    """A side that was made before."""
    return msgspec.json.decode((FOLDER / f"{side}.json").read_bytes(), type=Truth)


def name_of(wanted: Wanted) -> str:
    """The name of its case."""
    return f"{wanted[0]}_{wanted[1]}"


def generate(name: str) -> None:
    """Run a side, and write its file."""
    side = SIDES[name]
    programs = _programs(side)
    truth = Truth(
        generated=dt.datetime.now(dt.UTC).date().isoformat(),
        versions=_versions("mqt-bench", "qiskit", "qiskit-ibm-runtime", "qiskit-quantum-backend-selector", "numpy"),
        cases=[Case(each, each.rpartition("_")[0], encode(program.tape)) for each, program in programs.items()],
        runs=list(_runs(name, side)),
    )
    (FOLDER / f"{name}.json").write_bytes(msgspec.json.encode(truth).replace(b"],[", b"],\n["))


def _programs(side: Side) -> dict[str, Program]:
    return {name_of(each): program_of(circuit(*each), Limits()) for each in (*side.circuits, *side.probes)}


def _runs(name: str, side: Side) -> Iterator[Run]:
    """All runs, machine by machine in as many processes as there are processors."""
    started = time.monotonic()
    machines = [(world, device) for world in side.worlds for device in side.devices]
    with ProcessPoolExecutor(mp_context=get_context("spawn"), initializer=_prepare, initargs=(name,)) as pool:
        for (world, device), runs in zip(machines, pool.map(_runs_on, machines), strict=True):
            yield from runs
            print(f"{time.monotonic() - started:6.0f} s {world.name} {world.seed} {device}", flush=True)


def _prepare(name: str) -> None:
    """Make the circuits of a side, once in each process."""
    warnings.simplefilter("ignore")
    _READY.update(_programs(SIDES[name]))


def _runs_on(machine: tuple[World, str]) -> list[Run]:
    world, device = machine
    made = Machine(device, world)
    found = {name: made.run(name, program) for name, program in _READY.items()}
    return [
        Run(world.name, name, device, worth[0], *worth[2:], world.seed, worth[1])
        for name, worth in found.items()
        if worth is not None
    ]


def _versions(*packages: str) -> dict[str, str]:
    return {each: version(each) for each in packages}


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    for wanted in sys.argv[1:]:
        generate(wanted)
