"""The runtime every service shares: identity, transport, guard, errors, data and events. It imports no service."""
