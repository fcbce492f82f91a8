"""The service's own keys: which ones it must have, and how stored ones become signers. Pure.

A record key, `vajra-YYYY-NN`, signs for a year; its signatures hold for ever. The log has two keys, Ed25519 for the
witnesses of today and ML-DSA-65 for those of tomorrow; they are the log's identity and do not expire.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from mesh.errors import Unavailable
from services.signing.custody import CustodyError, KeyEncryptionKey, Seed
from services.signing.keys import KeyId, NamedKey, PublicKey, next_key_id
from services.signing.mldsa import Provider
from services.signing.note import Ed25519Signer, MlDsaSigner, NoteKey, NoteSigner

RECORD_KEY_LIFETIME = dt.timedelta(days=365)
CLOCK_LEEWAY = dt.timedelta(minutes=5)
"""How far the clocks of two signing processes may be apart before they disagree about a new key."""


class Purpose(StrEnum):
    """What a key signs."""

    RECORD = "record"
    LOG = "log"


class Algorithm(StrEnum):
    """How a key signs."""

    ML_DSA_65 = "ML-DSA-65"
    ED25519 = "Ed25519"


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

    def signs_at(self, now: dt.datetime) -> bool:
        """Whether the key may sign at the time `now`."""
        return self.not_before - CLOCK_LEEWAY <= now and (self.expire_time is None or now < self.expire_time)

    def public_key(self) -> PublicKey:
        """The public half of a record key."""
        return PublicKey(KeyId(self.key_id), self.public)


@dataclass(frozen=True, slots=True)
class Locksmith:
    """Makes keys and opens them."""

    provider: Provider
    wrapping: KeyEncryptionKey
    origin: str
    """The log's name, which its keys carry."""

    def missing(self, held: Sequence[StoredKey], now: dt.datetime) -> list[StoredKey]:
        """New keys for what `held` cannot do at the time `now`: sign records, or sign the log in either algorithm."""
        made = []
        if not any(key.purpose is Purpose.RECORD and key.signs_at(now) for key in held):
            kids = [KeyId(key.key_id) for key in held if key.purpose is Purpose.RECORD]
            kid = next_key_id(now.year, kids)
            made.append(self._make(kid, Purpose.RECORD, Algorithm.ML_DSA_65, now, now + RECORD_KEY_LIFETIME))
        logs = {key.algorithm for key in held if key.purpose is Purpose.LOG}
        made += [
            self._make(f"log-{algorithm.lower()}", Purpose.LOG, algorithm, now, None)
            for algorithm in (Algorithm.ED25519, Algorithm.ML_DSA_65)
            if algorithm not in logs
        ]
        return made

    def open(self, held: Sequence[StoredKey], now: dt.datetime) -> KeyRing:
        """Open the newest record key and the log's keys; CustodyError when a seed does not give its public key."""
        records = [key for key in held if key.purpose is Purpose.RECORD and key.signs_at(now)]
        current = max(records, key=lambda key: (key.not_before, key.key_id))
        signing_key = self.provider.signing_key(self._seed(current).reveal())
        _require_same(current, signing_key.public)
        logs = {key.algorithm: key for key in held if key.purpose is Purpose.LOG}
        signers = (self._note_signer(logs[Algorithm.ED25519]), self._note_signer(logs[Algorithm.ML_DSA_65]))
        return KeyRing(NamedKey(KeyId(current.key_id), signing_key), current, signers)

    def _make(
        self, key_id: str, purpose: Purpose, algorithm: Algorithm, now: dt.datetime, expire_time: dt.datetime | None
    ) -> StoredKey:
        seed = Seed.generate()
        public = self._signer(algorithm, seed).key.public
        return StoredKey(key_id, purpose, algorithm, public, self.wrapping.wrap(seed, key_id), now, expire_time)

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
    """The opened keys: one for records, two for the log's checkpoints."""

    record: NamedKey
    stored: StoredKey
    """The record key as it is stored, with the span in which it signs."""
    log: tuple[NoteSigner, ...]

    def record_key(self, now: dt.datetime) -> NamedKey:
        """The key that signs records at the time `now`; Unavailable (SIGNING_KEY_EXPIRED) past its span."""
        if not self.stored.signs_at(now):
            message = f"The signing key {self.stored.key_id} has expired; a restart of the service makes the next."
            raise Unavailable(message, reason="SIGNING_KEY_EXPIRED")
        return self.record

    def log_keys(self) -> tuple[NoteKey, ...]:
        """The public keys of the log."""
        return tuple(signer.key for signer in self.log)


def _require_same(key: StoredKey, public: bytes) -> None:
    if key.public != public:
        message = f"the seed of {key.key_id} does not give its public key: the row was altered"
        raise CustodyError(message)
