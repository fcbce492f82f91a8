"""The page behind a certificate's code: who may see it, what it says, and that nothing in it is anybody else's HTML."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import AsyncIterator
from html.parser import HTMLParser
from typing import Any

import httpx
import msgspec
import pytest
import rfc8785
from qm.signing.v1 import signing_pb2

from services.certificates.number import certificate_number

ID = "qm_job_00000000000000000000000000000001"
NAMES = ("canonical", "type", "audit_hash", "key", "signature", "leaf", "inclusion", "checkpoint", "witness")


class Text(HTMLParser):
    """What a reader sees, the classes in which it is shown, and every element that was opened."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.tags: list[str] = []
        self.classes: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.classes += [value or "" for name, value in attrs if name == "class"]
        assert not [name for name, _ in attrs if name.startswith("on") or name in {"src", "style"}]

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


@pytest.fixture
async def anyone(world: Any) -> AsyncIterator[httpx.AsyncClient]:
    await world.execution.complete(world.execution.make())
    world.signing.checks = [signing_pb2.Check(name=name, ok=True, detail=f"{name} found") for name in NAMES]
    async with world.client(None) as client:
        yield client


def change_record(world: Any, **members: Any) -> None:
    [job] = world.execution.jobs.values()
    job.record = rfc8785.dumps({**msgspec.json.decode(job.record), **members})


async def test_whoever_has_the_token_sees_what_ran_and_what_holds(world: Any, anyone: httpx.AsyncClient) -> None:
    execution = {"simulated": True, "engine": "qmumma-twin", "calibration_id": "ibm@2026"}
    change_record(world, execution=execution, hardware="ibm_fez")
    answer = await anyone.get(f"/verify/{ID}", params={"t": "the-token"})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    page = Text(answer.text)
    for words in (
        "This result is genuine",
        "No quantum hardware took part",
        "ibm_fez (simulated, calibration ibm@2026)",
        ID,
        "Found: witness found",
        "it is not the signature of a person",
        "proves as much as you trust that server",
        "of the simulation",
        "qmumma verify result.json",
    ):
        assert words in page.text
    [job] = world.execution.jobs.values()
    assert certificate_number(ID, f"sha256:{job.seal.audit_hash.hex()}") in page.text
    assert page.classes.count("good") == 5
    assert "energy" not in page.text
    assert "script" not in page.tags


async def test_the_policy_allows_the_pages_own_style_and_nothing_else(anyone: httpx.AsyncClient) -> None:
    answer = await anyone.get(f"/verify/{ID}", params={"t": "the-token"})
    [style] = re.findall("<style>(.*?)</style>", answer.text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = answer.headers["content-security-policy"]
    assert policy.startswith(f"default-src 'none'; style-src 'sha256-{digest}'; ")
    assert "unsafe" not in policy
    assert (answer.headers["referrer-policy"], answer.headers["cache-control"]) == ("no-referrer", "no-store")
    assert not re.findall("https?://", answer.text)


@pytest.mark.parametrize("broken", NAMES)
async def test_a_check_that_fails_makes_the_whole_page_say_so(
    world: Any, anyone: httpx.AsyncClient, broken: str
) -> None:
    for check in world.signing.checks:
        check.ok = check.name != broken
    page = Text((await anyone.get(f"/verify/{ID}", params={"t": "the-token"})).text)
    assert "This result does not hold" in page.text
    assert "is genuine" not in page.text
    assert f"Found: {broken} found" in page.text
    assert (page.text.count("Fails: "), page.classes.count("good")) == (1, 4)


async def test_a_result_that_no_witness_has_seen_yet_is_told_as_that(world: Any, anyone: httpx.AsyncClient) -> None:
    world.signing.checks = world.signing.checks[:-1]
    change_record(world, execution={"simulated": False})
    page = Text((await anyone.get(f"/verify/{ID}", params={"t": "the-token"})).text)
    assert "Not yet: A witness has seen the log grow" in page.text
    assert "This result is genuine" in page.text
    assert "Quantum hardware." in page.text


@pytest.mark.parametrize(
    "path",
    [
        f"/verify/{ID}",
        f"/verify/{ID}?t=",
        f"/verify/{ID}?t=the-tokem",
        f"/verify/{ID[:-1]}2?t=the-token",
        "/verify/x?t=the-token",
        f"/verify/{ID}?t=%00",
    ],
)
async def test_without_the_token_a_job_looks_as_if_it_were_not_there(anyone: httpx.AsyncClient, path: str) -> None:
    answer = await anyone.get(path)
    assert (answer.status_code, answer.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert "This link opens nothing" in answer.text
    assert ID not in answer.text


async def test_what_a_record_holds_is_shown_and_never_run(world: Any, anyone: httpx.AsyncClient) -> None:
    hostile = "<script>alert(1)</script><img src=x onerror=alert(1)>'\"&"
    change_record(world, hardware=hostile, algorithm_id=hostile, fidelity=hostile, executed_at=hostile)
    world.signing.checks[0].detail = world.signing.checks[2].detail = hostile
    page = Text((await anyone.get(f"/verify/{ID}", params={"t": "the-token"})).text)
    assert {"script", "img"} & set(page.tags) == set()
    assert "<script>alert(1)</script>" in page.text
