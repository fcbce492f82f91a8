"""Replacing the authority of the mesh's certificates while everything runs, and no call fails.

Three steps, each followed by all before the next: trust the old and the new one; be known by the new one; trust it
alone. What step a rotation is at is in the files, so one that broke off goes on where it was:

    authority/authority.crt     the trusted authorities: one, or two during a rotation
    authority/authority.key     the key of the one that issues
    authority/next/             the new authority, until it is the only one
"""

from __future__ import annotations

import shutil
from enum import IntEnum
from pathlib import Path

from mesh.identity import ensure_authority, replace_file


class Step(IntEnum):
    """What comes next."""

    TRUST_BOTH = 1
    ISSUE = 2
    TRUST_NEW = 3


class Rotation:
    """A rotation of the authority in a folder."""

    def __init__(self, folder: Path) -> None:
        """Look at the authority that `ensure_authority` made in `folder`."""
        self._folder = folder
        self._next = folder / "next"

    @property
    def step(self) -> Step:
        """The step to be taken."""
        if not self._next.exists() or self._certificates().count(b"BEGIN") < len(Step) - 1:
            return Step.TRUST_BOTH
        return Step.TRUST_NEW if self._key() == self._next_key() else Step.ISSUE

    def take(self) -> Step:
        """Take the step that comes next, and say which it was; certificates are then to be renewed."""
        step = self.step
        if step is Step.TRUST_BOTH:
            new = ensure_authority(self._next)
            both = self._certificates() + new.certificate_file.read_bytes()
            replace_file(self._folder / "authority.crt", both, 0o644)
        elif step is Step.ISSUE:
            replace_file(self._folder / "authority.key", self._next_key(), 0o600)
        else:
            new_alone = (self._next / "authority.crt").read_bytes()
            replace_file(self._folder / "authority.crt", new_alone, 0o644)
            shutil.rmtree(self._next)
        return step

    def _certificates(self) -> bytes:
        return (self._folder / "authority.crt").read_bytes()

    def _key(self) -> bytes:
        return (self._folder / "authority.key").read_bytes()

    def _next_key(self) -> bytes:
        return (self._next / "authority.key").read_bytes()
