"""What can go wrong between us and a provider. No message holds a word of the credentials.

ProviderError
├── Refused              the provider said no, and will again; the job fails
│   └── NotAdmitted      the credentials are not (or no longer) accepted
├── Busy                 nothing was done; worth another try, `after` seconds from now at the earliest
└── OutcomeUnknown       a job was sent and no answer came: look it up by its tag before anything is sent again
"""

from __future__ import annotations


class ProviderError(Exception):
    """A call to a provider failed; the message is for people."""


class Refused(ProviderError):
    """The provider said no, and will again."""


class NotAdmitted(Refused):
    """The credentials are not accepted."""


class Busy(ProviderError):
    """Nothing was done: rate limit, outage, no connection."""

    def __init__(self, message: str, after: float = 0.0) -> None:
        """Keep how many seconds the provider asked to wait (0 where it did not)."""
        super().__init__(message)
        self.after = after


class OutcomeUnknown(ProviderError):
    """A job was sent and no answer came."""
