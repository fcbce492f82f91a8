"""What accounts is told at its start."""

from __future__ import annotations

from pathlib import Path

from mesh.config import MeshConfig


class AccountsConfig(MeshConfig, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The configuration of the accounts process."""

    pepper_file: Path
    """Holds at least 32 random bytes; without the same file no key is known any more."""
    older_pepper_files: tuple[Path, ...] = ()
    """Files that were `pepper_file` before; each until no valid key is stored under it (docs/operators.md)."""
    key_encryption_key_file: Path
    """Holds the base64 of the 32 bytes that seal credentials at providers, mode 0600; without it they are lost."""
