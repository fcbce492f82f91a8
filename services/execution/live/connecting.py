"""From credentials to a provider."""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.execution.live.azure import AzureProvider
from services.execution.live.braket import BraketProvider
from services.execution.live.credentials import Aws, Azure, Credentials, Ibm
from services.execution.live.ibm import IbmProvider, connector
from services.execution.live.ionq import IonqProvider

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable

    from services.execution.live.provider import Provider


def connected(credentials: Credentials, device: str, qubit_count: int, clock: Callable[[], dt.datetime]) -> Provider:
    """The way to a device; nothing is sent before its first call. Raises Refused."""
    match credentials:
        case Ibm():
            return IbmProvider(device, connector(credentials))
        case Aws():
            return BraketProvider(credentials, device)
        case Azure():
            return AzureProvider(credentials, device, qubit_count, clock)
        case _:
            return IonqProvider(credentials, device, qubit_count, clock)
