"""The marketplace's list: one folder of data for each algorithm, read at the start and checked beside the first jobs.

A folder holds `algorithm.toml` (name, price, code), `parameters.json` and `result.json` (JSON Schema 2020-12),
`example.json` (a request's parameters and its result). Nothing here imports a quantum library.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from services.execution.algorithms.algorithm import ParameterError
from services.execution.algorithms.facts import BUILTIN_CATALOGUE, AlgorithmId, Facts, algorithm_folders, read_facts
from services.execution.algorithms.schema import Schema


class CatalogueError(Exception):
    """The catalogue's data are wrong; the message names the file."""


@dataclass(frozen=True, slots=True)
class Algorithm:
    """One algorithm of the marketplace, as data."""

    facts: Facts
    parameters: Schema
    result: Schema
    example: Mapping[str, Any]

    @property
    def id(self) -> AlgorithmId:
        """Return the public id."""
        return AlgorithmId(self.facts.id)

    @property
    def required_parameters(self) -> tuple[str, ...]:
        """Return the names of the parameters without which a job is refused."""
        return tuple(self.parameters.document.get("required", ()))

    def checked(self, parameters: object) -> Mapping[str, Any]:
        """Return the parameters with their defaults filled in.

        Raises ParameterError, naming the path from `parameters` down.
        """
        return self.parameters.checked(parameters, "parameters")

    def check(self) -> None:
        """Check the schemas, and that the example fits them. Raises CatalogueError."""
        try:
            self.parameters.check()
            self.result.check()
            self.checked(self.example["request"])
            self.result.checked(self.example["result"], "result")
        except (ValueError, KeyError, ParameterError) as error:
            raise CatalogueError(f"{self.id}: {error}") from error


class Catalogue(Mapping[AlgorithmId, Algorithm]):
    """The algorithms by id, in the order of their ids."""

    def __init__(self, algorithms: Mapping[AlgorithmId, Algorithm]) -> None:
        """Keep the algorithms."""
        self._algorithms = dict(sorted(algorithms.items()))

    def __getitem__(self, key: AlgorithmId) -> Algorithm:
        return self._algorithms[key]

    def __iter__(self) -> Iterator[AlgorithmId]:
        return iter(self._algorithms)

    def __len__(self) -> int:
        return len(self._algorithms)


def load_catalogue(folder: Path = BUILTIN_CATALOGUE) -> Catalogue:
    """Read every algorithm of a folder; `Algorithm.check` is still to come. Raises CatalogueError."""
    algorithms = [_load(entry) for entry in algorithm_folders(folder)]
    return Catalogue({algorithm.id: algorithm for algorithm in algorithms})


def _load(folder: Path) -> Algorithm:
    try:
        facts = read_facts(folder)
        parameters, result, example = (
            json.loads((folder / name).read_text("utf-8"))
            for name in ("parameters.json", "result.json", "example.json")
        )
    except (OSError, ValueError, msgspec.ValidationError) as error:
        raise CatalogueError(f"{folder}: {error}") from error
    if facts.id != folder.name:
        raise CatalogueError(f"{folder}: the id {facts.id} is not the folder's name")
    return Algorithm(facts, Schema(parameters), Schema(result), example)
