"""The layout of a sealed PDF: its revisions, its seals and its attachments, read from the bytes alone.

pages │ digests of the pages' objects, first seal │ second seal
"""

from __future__ import annotations

import hashlib
import json
import re
import zlib
from dataclasses import dataclass

BEGINNING = b"%PDF-"
ATTACHMENTS = ("result.json", "parameters.json", "roots.json", "certificate.json")
ATTACHMENT_BYTES_MAX = 16 * 2**20

_RANGE = re.compile(rb"/ByteRange \[0 (\d{1,10}) (\d{1,10}) (\d{1,10})\] *\n")
_OBJECT = re.compile(rb"(?:^|\n)([0-9]{1,7}) 0 obj\b")
_OBJECT_END = b"\nendobj"
_DIGESTS = b"/Type /QMUMDigests"
_STREAM, _STREAM_END = re.compile(rb">>\s{0,4}stream\r?\n"), b"\nendstream"
_NAMED = re.compile(rb"/Type/Filespec/F\(([a-z.]{1,40})\)/UF\([a-z.]{1,40}\)/EF<</F ([0-9]{1,7}) 0 R")
_HEX = re.compile(rb"<([0-9A-F]*)>")
_END = b"%%EOF\n"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a seal is: it covers the file up to `gap`, and from `resume` to `end`; its container is in between."""

    gap: int
    resume: int
    end: int

    def covered(self, pdf: bytes) -> bytes:
        """The bytes that the seal is over."""
        return pdf[: self.gap] + pdf[self.resume : self.end]

    def container(self, pdf: bytes) -> bytes:
        """The container; ValueError where the gap holds anything but upper-case hexadecimal."""
        match = _HEX.fullmatch(pdf[self.gap : self.resume])
        if match is None:
            raise ValueError("the gap has something else in it than a container")
        raw = bytes.fromhex(match[1].decode())
        # DER says how long it is: what follows is padding.
        size = 4 + int.from_bytes(raw[2:4])
        if raw[:2] != b"\x30\x82" or any(raw[size:]):
            raise ValueError("its padding is not empty")
        return raw[:size]


def seals_of(pdf: bytes) -> list[Place]:
    """The seals in the order of their ends."""
    places = [Place(int(match[1]), int(match[2]), int(match[2]) + int(match[3])) for match in _RANGE.finditer(pdf)]
    return sorted(places, key=lambda place: place.end)


def pages_end(pdf: bytes) -> int:
    """Where the first revision ends: the pages and their attachments, without any seal."""
    return pdf.find(_END) + len(_END)


def attachments_of(pdf: bytes) -> dict[str, bytes]:
    """The attachments of the first revision by name; one that cannot be unpacked is left out."""
    pages = pdf[: pages_end(pdf)]
    objects = _objects(pages)
    found: dict[str, bytes] = {}
    for match in _NAMED.finditer(pages):
        name, stream = match[1].decode(), _stream(objects.get(match[2].decode(), b""))
        if name in ATTACHMENTS and name not in found and stream is not None:
            head, content = stream
            try:
                packed = b"/FlateDecode" in head
                found[name] = zlib.decompressobj().decompress(content, ATTACHMENT_BYTES_MAX) if packed else content
            except zlib.error:
                continue
    return found


def altered_objects(pdf: bytes) -> list[str]:
    """What was altered in the first revision, for people, as far as the digests in the second tell."""
    end = pages_end(pdf)
    place = pdf.find(_DIGESTS, end)
    stream = _stream(pdf[place : pdf.find(_OBJECT_END, place)].strip()) if place >= 0 else None
    try:
        digests: dict[str, str] = json.loads(stream[1]) if stream is not None else {}
    except ValueError:
        return ["the list of digests"]
    pages = pdf[:end]
    names = {match[2]: match[1].decode() for match in _NAMED.finditer(pages)}
    present = _objects(pages)
    changed = [
        _describe(number, present[number], names)
        for number, digest in digests.items()
        if number in present and hashlib.sha256(present[number]).hexdigest() != digest
    ]
    missing = [f"object {number}, which is gone" for number in digests.keys() - present.keys()]
    added = [f"object {number}, which was added" for number in present.keys() - digests.keys()]
    return [*changed, *sorted(missing), *sorted(added)]


def _objects(pages: bytes) -> dict[str, bytes]:
    """Each object as it is written, by number; found in one pass, whatever the file is made of."""
    found, place = {}, 0
    while match := _OBJECT.search(pages, place):
        end = pages.find(_OBJECT_END, match.end())
        if end < 0:
            break
        found[match[1].decode()] = pages[match.end() : end]
        place = end
    return found


def _stream(content: bytes) -> tuple[bytes, bytes] | None:
    """The dictionary and the data of a stream, or None where it is none."""
    content = content.strip()
    match = _STREAM.search(content)
    if match is None or not content.endswith(_STREAM_END):
        return None
    return content[: match.start()], content[match.end() : -len(_STREAM_END)]


def _describe(number: str, content: bytes, names: dict[bytes, str]) -> str:
    """An object by what it is for."""
    if number.encode() in names:
        return f"the attachment {names[number.encode()]}"
    head = content[:400]
    kinds = (
        (b"/Type/Page/", "a page"),
        (b"/FontFile", "a font"),
        (b"/Type/Font", "a font"),
        (b"/Type/FontDescriptor", "a font"),
        (b"/Type/Metadata", "the metadata"),
        (b"/Type/Filespec", "the list of attachments"),
        (b"/Type/StructElem", "the structure of a page"),
        (b"/Type/Catalog", "the catalogue"),
        (b"/N 3", "the colour profile"),
    )
    for mark, kind in kinds:
        if mark in head:
            return f"{kind} (object {number})"
    return f"the content of a page (object {number})" if b"stream" in content else f"object {number}"
