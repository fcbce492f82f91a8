"""Ports of the loopback interface: which are free, and a clear word about those that are not."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Mapping

from deploy.local.problem import StartError

HOST = "127.0.0.1"
PORT_MAX = 65_535


def free_ports(count: int) -> list[int]:
    """Ports that nobody uses now, all different."""
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.create_server((HOST, 0))) for _ in range(count)]
        return [int(bound.getsockname()[1]) for bound in sockets]


def require_free(ports: Mapping[str, int]) -> None:
    """Raise StartError naming every port that another process listens on."""
    busy = []
    for name, port in ports.items():
        if port > PORT_MAX:
            raise StartError(f"There is no port {port} ({name}): choose a lower BASE_PORT (--base-port).")
        try:
            socket.create_server((HOST, port)).close()
        except PermissionError as error:
            message = f"Port {port} ({name}) may not be used by this user. Choose another: `make up PORT=…`."
            raise StartError(message) from error
        except OSError:
            busy.append(f"{port} ({name})")
    if busy:
        message = (
            f"In use by another program: port {', '.join(busy)}. "
            "Stop it, or choose others: `make up PORT=… BASE_PORT=…` "
            "(--port, the REST API; --base-port, everything else)."
        )
        raise StartError(message)
