"""The catalogue of backends: what runs circuits here, and how far. The rows are data, in catalogue.toml."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import msgspec

CATALOGUE_FILE = Path(__file__).with_name("catalogue.toml")

Error = Annotated[float, msgspec.Meta(ge=0, le=1)]
Region = Annotated[str, msgspec.Meta(pattern="^[a-z][a-z0-9-]{0,31}$")]
"""Where something runs: "local" is this installation, "eu" and "us" are what they say."""
BackendId = Annotated[str, msgspec.Meta(pattern="^[a-z][a-z0-9_.-]{0,63}$")]


TWIN_SUFFIX = ", simulated"
"""What the name of a twin adds to its machine's."""


class Provider(StrEnum):
    """Who has machines (services/execution/live)."""

    IBM = "ibm"
    AWS = "aws"
    AZURE = "azure"
    IONQ = "ionq"


class Owner(StrEnum):
    """Whose account at a provider is used."""

    TEAM = "team"
    OPERATOR = "operator"


class Kind(StrEnum):
    """What really runs."""

    SIMULATOR = "simulator"
    TWIN = "twin"
    LIVE = "live"


class Method(StrEnum):
    """How a circuit is simulated (services/execution/engines)."""

    STATEVECTOR = "statevector"
    STABILIZER = "stabilizer"
    MATRIX_PRODUCT_STATE = "matrix_product_state"
    DECISION_DIAGRAM = "decision_diagram"
    CALIBRATED_NOISE = "calibrated_noise"
    """That of twins (services/execution/twins), which choose among several for each circuit."""


class Pool(StrEnum):
    """The queues that workers take jobs from (`pool` in a worker's configuration)."""

    SIM = "sim"
    LIVE = "live"


class Machine(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The machine behind a backend: where it stands, what its provider asks for, and how long a circuit takes there."""

    provider: Provider
    device: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    """Its name at the provider."""
    task_price_micros: Annotated[int, msgspec.Meta(ge=0)] | None = None
    """Micro-dollars for each circuit, where the operator's account pays; None for what only teams reach."""
    shot_price_micros: Annotated[int, msgspec.Meta(ge=0)] = 0
    """Micro-dollars for each shot, likewise."""
    task_seconds: Annotated[float, msgspec.Meta(ge=0)]
    """Seconds for each circuit, without a queue."""
    shot_seconds: Annotated[float, msgspec.Meta(ge=0)]
    """Seconds for each shot."""
    source: str
    """Where the prices and times are from."""
    residency: tuple[Region, ...] = ()
    """The regions in which it stands."""


class Calibration(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is known of the machine that a twin simulates; errors are medians over its working qubits and pairs."""

    calibration_id: str
    working_qubit_count: Annotated[int, msgspec.Meta(ge=1)]
    """The qubits that hang together without what had failed."""
    single_qubit_error: Error
    two_qubit_error: Error
    readout_error: Error
    operations: frozenset[str]
    """Of reset and control flow, what it can do."""


class Backend(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Something that runs circuits."""

    backend_id: BackendId
    display_name: str
    description: str
    kind: Kind
    online: bool
    """Whether it takes jobs."""
    method: Method
    """How it simulates; the engine is chosen for each program, from what execution offers."""
    pool: Pool
    """The queue whose workers can run it."""
    price_micros: Annotated[int, msgspec.Meta(ge=0)]
    """Micro-dollars that a job pays on top of the algorithm's price."""
    qubit_count: Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)]
    """The most qubits that a program may use; of a twin, those of its machine."""
    calibration: Calibration | None = None
    """What a twin simulates; None for everything else."""
    last_resort: bool = False
    """Whether it is taken only by who names it and for what nothing else can run: its time is hard to predict."""
    machine: Machine | None = None
    """The machine itself: what a live backend is, and what a twin is the twin of."""
    owner: Owner | None = None
    """Whose account reaches the machine; set where a machine is offered, and never in the catalogue."""
    offline_reason: str = ""
    """Why it takes no jobs, for people; follows "it is offline: "."""
    residency: tuple[Region, ...] = ("local",)
    """The regions in which it runs, what simulates here as the operator says."""

    def __post_init__(self) -> None:
        """Refuse a live backend without its machine."""
        if self.kind is Kind.LIVE and self.machine is None:
            raise ValueError(f"{self.backend_id} is live and names no machine")

    def live(self, owner: Owner | None) -> Backend:
        """This backend as its machine, reached through an account of `owner`; None where nobody's reaches it."""
        return msgspec.structs.replace(
            self,
            kind=Kind.LIVE,
            pool=Pool.LIVE,
            owner=owner,
            residency=self.machine.residency if self.machine else (),
            display_name=self.display_name.removesuffix(TWIN_SUFFIX),
            description="The machine itself, through an account at its provider.",
        )

    def price(self, circuit_count: int, shot_count: int) -> int:
        """Micro-dollars on top of the algorithm's price; nothing where the provider bills the team itself."""
        if self.kind is not Kind.LIVE or self.machine is None:
            return self.price_micros
        if self.owner is Owner.TEAM or self.machine.task_price_micros is None:
            return 0
        return circuit_count * (self.machine.task_price_micros + shot_count * self.machine.shot_price_micros)


class Catalogue(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The backends.

    Their order is that in which they are listed, and in which equals are preferred.
    """

    version: str
    """Changes with every change of a number, and is part of the policy's version."""
    backends: Annotated[tuple[Backend, ...], msgspec.Meta(min_length=1)]

    def __post_init__(self) -> None:
        """Refuse a catalogue that names a backend twice."""
        names = [backend.backend_id for backend in self.backends]
        if twice := {name for name in names if names.count(name) > 1}:
            raise ValueError(f"backends are named twice: {', '.join(sorted(twice))}")

    def find(self, backend_id: str) -> Backend | None:
        """The backend of that name."""
        return next((backend for backend in self.backends if backend.backend_id == backend_id), None)

    def here(self, residency: tuple[Region, ...]) -> Catalogue:
        """This catalogue where simulators and twins run in an installation of those regions, and so locally as well."""
        regions = tuple(dict.fromkeys(("local", *residency)))
        backends = (
            backend if backend.kind is Kind.LIVE else msgspec.structs.replace(backend, residency=regions)
            for backend in self.backends
        )
        return msgspec.structs.replace(self, backends=tuple(backends))
