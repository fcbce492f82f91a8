"""Devices for the tests of algorithms."""

import functools

from services.execution.engines.aer import AerEngine
from services.execution.engines.device import Simulator
from services.execution.engines.engine import Method


@functools.cache
def simulator(method: Method) -> Simulator:
    """An ideal simulation by one method of Aer."""
    return Simulator(AerEngine(threads=1), method)
