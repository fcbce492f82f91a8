"""A capsule's manifest beside the record that is signed when it is sealed.

The identity of a capsule is `mqc:1:` and SHA-256 of the RFC 8785 form of its manifest (open capsule specification, v1);
the manifest has the digest of its list of checksums, and so of every file. The record names both:

    {"type": "qmumma.capsule/v1", "capsule_id", "checksums_digest", "sealed_at", "sealed_by"}

A package itself (`.capsule`, a compressed archive) is not read here: its files are checked by `marqov-capsule`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping

from qmumma.exact import Json, UnreadableError, canonical
from qmumma.report import Check

CAPSULE_TYPE = "qmumma.capsule/v1"
PACKAGE_BEGINNING = b"\x1f\x8b"
_PACKAGE = (
    "this is a compressed archive, such as the package of a capsule, and not what was signed: check its files with "
    "marqov-capsule, and give its seal, the JSON with capsule_id, manifest and proof, to have the signature checked"
)


def refuse_package() -> UnreadableError:
    """What to say of a package that was given for its seal."""
    return UnreadableError(_PACKAGE)


def examine_manifest(answer: Mapping[str, Json]) -> Iterable[Check]:
    """Compare `manifest` with what the record says of it; nothing where the answer is a record without it."""
    if "manifest" not in answer:
        return
    manifest = answer["manifest"]
    if not isinstance(manifest, dict):
        yield Check("manifest", ok=False, detail="is no JSON object")
        return
    identity = f"mqc:1:{hashlib.sha256(canonical(manifest)).hexdigest()}"
    if identity != answer.get("capsule_id"):
        yield Check("manifest", ok=False, detail=f"is not what was sealed: it is that of {identity}")
        return
    yield Check("manifest", ok=True, detail=f"is that of {identity}")
    for name in ("checksums_digest", "sealed_at", "sealed_by"):
        if manifest.get(name) != answer.get(name):
            yield Check(f"manifest.{name}", ok=False, detail="is not that of the record")
