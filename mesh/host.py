"""Several parts of the mesh in one operating-system process, to spend less on a machine that has them all anyway.

    python -m mesh.host services.billing=billing.toml services.signing=signing.toml …

Each keeps its identity, configuration, database role and port, as if it ran alone; one that calls another comes after
it. Unary calls between them go through the callee's guard without a socket. If one fails, all end, for their supervisor
to start them again.
"""

from __future__ import annotations

import argparse
import importlib
from pathlib import Path

from mesh.process import Part, host


def _part(argument: str) -> tuple[Part[object], Path]:  # type: ignore[type-var]
    module, _, path = argument.partition("=")
    if not path:
        raise argparse.ArgumentTypeError(f"{argument!r} is not MODULE=FILE")
    package = importlib.import_module(module)
    main = importlib.import_module(f"{module}.__main__") if hasattr(package, "__path__") else package
    return main.PART, Path(path)


def main() -> None:
    """Host what the command line names."""
    parser = argparse.ArgumentParser(prog="q-mumma host", description=__doc__)
    parser.add_argument("parts", nargs="+", type=_part, metavar="MODULE=FILE", help="a part and its configuration")
    host("host", parser.parse_args().parts)


if __name__ == "__main__":
    main()
