"""Documents are served from memory, once, and load nothing from anywhere else."""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest

from edge.dialects.qmumma.errors import KINDS
from edge.documentation.pages import ASSETS

LINK = re.compile(r'(?:src|href)="([^"]*)"')


@pytest.mark.parametrize("path", ["/docs", "/redoc", "/docs/errors"])
async def test_a_page_loads_only_what_this_edge_serves(world: Any, path: str) -> None:
    async with world.client(None) as anyone:
        page = await anyone.get(path)
        assert page.headers["content-type"] == "text/html; charset=utf-8"
        policy = page.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "http" not in policy
        links = LINK.findall(page.text)
        assert links
        for link in links:
            assert link.startswith("/")
            assert (await anyone.get(link)).status_code == 200


async def test_no_viewer_names_an_image_of_another_host(client: httpx.AsyncClient) -> None:
    for name in ASSETS:
        if name.endswith(".js"):
            asset = (await client.get(f"/docs/assets/{name}")).content
            assert not re.search(rb"https?://[^\s`\"']+\.(?:svg|png|gif|jpe?g|woff2?)\b", asset), name


async def test_the_viewers_open_the_served_document(world: Any) -> None:
    async with world.client(None) as anyone:
        for script in ("swagger.js", "redoc.js"):
            text = (await anyone.get(f"/docs/assets/page/{script}")).text
            assert '"/v1/openapi.json"' in text
        assert "disableTelemetry: true" in text


@pytest.mark.parametrize("path", ["/v1/openapi.json", "/docs", "/docs/assets/swagger-ui/swagger-ui.css"])
async def test_a_document_that_the_client_has_is_304(client: httpx.AsyncClient, path: str) -> None:
    first = await client.get(path)
    again = await client.get(path, headers={"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == first.headers["etag"]


async def test_the_bare_address_leads_to_the_document(world: Any) -> None:
    async with world.client(None) as anyone:
        answer = await anyone.get("/")
        assert (answer.status_code, answer.headers["location"]) == (302, "/docs")


async def test_doc_url_of_every_error_leads_to_its_section(client: httpx.AsyncClient) -> None:
    page = await client.get("/docs/errors")
    for kind in KINDS:
        assert f'<section id="{kind.type}">' in page.text
        assert all(str(status) in page.text for status in kind.statuses)
    assert "`" not in page.text
    assert 'href="/docs"' in page.text
    url = (await client.get("/nowhere")).json()["error"]["doc_url"]
    assert url == "http://edge.test/docs/errors#not_found"
