"""Write the Python beside each proto: messages, gRPC stubs and their types. Run by `make generate`."""

from __future__ import annotations

import sys
from importlib.resources import files
from pathlib import Path

from grpc_tools import protoc

ROOT = Path(__file__).resolve().parent


def main() -> int:
    """Compile every proto below this folder; return protoc's exit status."""
    sources = sorted(str(path.relative_to(ROOT)) for path in ROOT.rglob("*.proto"))
    services = [name for name in sources if "service " in (ROOT / name).read_text()]
    include = [f"-I{ROOT}", f"-I{files('grpc_tools') / '_proto'}"]
    messages = [f"--python_out={ROOT}", f"--mypy_out=quiet:{ROOT}"]
    stubs = [f"--grpc_python_out={ROOT}", f"--mypy_grpc_out=quiet:{ROOT}"]
    status: int = protoc.main(["protoc", *include, *messages, *sources])
    return status or protoc.main(["protoc", *include, *stubs, *services])


if __name__ == "__main__":
    sys.exit(main())
