"""Checkpoints (C2SP tlog-checkpoint): a tree's size and root as the text of a signed note.

<origin>
<size>
<base64 of the root>
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence
from dataclasses import dataclass

from services.signing.note import BadNoteError, NoteSigner, SignedNote, sign_note
from services.signing.tree import HASH_BYTES

_SIZE = re.compile(r"0|[1-9][0-9]{0,18}")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A tree head: the log's origin (its keys' name), its number of leaves and its root (32 bytes)."""

    origin: str
    size: int
    root: bytes

    def text(self) -> str:
        """Write the note text, three lines."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode('ascii')}\n"

    def sign(self, signers: Sequence[NoteSigner]) -> SignedNote:
        """Sign the checkpoint. The caller must never have signed one that this one does not extend."""
        return sign_note(self.text(), signers)


@dataclass(frozen=True, slots=True)
class Head:
    """A tree that was committed: its size and root; `note` is its checkpoint, None until somebody asks for it."""

    size: int
    root: bytes
    note: str | None = None
    witnessed: str = ""
    """The signature lines of witnesses, which come under the note."""


@dataclass(frozen=True, slots=True)
class SignedHead:
    """A head whose checkpoint is signed."""

    size: int
    root: bytes
    note: str


def parse_checkpoint(text: str) -> Checkpoint:
    """Read a note's text; BadNoteError unless it is exactly what `Checkpoint.text` writes.

    Extension lines are refused: this log writes none, and no monitor could audit them.
    """
    lines = text.split("\n")
    if len(lines) == 4 and lines[0] and _SIZE.fullmatch(lines[1]):  # noqa: PLR2004 - three lines, each ended
        try:
            checkpoint = Checkpoint(lines[0], int(lines[1]), base64.b64decode(lines[2], validate=True))
        except binascii.Error as error:
            message = f"the root of a checkpoint is base64: {error}"
            raise BadNoteError(message) from error
        if len(checkpoint.root) == HASH_BYTES and checkpoint.text() == text:
            return checkpoint
    message = "a checkpoint is an origin, a size and the base64 of a 32-byte root, each on a line"
    raise BadNoteError(message)
