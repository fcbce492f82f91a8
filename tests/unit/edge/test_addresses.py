from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from edge.addresses import address_of
from edge.app import create_app
from edge.server import HttpServer
from mesh.call import current

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@asynccontextmanager
async def serving(world: Any, trusted: str) -> AsyncIterator[httpx.AsyncClient]:
    server = HttpServer(
        create_app(world.edge), world.edge, "127.0.0.1:0", trusted_proxies=trusted, keep_alive_seconds=5
    )
    await server.start()
    key = {"authorization": "Bearer qm_test_sk_alice"}
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{server.port}", headers=key) as client:
        yield client
    await server.drain(1)


@pytest.mark.parametrize(
    ("trusted", "forwarded", "address"),
    [
        ("", "198.51.100.9", "127.0.0.1"),
        ("10.0.0.1", "198.51.100.9", "127.0.0.1"),
        ("127.0.0.1", "198.51.100.9", "198.51.100.9"),
        ("127.0.0.1", "192.0.2.1, 198.51.100.9", "198.51.100.9"),
        ("127.0.0.1", "2001:DB8:0::1", "2001:db8::1"),
        ("127.0.0.1", "not an address", ""),
    ],
)
async def test_calls_carry_the_address_of_the_client_that_only_a_trusted_proxy_may_tell(
    world: Any, trusted: str, forwarded: str, address: str
) -> None:
    seen: list[str] = []
    generate = world.entropy.GenerateEntropy

    async def noting(request: Any, **named: Any) -> Any:
        call = current()
        seen.append(call.address if call else "none")
        return await generate(request, **named)

    world.entropy.GenerateEntropy = noting
    async with serving(world, trusted) as client:
        answer = await client.post("/v1/entropy/generate", json={"bits": 8}, headers={"x-forwarded-for": forwarded})
    assert answer.status_code == 200
    assert seen == [address]


def test_an_address_is_written_in_one_way() -> None:
    assert address_of({"client": ("::ffff:192.0.2.7", 1)}) == "192.0.2.7"
    assert address_of({"client": None}) == ""
