"""The frameworks that a certificate can be laid out for: what each asks, and how far this document goes. Data, in TOML.

The wording is held to what is true: a certificate *supports* a framework's evidence. It certifies no organisation, and
a service's key attests: it is nobody's signature.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

FRAMEWORKS_FILE = Path(__file__).with_name("frameworks.toml")

Cover = Literal["covered", "partly", "customer"]
"""`covered` by this document, `partly` by it, or the `customer`'s own to do."""


class Item(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One thing that a framework asks."""

    clause: str
    asks: str
    cover: Cover
    how: str


class Framework(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One template."""

    id: Annotated[str, Meta(pattern="^[a-z0-9-]{2,32}$")]
    name: str
    title: str
    """The document's subtitle."""
    statement: str
    """What the document is to this framework, in two sentences at most."""
    items: Annotated[tuple[Item, ...], Meta(min_length=1)]


class Frameworks(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """All of them; the first is the default."""

    version: Annotated[int, Meta(ge=1)]
    """Of wording and layout together: it is printed, and a certificate of an older one can be issued anew."""
    frameworks: Annotated[tuple[Framework, ...], Meta(min_length=1)]

    def find(self, framework_id: str) -> Framework | None:
        """The framework of that id; the default for an empty one."""
        if not framework_id:
            return self.frameworks[0]
        return next((framework for framework in self.frameworks if framework.id == framework_id), None)
