"""Names that people give: one line of text that shows, and that looks like what it is."""

from __future__ import annotations

import unicodedata

from mesh.errors import InvalidArgument

_REFUSED = frozenset({"Cc", "Cf", "Co", "Cs", "Zl", "Zp"})
"""Control and format characters (those that turn the direction of text among them), line ends, private use."""
_JOINERS = frozenset("\u200c\u200d")  # several scripts and emoji need them
_UNSEEN = frozenset({"Zs", "Mn", "Me", "Cf"})


def require_name(field: str, text: str) -> str:
    """The text in its composed form (NFC). Raises InvalidArgument (INVALID_CHARACTER, BLANK_NAME)."""
    composed = unicodedata.normalize("NFC", text)
    kinds = {unicodedata.category(character) for character in composed if character not in _JOINERS}
    if kinds & _REFUSED:
        message = f"{field}: control and format characters are not allowed."
        raise InvalidArgument(message, reason="INVALID_CHARACTER", field=field)
    if kinds <= _UNSEEN or composed != composed.strip():
        message = f"{field}: must show something, and not begin or end with a space."
        raise InvalidArgument(message, reason="BLANK_NAME", field=field)
    return composed
