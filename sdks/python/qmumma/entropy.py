"""Random bits beside their signed record: are they the ones that were certified?"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping

from qmumma.exact import Json
from qmumma.note import decode_base64
from qmumma.report import Check

ENTROPY_TYPE = "qmumma.entropy/v1"
_HEX = re.compile(r"([0-9A-F]{2})+")


def examine_bits(answer: Mapping[str, Json]) -> Iterable[Check]:
    """Compare `data` with what the record says of it; nothing where the answer is a record without its bits."""
    if "data" not in answer:
        return
    try:
        data = _packed(answer["data"], answer.get("format"))
    except ValueError as error:
        yield Check("data", ok=False, detail=str(error))
        return
    digest, bits = hashlib.sha256(data).hexdigest(), answer.get("bits")
    if digest != answer.get("data_sha256"):
        yield Check("data", ok=False, detail=f"is not what was certified: it has the digest {digest}")
    elif type(bits) is not int or not 8 * len(data) - 8 < bits <= 8 * len(data):
        yield Check("data", ok=False, detail=f"has {len(data)} bytes, which are not {bits} bits")
    else:
        yield Check("data", ok=True, detail=f"is what was certified: {bits} bits, sha256 {digest}")


def raw_bits(record: Mapping[str, Json]) -> tuple[str, int | None]:
    """The digest and the size of the bits themselves, as bytes; the size is None where it is no number."""
    bits = record.get("bits")
    return f"sha256:{record.get('data_sha256')}", -(-bits // 8) if type(bits) is int else None


def _packed(data: Json, form: Json) -> bytes:
    """The bits as bytes; ValueError where they are not in the form that the record names, in its one writing."""
    if form == "hex" and isinstance(data, str):
        if _HEX.fullmatch(data) is None:
            message = "is not written as it was answered: in pairs of the digits 0 to 9 and A to F"
            raise ValueError(message)
        return bytes.fromhex(data)
    if form == "base64" and isinstance(data, str):
        return decode_base64(data, "it")
    if form == "bytes" and isinstance(data, list):
        return bytes(_byte(value) for value in data)
    raise ValueError(f"is not written in the format {form!r}")


def _byte(value: Json) -> int:
    if type(value) is int and 0 <= value <= 0xFF:  # noqa: PLR2004 - a byte
        return value
    raise ValueError("is no list of bytes")
