r"""Text of strangers as a page can show it: one line, of characters that the fonts have, none of which steers the rest.

What the page cannot show it names: an emoji becomes `\u{1f600}`, and so do line ends, controls and the marks that turn
the direction of writing. PDF/A forbids a character without a glyph, so this is also what lets every page be made. The
text itself, to the byte, is in the attachments.
"""

from __future__ import annotations

import datetime as dt
import itertools

_SHOWABLE = frozenset(
    map(
        chr,
        itertools.chain(
            range(0x20, 0x7F),
            (code for code in range(0xA1, 0x17F) if code not in {0xAD, 0x149}),
            range(0x391, 0x3A2),
            range(0x3A3, 0x3AA),
            range(0x3B1, 0x3CA),
            (0x2013, 0x2014, 0x2018, 0x2019, 0x201C, 0x201D, 0x2020, 0x2022, 0x2026, 0x20AC, 0x2212, 0x2260, 0x2264),
            (0x2265, 0x221A, 0x221E, 0x2248),
        ),
    )
)
"""What Source Sans Pro and DejaVu Sans Mono both have; a test sets every one of them."""
_UNITS = frozenset({"hartree", "angstrom", "ms", "seconds", "usd", "bits", "percent"})
_WORDS = {
    "vs": "against",
    **{word.lower(): word for word in ("FCI", "CASCI", "QASM", "OpenQASM", "QAOA", "VQE", "UCCSD", "SHA256")},
}
"""How words in the names of members are written."""
MOST_LISTED = 8
"""Numbers of a list that are written out."""


def shown(text: str, characters: int = 120) -> str:
    """The text on one line, of at most so many characters; what was cut off is an ellipsis at the end."""
    whole = "".join(mark if mark in _SHOWABLE else f"\\u{{{ord(mark):x}}}" for mark in text[: characters + 1])
    return whole if len(whole) <= characters else whole[: characters - 1] + "…"


def told(value: object, characters: int = 120) -> str:
    """A JSON value for people: numbers to eight digits, containers by their size."""
    match value:
        case None | bool():
            text = {None: "none", True: "yes", False: "no"}[value]
        case float():
            text = f"{value:.8g}"
        case list() if len(value) <= MOST_LISTED and all(type(item) in {int, float} for item in value):
            text = ", ".join(told(item) for item in value)
        case list():
            text = f"{len(value)} values"
        case dict():
            text = f"{len(value)} members"
        case _:
            text = str(value)
    return shown(text, characters)


def label(name: str) -> str:
    """A member's name as a label: `reference_fci_hartree` is `Reference FCI (hartree)`."""
    kept = name.replace("_", " ").replace(" num ", " ")
    *words, last = (_WORDS.get(word, word) for word in kept.split(" "))
    text = " ".join([*words, f"({last})" if words and last in _UNITS else last])
    return shown(text[:1].upper() + text[1:], 40)


def clock(moment: str | dt.datetime | None, *, milliseconds: bool = True) -> str:
    """A moment in UTC, as RFC 3339 or a datetime, for people."""
    if moment is None:
        return "not recorded"
    when = dt.datetime.fromisoformat(moment) if isinstance(moment, str) else moment
    text = when.astimezone(dt.UTC).strftime("%Y-%m-%d  %H:%M:%S.%f")
    return f"{text[: -3 if milliseconds else -7]} UTC"


def grouped(number: float, decimals: int = 0) -> str:
    """A number with its thousands apart: `4 096`."""
    return f"{number:,.{decimals}f}".replace(",", " ")


def spaced(digits: str, width: int = 8) -> str:
    """Hexadecimal digits in groups."""
    return " ".join(digits[start : start + width] for start in range(0, len(digits), width))
