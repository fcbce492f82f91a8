from pathlib import Path

import msgspec
import pytest

from mesh.config import ConfigError, load
from services.routing.catalogue import CATALOGUE_FILE, Catalogue, Kind


def test_the_catalogue_has_the_simulators_that_run_here():
    catalogue = load(CATALOGUE_FILE, Catalogue)
    simulators = [each for each in catalogue.backends if each.kind is Kind.SIMULATOR]
    assert [(each.backend_id, str(each.method), each.pool) for each in simulators] == [
        ("sim.statevector", "statevector", "sim"),
        ("sim.stabilizer", "stabilizer", "sim"),
        ("sim.mps", "matrix_product_state", "sim"),
        ("sim.decision_diagram", "decision_diagram", "sim"),
    ]
    assert {each.kind for each in catalogue.backends} == {Kind.SIMULATOR, Kind.LIVE}


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ('pool = "sim"', 'pool = "sim"\nspeed = 3', "speed"),
        ("qubit_count = 28", "", "qubit_count"),
        ("qubit_count = 28", "qubit_count = 0", ">= 1"),
        ('method = "statevector"', 'method = "tensor_network"', "tensor_network"),
        ('backend_id = "sim.mps"', 'backend_id = "sim.stabilizer"', "named twice: sim.stabilizer"),
    ],
)
def test_a_catalogue_with_a_fault_is_refused_by_name(tmp_path: Path, old: str, new: str, complaint: str):
    text = CATALOGUE_FILE.read_text()
    assert old in text
    file = tmp_path / "catalogue.toml"
    file.write_text(text.replace(old, new, 1))
    with pytest.raises(ConfigError, match=complaint):
        load(file, Catalogue)


def test_a_backend_is_found_by_its_whole_name():
    catalogue = load(CATALOGUE_FILE, Catalogue)
    found = catalogue.find("sim.mps")
    assert found is not None
    assert found.display_name == "Matrix product state simulator"
    assert catalogue.find("sim") is None


def test_a_live_backend_names_its_machine() -> None:
    first = load(CATALOGUE_FILE, Catalogue).backends[0]
    with pytest.raises(ValueError, match="names no machine"):
        msgspec.structs.replace(first, kind=Kind.LIVE)


def test_a_pool_that_is_not_there_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "catalogue.toml"
    file.write_text(CATALOGUE_FILE.read_text().replace('pool = "sim"', 'pool = "nowhere"', 1))
    with pytest.raises(ConfigError, match="Invalid enum value 'nowhere'"):
        load(file, Catalogue)
