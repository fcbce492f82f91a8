"""The service's own keys: which ones it must have, and how stored ones become signers. Pure.

A record key, `vajra-YYYY-NN`, signs for a year at most; its signatures hold for ever. Of several that may sign, the
newest does. The log has two keys, Ed25519 for the witnesses of today and ML-DSA-65 for those of tomorrow; they are the
log's identity and do not expire. No key is ever deleted.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from mesh.errors import Unavailable
from services.signing.custody import CustodyError, Seed, Wrapping
from services.signing.keys import KeyId, NamedKey, PublicKey
from services.signing.mldsa import Provider
from services.signing.note import Ed25519Signer, MlDsaSigner, NoteKey, NoteSigner

CLOCK_LEEWAY = dt.timedelta(minutes=5)
"""How far the clocks of two signing processes may be apart, and how long two keys of records overlap."""


class Purpose(StrEnum):
    """What a key signs."""

    RECORD = "record"
    LOG = "log"


class Algorithm(StrEnum):
    """How a key signs."""

    ML_DSA_65 = "ML-DSA-65"
    ED25519 = "Ed25519"


class State(StrEnum):
    """Where a key is in its life."""

    PENDING = "pending"
    ACTIVE = "active"
    RETIRED = "retired"


@dataclass(frozen=True, slots=True)
class StoredKey:
    """A key as the database has it; times are UTC, and `expire_time` None is never."""

    key_id: str
    purpose: Purpose
    algorithm: Algorithm
    public: bytes
    wrapped_seed: bytes = field(repr=False)
    not_before: dt.datetime
    expire_time: dt.datetime | None
    request_id: str | None = None
    """The request that made it; None for the keys of the first start."""
    announcement: bytes | None = field(default=None, repr=False)
    """What the log is told of it: a canonical record. None for the keys of the first start."""

    def state_at(self, now: dt.datetime) -> State:
        """Where the key is in its life at the time `now`."""
        if now < self.not_before:
            return State.PENDING
        return State.ACTIVE if self.expire_time is None or now < self.expire_time else State.RETIRED

    def public_key(self) -> PublicKey:
        """The public half of a record key."""
        return PublicKey(KeyId(self.key_id), self.public)


@dataclass(frozen=True, slots=True)
class Change:
    """What is to be stored of keys: new rows, and rows with another end or another wrapping."""

    new: tuple[StoredKey, ...] = ()
    changed: tuple[StoredKey, ...] = ()


def record_keys(held: Sequence[StoredKey]) -> list[StoredKey]:
    """The keys of records, oldest first."""
    return sorted((key for key in held if key.purpose is Purpose.RECORD), key=lambda key: (key.not_before, key.key_id))


@dataclass(frozen=True, slots=True)
class Locksmith:
    """Makes keys and opens them."""

    provider: Provider
    wrapping: Wrapping
    origin: str
    """The log's name, which its keys carry."""
    previous: Wrapping | None = None
    """What wrapped seeds before; they move to `wrapping`."""

    def make(
        self, key_id: str, purpose: Purpose, algorithm: Algorithm, now: dt.datetime, expire_time: dt.datetime | None
    ) -> StoredKey:
        """A key with a new seed, to sign from `now` on."""
        seed = Seed.generate()
        public = self._signer(algorithm, seed).key.public
        return StoredKey(key_id, purpose, algorithm, public, self.wrapping.wrap(seed, key_id), now, expire_time)

    def log_keys(self, held: Sequence[StoredKey], now: dt.datetime) -> tuple[StoredKey, ...]:
        """New keys for the algorithms in which the log cannot be signed yet."""
        logs = {key.algorithm for key in held if key.purpose is Purpose.LOG}
        return tuple(
            self.make(f"log-{algorithm.lower()}", Purpose.LOG, algorithm, now, None)
            for algorithm in (Algorithm.ED25519, Algorithm.ML_DSA_65)
            if algorithm not in logs
        )

    def rewrapped(self, held: Sequence[StoredKey]) -> tuple[StoredKey, ...]:
        """The keys that only `previous` opens, wrapped anew; CustodyError for one that neither opens."""
        return tuple(self._rewrap(key) for key in held if not self._opens(key)) if self.previous else ()

    def open(self, held: Sequence[StoredKey], now: dt.datetime) -> KeyRing:
        """Open the log's keys and every record key that is not retired at the time `now`.

        Raises CustodyError where a seed does not open or does not give its public key.
        """
        logs = {key.algorithm: key for key in held if key.purpose is Purpose.LOG}
        signers = (self._note_signer(logs[Algorithm.ED25519]), self._note_signer(logs[Algorithm.ML_DSA_65]))
        usable = [key for key in record_keys(held) if key.state_at(now) is not State.RETIRED]
        return KeyRing(tuple((key, self.named(key)) for key in usable), signers)

    def named(self, key: StoredKey) -> NamedKey:
        """A record key, opened; CustodyError when its seed does not give its public key."""
        signing_key = self.provider.signing_key(self._seed(key).reveal())
        _require_same(key, signing_key.public)
        return NamedKey(KeyId(key.key_id), signing_key)

    def _rewrap(self, key: StoredKey) -> StoredKey:
        assert self.previous is not None  # noqa: S101 - tells the type checker what the caller ensures
        seed = self.previous.unwrap(key.wrapped_seed, key.key_id)
        return replace(key, wrapped_seed=self.wrapping.wrap(seed, key.key_id))

    def _opens(self, key: StoredKey) -> bool:
        try:
            self._seed(key)
        except CustodyError:
            return False
        return True

    def _note_signer(self, key: StoredKey) -> NoteSigner:
        signer = self._signer(key.algorithm, self._seed(key))
        _require_same(key, signer.key.public)
        return signer

    def _signer(self, algorithm: Algorithm, seed: Seed) -> NoteSigner:
        if algorithm is Algorithm.ED25519:
            return Ed25519Signer(self.origin, seed.reveal())
        return MlDsaSigner(self.origin, self.provider.signing_key(seed.reveal()))

    def _seed(self, key: StoredKey) -> Seed:
        return self.wrapping.unwrap(key.wrapped_seed, key.key_id)


@dataclass(frozen=True, slots=True)
class KeyRing:
    """The opened keys: those for records, oldest first, and two for the log's checkpoints."""

    records: tuple[tuple[StoredKey, NamedKey], ...]
    log: tuple[NoteSigner, ...]

    def record_key(self, now: dt.datetime) -> NamedKey:
        """The newest key that signs records at the time `now`; Unavailable (SIGNING_KEY_EXPIRED) where none does.

        Where the clock is behind that of the process that made the first key, that key signs nevertheless.
        """
        for leeway in (dt.timedelta(), CLOCK_LEEWAY):
            for stored, key in reversed(self.records):
                if stored.state_at(now + leeway) is State.ACTIVE and (not leeway or now < stored.not_before):
                    return key
        raise Unavailable("No signing key is valid at the moment; try again.", reason="SIGNING_KEY_EXPIRED")

    def log_keys(self) -> tuple[NoteKey, ...]:
        """The public keys of the log."""
        return tuple(signer.key for signer in self.log)


def _require_same(key: StoredKey, public: bytes) -> None:
    if key.public != public:
        message = f"the seed of {key.key_id} does not give its public key: the row was altered"
        raise CustodyError(message)
