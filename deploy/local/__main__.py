"""Run the whole mesh on this machine: `python -m deploy.local up`."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from deploy.local.console import Console
from deploy.local.lock import holder
from deploy.local.ports import PORT_MAX
from deploy.local.problem import StartError

if TYPE_CHECKING:
    from deploy.local.mesh import LocalMesh

_STOP_PATIENCE = 60.0
_INTERRUPTED = 130  # the shell's status for a program that Ctrl-C ended


def main() -> int:
    """Do what the command line says; answers the exit status."""
    arguments = _parser().parse_args()
    state: Path = arguments.state.resolve()
    if arguments.command in {"up", "demo"}:
        return _up(arguments, state)
    if arguments.command == "down":
        return _down(state)
    return _status(state)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m deploy.local", description="The whole mesh on this machine.")
    commands = parser.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up", help="start everything and stay until Ctrl-C")
    demo = commands.add_parser("demo", help="start everything, run a molecule through it, check the proof, stop")
    for command in (up, demo):
        command.add_argument("--port", type=_port, default=8080, help="port of the REST API (8080; 0: a free one)")
        command.add_argument(
            "--base-port", type=_port, default=7100, help="first port of everything else (7100; 0: free ones)"
        )
        command.add_argument("--workers", type=int, default=1, help="parts that run jobs (1)")
        command.add_argument(
            "--local-webhooks", action="store_true", help="let jobs name webhooks on this machine, over http too"
        )
        command.add_argument("--apart", action="store_true", help="a process for each service, as in a cluster")
    down = commands.add_parser("down", help="stop a supervisor that runs elsewhere")
    status = commands.add_parser("status", help="say whether a supervisor runs; exit status 3 if not")
    for command in (up, demo, down, status):
        command.add_argument("--state", type=Path, default=Path(".local"), help="folder of all data (default .local)")
    return parser


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) <= PORT_MAX):
        raise argparse.ArgumentTypeError(f"{text} is not a port, 0 to {PORT_MAX}")
    return int(text)


def _up(arguments: argparse.Namespace, state: Path) -> int:
    console = Console()
    try:
        return asyncio.run(_serve(arguments, state, console))
    except StartError as error:
        console.problem(str(error))
        return 1
    except OSError as error:
        console.problem(f"{error.strerror}{f' ({error.filename})' if error.filename else ''}.")
        return 1


async def _serve(arguments: argparse.Namespace, state: Path, console: Console) -> int:
    from deploy.local.mesh import LocalMesh  # noqa: PLC0415 - --help and status do not wait for its imports
    from deploy.local.programs import every_program  # noqa: PLC0415

    start = time.monotonic()
    console.title(f"Q-MUMMA on this machine, with its state in {state}")
    mesh = LocalMesh(
        state,
        port=arguments.port,
        base_port=arguments.base_port,
        programs=every_program(
            workers=arguments.workers, apart=arguments.apart, local_webhooks=arguments.local_webhooks
        ),
        console=console,
    )
    stopping = asyncio.Event()
    running = asyncio.create_task(mesh.start())

    def interrupt() -> None:
        if stopping.is_set():
            mesh.kill_all()
        elif not running.done():
            running.cancel()
        stopping.set()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, interrupt)
    try:
        await running
    except asyncio.CancelledError:
        console.line("Stopped before everything was up.")
        return _INTERRUPTED
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, mesh.follow_authority)
    console.title(f"Ready in {time.monotonic() - start:.1f} s")
    console.line(f"  REST API  {mesh.base_url}  (documentation at {mesh.base_url}/docs)")
    console.line(f"  Keys      {mesh.layout.credentials}")
    console.line(f"  Logs      {mesh.layout.log('edge').parent}")
    console.line("Ctrl-C stops everything; a second Ctrl-C does not wait.")
    status = await _demonstrate(mesh, console, stopping) if arguments.command == "demo" else 0
    if arguments.command == "up":
        await stopping.wait()
    with console.step("stop everything"):
        await mesh.stop()
    return status


async def _demonstrate(mesh: LocalMesh, console: Console, stopping: asyncio.Event) -> int:
    """Run the demo until it ends or is interrupted; answers the exit status."""
    from deploy.local.demo import DemoError, run_demo  # noqa: PLC0415 - only `demo` waits for its imports

    running = asyncio.create_task(run_demo(mesh, console))
    interrupted = asyncio.create_task(stopping.wait())
    await asyncio.wait({running, interrupted}, return_when=asyncio.FIRST_COMPLETED)
    interrupted.cancel()
    if not running.done():
        running.cancel()
        return _INTERRUPTED
    try:
        running.result()
    except (DemoError, OSError) as error:
        console.problem(f"The demo stopped: {error}")
        return 1
    return 0


def _down(state: Path) -> int:
    pid = holder(state)
    if pid is None:
        sys.stdout.write(f"Nothing runs with the state in {state}.\n")
        return 0
    os.kill(pid, signal.SIGTERM)
    end = time.monotonic() + _STOP_PATIENCE
    while holder(state) == pid:
        if time.monotonic() > end:
            sys.stdout.write(f"The supervisor (process {pid}) did not stop within {_STOP_PATIENCE:.0f} s.\n")
            return 1
        time.sleep(0.05)
    sys.stdout.write("Stopped.\n")
    return 0


def _status(state: Path) -> int:
    pid = holder(state)
    if pid is None:
        sys.stdout.write(f"Nothing runs with the state in {state}.\n")
        return 3
    sys.stdout.write(f"A supervisor (process {pid}) runs with the state in {state}.\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
