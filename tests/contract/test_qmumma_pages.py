"""`/docs` and `/redoc` in a real browser that reaches nothing but this machine; left out where none is installed."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest

from deploy.local.mesh import LocalMesh

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
TROUBLE = ("violates", "Uncaught", "Failed to load", "Refused", "Error")


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed: apt-get install chromium")
@pytest.mark.parametrize(
    ("path", "texts"),
    [
        ("/docs", ("Submit a quantum job", "Get random bits", "Make an API key")),
        ("/redoc", ("Download OpenAPI description", "A job's life", "Marketplace", "rate_limited")),
    ],
)
async def test_the_page_renders_the_document_without_a_complaint(
    mesh: LocalMesh, tmp_path: Path, path: str, texts: tuple[str, ...]
) -> None:
    browser = await asyncio.create_subprocess_exec(
        str(CHROMIUM),
        *("--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", f"--user-data-dir={tmp_path}"),
        *("--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", "--virtual-time-budget=60000", "--dump-dom"),
        f"{mesh.base_url}{path}",
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(90):
        page, log = (text.decode("utf-8", "replace") for text in await browser.communicate())
    for text in texts:
        assert text in page, text
    assert "Resolver error" not in page
    said = [line for line in log.splitlines() if "CONSOLE" in line and any(word in line for word in TROUBLE)]
    assert said == []
