"""One mesh with all its processes, and teams to ask it.

Where each line of contracts/qmumma.md, and then of contracts/README.md, is held to:

| section | files test_qmumma_… |
|---|---|
| keys and plans | keys, roles, plans, billing |
| jobs: submission, quotes, reading, events, results | submit, quotes, read, events, results |
| marketplace, entropy, webhooks | marketplace, entropy, webhooks |
| benchmarks, proof, documents | benchmarks, proof, pages, links |
| errors | errors |
| rules of every dialect | rules, by number; 3: test_faults; 6: plans; 10: events |

What takes days or a stopped clock (schedules, grace, five failing days) is held to in tests/mesh; the package `qmumma`
in test_sdk.
"""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from deploy.local.mesh import LocalMesh
from deploy.local.programs import every_program
from tests.live import Api, Team

PROGRAMS = every_program(workers=1, local_webhooks=True)


@pytest.fixture(scope="session")
async def mesh() -> AsyncIterator[LocalMesh]:
    with tempfile.TemporaryDirectory(prefix="qmumma-contract-") as folder:
        Path(folder).chmod(0o711)
        async with LocalMesh(Path(folder) / "state", port=0, base_port=0, programs=PROGRAMS) as mesh:
            yield mesh


@pytest.fixture(scope="session")
async def team(mesh: LocalMesh) -> Team:
    return await Team.create(mesh, "commercial")


@pytest.fixture
async def api(mesh: LocalMesh, team: Team) -> AsyncIterator[Api]:
    """The commercial team, with its test key."""
    api = Api(mesh, team.secrets["test"])
    yield api
    await api.close()


@pytest.fixture
async def anyone(mesh: LocalMesh) -> AsyncIterator[Api]:
    """A client without a key that anyone knows."""
    api = Api(mesh, "")
    del api.http.headers["Authorization"]
    yield api
    await api.close()


@pytest.fixture(scope="session")
async def big(mesh: LocalMesh) -> Team:
    """A team of the plan enterprise."""
    return await Team.create(mesh, "enterprise")


@pytest.fixture(scope="session", params=["live", "test"])
async def own(request: pytest.FixtureRequest, mesh: LocalMesh, big: Team) -> AsyncIterator[Api]:
    """Its owner, by a live and by a test key."""
    api = Api(mesh, big.secrets[request.param])
    yield api
    await api.close()


@pytest.fixture(scope="session")
async def ent(mesh: LocalMesh, big: Team) -> AsyncIterator[Api]:
    """Its owner, by an enterprise key."""
    api = Api(mesh, big.secrets["ent"])
    yield api
    await api.close()
