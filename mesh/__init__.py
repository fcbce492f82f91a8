"""The runtime every service shares: identity, transport, guard, errors, data and events. It imports no service."""

import os

# gRPC reads these when it is first imported. Its fork handlers abort a child that only wants to exec another program,
# and its core writes lines of its own to standard error, which is for JSON.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
