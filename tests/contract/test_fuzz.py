"""A short slice of `make fuzz`."""

from __future__ import annotations

from deploy.local.mesh import LocalMesh
from tests.fuzz.barrage import barrage
from tests.live import Team


async def test_no_malformed_request_gives_a_500_or_hangs(mesh: LocalMesh) -> None:
    found = await barrage(mesh, await Team.create(mesh, "enterprise"), seed=20, numbers=range(600))
    assert found.faults == []
    assert found.statuses["400"] > 150
    assert found.statuses["200"] > 20
