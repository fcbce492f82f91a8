"""The static addresses of C2SP tlog-tiles."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.signing.tiles import BadTileError, Tile, bundle_entries, parse_tile
from services.signing.tree import Node


def test_paths_are_those_of_the_specification() -> None:
    assert Tile(0, 1234067).path == "tile/0/x001/x234/067"
    assert Tile(2, 0, 1).path == "tile/2/000.p/1"
    assert Tile(None, 273, 112).path == "tile/entries/273.p/112"
    assert Tile(1, 1000).path == "tile/1/x001/000"


@given(st.none() | st.integers(0, 63), st.integers(0, 2**60), st.integers(1, 256))
def test_a_path_reads_back_as_its_tile(level: int | None, number: int, width: int) -> None:
    tile = Tile(level, number, width)
    assert parse_tile(tile.path) == tile


@pytest.mark.parametrize(
    "path",
    [
        "tile/64/000",
        "tile/00/000",
        "tile/0/00",
        "tile/0/x000/001",
        "tile/0/001/002",
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/0/000.p/01",
        "tile/0/000/",
        "tile/0/000\n",
        "tile/0/\u0660\u0660\u0660",
        "tile/0/../../etc/passwd",
    ],
)
def test_any_other_path_is_refused(path: str) -> None:
    with pytest.raises(BadTileError, match="not the path of a tile"):
        parse_tile(path)


def test_the_example_tree_of_70000_leaves_has_the_tiles_of_the_specification() -> None:
    for tile in (Tile(0, 272), Tile(0, 273, 112), Tile(1, 0), Tile(1, 1, 17), Tile(2, 0, 1), Tile(None, 273, 112)):
        assert tile.stands_in(70_000), tile
    for tile in (Tile(0, 273), Tile(0, 273, 113), Tile(1, 1, 18), Tile(2, 0, 2), Tile(3, 0, 1)):
        assert not tile.stands_in(70_000), tile


def test_a_tile_starts_at_its_node() -> None:
    assert Tile(0, 3).first == Node(0, 768)
    assert Tile(2, 1).first == Node(16, 256)
    assert Tile(None, 1).first == Node(0, 256)


def test_entries_are_bundled_after_their_lengths() -> None:
    assert bundle_entries([b"", b"abc", bytes(258)]) == b"\0\0" + b"\0\3abc" + b"\1\2" + bytes(258)
    with pytest.raises(ValueError, match="65535"):
        bundle_entries([bytes(65_536)])
