import json
import math
import pickle
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from services.execution.algorithms.algorithm import ParameterError
from services.execution.algorithms.facts import AlgorithmId
from services.execution.algorithms.listing import (
    BUILTIN_CATALOGUE,
    Catalogue,
    CatalogueError,
    load_catalogue,
)
from services.execution.algorithms.openqasm import OpenQasmDescriber
from services.execution.algorithms.schema import Schema
from services.execution.engines import registry
from tests.unit.execution.devices import simulator

VQE = AlgorithmId("vqe.molecular.v2")
CIRCUIT = AlgorithmId("circuit.openqasm.v1")


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return load_catalogue()


def test_catalogue_lists_the_algorithms_with_their_prices(catalogue: Catalogue):
    prices = {key: algorithm.facts.price_micros for key, algorithm in catalogue.items()}
    assert (prices[CIRCUIT], prices[VQE]) == (100_000, 50_000_000)
    assert catalogue[VQE].facts.category == "drug_discovery"
    assert catalogue[VQE].required_parameters == ("molecule",)


def test_listing_imports_no_quantum_library():
    code = (
        "import sys, json\n"
        "from services.execution.algorithms.listing import load_catalogue\n"
        "load_catalogue()\n"
        "print(json.dumps([n for n in ('qiskit', 'qiskit_aer', 'pyscf', 'numpy', 'scipy') if n in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []


def test_describing_programs_imports_no_engine():
    code = (
        "import sys, json\n"
        "from services.execution import compute\n"
        "compute.preload(engines=False)\n"
        "print(json.dumps([n for n in ('qiskit', 'qiskit_aer', 'pyscf', 'jsonschema') if n in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == ["qiskit"]


def fields(schema: dict, path: str = "") -> list[tuple[str, dict]]:
    """Every named member of a schema with its path; conditions refer to members and are left out."""
    found = []
    for name, member in schema.get("properties", {}).items():
        found += [(f"{path}.{name}", member), *fields(member, f"{path}.{name}")]
    if isinstance(schema.get("items"), dict):
        found += fields(schema["items"], path + "[]")
    return found


@pytest.mark.parametrize("algorithm_id", sorted(load_catalogue()))
@pytest.mark.parametrize("kind", ["parameters", "result"])
def test_schemas_are_strict_and_describe_every_field(catalogue: Catalogue, algorithm_id: AlgorithmId, kind: str):
    schema = getattr(catalogue[algorithm_id], kind).document
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    catalogue[algorithm_id].check()
    members = fields(schema)
    assert members
    assert [path for path, member in members if not member.get("description")] == []
    objects = [("", schema), *((path, member) for path, member in members if member.get("type") == "object")]
    assert [path for path, member in objects if "additionalProperties" not in member] == []


@pytest.mark.parametrize("algorithm_id", ["circuit.openqasm.v1", "circuit.sample.v1", "circuit.estimate.v1"])
def test_the_parameter_that_names_an_engine_lists_all_of_them(catalogue: Catalogue, algorithm_id: str):
    described = catalogue[AlgorithmId(algorithm_id)].parameters.document["properties"]["engine"]["description"]
    assert {*registry.ENGINES, *registry.NAMED} <= set(re.findall(r"\w+", described))


def test_every_parameter_is_bounded(catalogue: Catalogue):
    for algorithm in catalogue.values():
        for path, member in fields(algorithm.parameters.document):
            match member["type"]:
                case "string":
                    assert {"enum", "maxLength"} & set(member), path
                case "number" | "integer":
                    assert {"minimum", "maximum"} <= set(member), path


@pytest.mark.parametrize(
    ("parameters", "path", "part"),
    [
        ({}, "parameters.molecule", "required"),
        ({"molecule": "H3"}, "parameters.molecule", "H2, LiH, BeH2, H2O, N2"),
        ({"molecule": 5}, "parameters.molecule", "string"),
        ({"molecule": "H2", "shots": 1}, "parameters.shots", "unknown"),
        ({"molecule": "H2", "estimator": "x" * 5000}, "parameters.estimator", "sampled, exact"),
        ({"molecule": "H2", "geometry": {"length": 1}}, "parameters.geometry.length", "unknown"),
        (
            {"molecule": "H2", "geometry": {"bond_length_angstrom": "1"}},
            "parameters.geometry.bond_length_angstrom",
            "number",
        ),
        (
            {"molecule": "H2", "geometry": {"bond_length_angstrom": math.nan}},
            "parameters.geometry.bond_length_angstrom",
            "finite",
        ),
        (
            {"molecule": "LiH", "geometry": {"bond_length_angstrom": 0.5}},
            "parameters.geometry.bond_length_angstrom",
            "at least 1.0",
        ),
        (
            {"molecule": "H2O", "geometry": {"bond_length_angstrom": 3.0}},
            "parameters.geometry.bond_length_angstrom",
            "at most 1.8",
        ),
        ({"molecule": "H2", "geometry": {"angle_degrees": 100}}, "parameters.geometry.angle_degrees", "not allowed"),
        ([], "parameters", "object"),
        (None, "parameters", "object"),
    ],
)
def test_parameter_error_names_the_path(catalogue: Catalogue, parameters: object, path: str, part: str):
    with pytest.raises(ParameterError) as caught:
        catalogue[VQE].checked(parameters)
    assert caught.value.path == path
    assert part in caught.value.message
    assert str(caught.value).startswith(f"{path}: ")
    assert len(caught.value.message) <= 300


def test_one_character_is_told_in_the_singular(catalogue: Catalogue):
    with pytest.raises(ParameterError, match=r"parameters\.qasm: must have at least 1 character$"):
        catalogue[CIRCUIT].checked({"qasm": ""})


def test_a_choice_between_parameters_is_told_by_their_names(catalogue: Catalogue):
    with pytest.raises(ParameterError) as caught:
        catalogue[AlgorithmId("qaoa.portfolio.v1")].checked({"budget": 2})
    assert str(caught.value) == "parameters: needs one of: prices; expected_returns and covariance"


def test_endless_nesting_is_refused(catalogue: Catalogue):
    value: dict = {}
    for _ in range(5_000):
        value = {"geometry": value}
    with pytest.raises(ParameterError, match="nested deeper"):
        catalogue[VQE].checked(value)


def test_defaults_are_filled_in(catalogue: Catalogue):
    assert catalogue[VQE].checked({"molecule": "H2"}) == {"molecule": "H2", "estimator": "sampled"}
    assert catalogue[CIRCUIT].checked({"qasm": "x"})["probabilities"] is False


def test_parameter_error_crosses_a_process_boundary():
    error = ParameterError("parameters.qasm", "unexpected", "SYNTAX_ERROR", 3, 7)
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301
    assert str(copy) == "parameters.qasm: line 3, column 7: unexpected"
    assert (copy.path, copy.reason, copy.line, copy.column) == ("parameters.qasm", "SYNTAX_ERROR", 3, 7)


def test_schema_that_is_none_is_refused():
    with pytest.raises(ValueError, match="not a JSON Schema"):
        Schema({"type": "strange"}).check()


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("algorithm.toml", "price_micros = 100_000", "price_micros = -1"),
        ("algorithm.toml", 'category = "general"', 'category = "general"\nsurprise = 1'),
        ("algorithm.toml", 'id = "circuit.openqasm.v1"', 'id = "other.v1"'),
        ("parameters.json", '"minLength": 1', '"minLength": "one"'),
        ("example.json", '"qasm"', '"source"'),
    ],
)
def test_catalogue_with_a_mistake_is_refused_and_the_folder_named(tmp_path: Path, name: str, old: str, new: str):
    folder = tmp_path / "circuit.openqasm.v1"
    shutil.copytree(BUILTIN_CATALOGUE / "circuit.openqasm.v1", folder)
    text = (folder / name).read_text("utf-8")
    assert old in text
    (folder / name).write_text(text.replace(old, new), "utf-8")
    with pytest.raises(CatalogueError, match=r"circuit\.openqasm\.v1"):
        load_catalogue(tmp_path)[CIRCUIT].check()


