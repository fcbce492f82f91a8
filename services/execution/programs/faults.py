"""What the parsing libraries raise for programs that are grammatical and wrong, besides their own errors."""

from __future__ import annotations

from qiskit.exceptions import QiskitError

LIBRARY_FAULTS = (ArithmeticError, AssertionError, AttributeError, LookupError, TypeError, ValueError, QiskitError)


def fault_message(error: Exception) -> str:
    """Return the words of a library's error."""
    return error.message if isinstance(error, QiskitError) else str(error) or type(error).__name__
