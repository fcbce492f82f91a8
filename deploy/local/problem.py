"""What keeps the mesh from starting, told to the person at the terminal."""

from __future__ import annotations


class StartError(Exception):
    """The mesh cannot start; the message says why and what to do about it."""
