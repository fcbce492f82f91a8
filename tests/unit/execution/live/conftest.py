"""Every provider beside its fake."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.unit.execution.live.harness import Harness, IbmHarness, azure, braket, ionq

NAMES = ("ionq", "azure-ionq", "azure-quantinuum", "braket", "ibm")


@pytest.fixture(params=NAMES)
def harness(request: pytest.FixtureRequest) -> Iterator[Harness]:
    """One provider after the other."""
    match request.param:
        case "ibm":
            yield IbmHarness(request.getfixturevalue("localqpu_server"), request.getfixturevalue("localqpu_control"))
        case "ionq":
            with ionq() as harness:
                yield harness
        case "braket":
            with braket() as harness:
                yield harness
        case name:
            device = "ionq.qpu.aria-1" if name == "azure-ionq" else "quantinuum.qpu.h2-1"
            with azure(device) as harness:
                yield harness
