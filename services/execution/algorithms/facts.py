"""What `algorithm.toml` says of an algorithm, and the two parts of its code that it names. Imports nothing heavy."""

from __future__ import annotations

import importlib
import tomllib
from pathlib import Path
from typing import Annotated, NewType, cast

import msgspec

from services.execution.algorithms.algorithm import Describer, Runner

AlgorithmId = NewType("AlgorithmId", str)
BUILTIN_CATALOGUE = Path(__file__).parent / "catalogue"

_Place = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9_.]+:[A-Za-z0-9]+$")]
"""A class, as `module:class`."""


class Facts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One `algorithm.toml`. `price_micros` is in 10^-6 USD for one job."""

    id: Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9_]+(\.[a-z0-9_]+)*\.v[0-9]+$", max_length=64)]
    name: Annotated[str, msgspec.Meta(min_length=1, max_length=80)]
    version: Annotated[str, msgspec.Meta(pattern=r"^[0-9]+\.[0-9]+\.[0-9]+$")]
    category: Annotated[str, msgspec.Meta(pattern=r"^[a-z_]+$")]
    description: Annotated[str, msgspec.Meta(min_length=1, max_length=2_000)]
    price_micros: Annotated[int, msgspec.Meta(ge=0, le=10**12)]
    max_qubits: Annotated[int, msgspec.Meta(ge=1)]
    describer: _Place
    runner: _Place

    def load_describer(self) -> Describer:
        """Import and make the part that measures a program."""
        return cast("Describer", _made(self.describer))

    def load_runner(self) -> Runner:
        """Import and make the part that computes; heavy, for workers."""
        return cast("Runner", _made(self.runner))


def read_facts(folder: Path) -> Facts:
    """The facts of an algorithm's folder. Raises OSError, and ValueError where they are wrong."""
    return msgspec.convert(tomllib.loads((folder / "algorithm.toml").read_text("utf-8")), Facts)


def algorithm_folders(catalogue: Path = BUILTIN_CATALOGUE) -> list[Path]:
    """The folders of a catalogue, one for each algorithm, in the order of their names."""
    return sorted(entry for entry in catalogue.iterdir() if entry.is_dir())


def _made(place: str) -> object:
    module, _, name = place.partition(":")
    return getattr(importlib.import_module(module), name)()