def test_price_can_be_changed_by_an_operator(tmp_path: Path):
    folder = tmp_path / "circuit.openqasm.v1"
    shutil.copytree(BUILTIN_CATALOGUE / "circuit.openqasm.v1", folder)
    facts = folder / "algorithm.toml"
    facts.write_text(facts.read_text("utf-8").replace("100_000", "250_000"), "utf-8")
    assert load_catalogue(tmp_path)[CIRCUIT].facts.price_micros == 250_000


def test_circuit_result_follows_its_schema_and_repeats_the_example(catalogue: Catalogue):
    algorithm = catalogue[CIRCUIT]
    steps: list[float] = []
    done = algorithm.facts.load_runner().run(
        algorithm.checked(algorithm.example["request"]),
        shots=4096,
        seed=7,
        device=simulator("statevector"),
        progress=lambda part, _: steps.append(part),
    )
    algorithm.result.checked(done.result, "result")
    assert done.result == algorithm.example["result"]
    assert (done.qubits_used, done.fidelity_method) == (2, "ideal_comparison")
    assert steps == sorted(steps)
    assert (steps[0], steps[-1]) == (0.0, 1.0)


def test_circuit_gives_probabilities_where_asked(catalogue: Catalogue):
    done = (
        catalogue[CIRCUIT]
        .facts.load_runner()
        .run(
            {"qasm": 'OPENQASM 2.0; include "qelib1.inc"; qreg q[1]; h q[0];', "probabilities": True},
            shots=1024,
            seed=1,
            device=simulator("statevector"),
            progress=lambda _part, _word: None,
        )
    )
    catalogue[CIRCUIT].result.checked(done.result, "result")
    assert done.result["probabilities"] == pytest.approx({"0": 0.5, "1": 0.5})
    assert done.result["notes"]


def test_circuit_error_names_the_parameter_and_the_place():
    with pytest.raises(ParameterError) as caught:
        OpenQasmDescriber().features({"qasm": "OPENQASM 2.0;\nqreg q[1];\nh q[0];"})
    error = caught.value
    assert (error.path, error.reason, error.line, error.column) == ("parameters.qasm", "SYNTAX_ERROR", 3, 1)
