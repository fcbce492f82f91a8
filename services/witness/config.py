"""What the witness is told at its start."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from msgspec import Meta

from mesh.config import MeshConfig


class WitnessConfig(MeshConfig, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The configuration of the witness process."""

    state_folder: Path
    """Holds its key and its memory, and nobody else's: whoever can change it can make it forget."""
    name: Annotated[str, Meta(pattern=r"^[^\s+]{1,255}$")] = "qmumma.local/witness"
    """The name of its key. Another name is another witness."""
    log_keys: tuple[str, ...] = ()
    """The vkeys of the log, both of which must have signed. Without them, those that it finds at its first look, which
    it then keeps for ever."""
    pause_seconds: Annotated[float, Meta(gt=0, le=3600)] = 1.0
    """Between two looks at the log."""
