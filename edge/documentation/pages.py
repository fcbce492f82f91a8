"""Documents made once and served from memory: `/v1/openapi.json`, `/docs`, `/redoc` and what these pages load.

Nothing comes from another host: the viewers are in `static/`, and the Content-Security-Policy forbids all else.
"""

from __future__ import annotations

import hashlib
import html
import re
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from edge.dialects.qmumma.errors import KINDS, statuses_text
from edge.exchange import NO_STORE, Answer, Header, Request, etag_matches
from edge.operations import Handler, Operation
from edge.values import encode

ASSETS: dict[str, bytes] = {
    "swagger-ui/swagger-ui-bundle.js": b"text/javascript; charset=utf-8",
    "swagger-ui/swagger-ui.css": b"text/css; charset=utf-8",
    "swagger-ui/favicon-32x32.png": b"image/png",
    "redoc/redoc.standalone.js": b"text/javascript; charset=utf-8",
    "page/swagger.js": b"text/javascript; charset=utf-8",
    "page/redoc.js": b"text/javascript; charset=utf-8",
    "page/errors.css": b"text/css; charset=utf-8",
}
_LOGO = re.compile(rb"https://cdn\.redoc\.ly/redoc/logo-mini(?:-full)?\.svg")
_NAME = (
    b"data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' width='46' height='12'%3E"
    b"%3Ctext y='10' font-size='11' font-family='sans-serif'%3ERedocly%3C/text%3E%3C/svg%3E"
)
"""Stands where the viewer would load its maker's logo from elsewhere."""
_CODE = re.compile("`([^`]+)`")
_HTML = b"text/html; charset=utf-8"
_POLICY: Header = (
    b"content-security-policy",
    (
        b"default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
        b"font-src 'self' data:; connect-src 'self'; worker-src 'self' blob:; base-uri 'none'; form-action 'self'; "
        b"frame-ancestors 'none'"
    ),
)
_PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="icon" type="image/png" href="/docs/assets/swagger-ui/favicon-32x32.png">
{head}</head>
<body>
{body}</body>
</html>
"""


@dataclass(frozen=True)
class Page:
    """Bytes that do not change while this process runs."""

    body: bytes
    media_type: bytes
    etag: bytes
    headers: tuple[Header, ...] = ()

    async def answer(self, request: Request[Any, Any]) -> Answer:
        """The page, or 304 where the client has it."""
        headers = [(b"etag", self.etag), (b"cache-control", b"public, no-cache"), *self.headers]
        if etag_matches(request.headers.get(b"if-none-match"), self.etag):
            return Answer(304, headers=headers)
        return Answer(200, self.body, self.media_type, headers)


def document_operations(document: dict[str, Any]) -> list[Operation]:
    """The routes of the document, the pages and their assets; the bare address leads to them."""
    pages = {
        "/v1/openapi.json": _page(encode(document), b"application/json"),
        "/docs": _page(swagger_html(), _HTML, (_POLICY,)),
        "/docs/errors": _page(errors_html(), _HTML, (_POLICY,)),
        "/redoc": _page(redoc_html(), _HTML, (_POLICY,)),
    }
    static = files("edge.documentation") / "static"
    for name, media_type in ASSETS.items():
        pages[f"/docs/assets/{name}"] = _page(_LOGO.sub(_NAME, (static / name).read_bytes()), media_type)
    return [_operation("/", _to_docs), *(_operation(path, page.answer) for path, page in pages.items())]


def swagger_html() -> bytes:
    """The page of Swagger UI."""
    head = '<link rel="stylesheet" href="/docs/assets/swagger-ui/swagger-ui.css">\n'
    body = (
        '<div id="documentation"></div>\n'
        '<script src="/docs/assets/swagger-ui/swagger-ui-bundle.js"></script>\n'
        '<script src="/docs/assets/page/swagger.js"></script>\n'
    )
    return _PAGE.format(title="Q-MUMMA API", head=head, body=body).encode()


def redoc_html() -> bytes:
    """The page of Redoc."""
    body = '<div id="documentation"></div>\n<script type="module" src="/docs/assets/page/redoc.js"></script>\n'
    return _PAGE.format(title="Q-MUMMA API reference", head="", body=body).encode()


def errors_html() -> bytes:
    """The page that `doc_url` of an error leads to."""
    sections = "".join(
        f'<section id="{kind.type}"><h2><code>{kind.type}</code></h2>\n<p>HTTP status {statuses_text(kind)}</p>\n'
        f"<p>{_marked_up(kind.meaning)}</p>\n<p>{_marked_up(kind.advice)}</p></section>\n"
        for kind in KINDS
    )
    head = '<link rel="stylesheet" href="/docs/assets/page/errors.css">\n'
    back = '<p><a href="/docs">The API</a> · <a href="/redoc">its reference</a></p>\n'
    return _PAGE.format(title="Q-MUMMA errors", head=head, body=f"{back}<h1>Errors</h1>\n{sections}").encode()


def _marked_up(text: str) -> str:
    """The text as HTML, with what stands between backticks as code."""
    return _CODE.sub(r"<code>\1</code>", html.escape(text))


def _page(body: bytes, media_type: bytes, headers: tuple[Header, ...] = ()) -> Page:
    tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'.encode()
    return Page(body, media_type, tag, headers)


async def _to_docs(_request: Request[Any, Any]) -> Answer:
    """Lead whoever opens the bare address to the document."""
    return Answer(302, headers=[(b"location", b"/docs"), NO_STORE])


def _operation(path: str, handler: Handler) -> Operation:
    return Operation(
        id="getDocument",
        method="GET",
        path=path,
        handler=handler,
        authenticated=False,
        limited=False,
        documented=False,
    )
