"""Following a log from outside: does it still hold all that it held, in the same order, and does it serve it?

At each look the newest checkpoint is read, every new entry is fetched and hashed, and the root over all of them must be
the signed one. Where it is not, what was seen before tells what has happened:

    signature    the checkpoint is not signed by the log's keys, or is of another log
    rolled_back  the log has fewer entries than it had
    truncated    it has signed for entries that it does not serve
    reordered    entries that were seen have changed places
    forked       an entry that was seen is another now, or two roots are signed for one size
    tampered     an entry or a tile is not what the tree says
    split_view   a witness has signed another tree than the one that is shown here
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from qmumma.exact import UnreadableError
from qmumma.memory import Memory
from qmumma.merkle import GrowingTree, hash_leaf
from qmumma.note import Checkpoint, LogKey, parse_checkpoint, parse_log_keys
from qmumma.remote import LOG_KEYS_PATH, NotThereError
from qmumma.tiles import CHECKPOINT_PATH, WIDTH, Fetch, read_entries, read_hashes, tile_root

_NAMED_MAX = 5


class MisbehaviourError(Exception):
    """The log has done what no honest log does. `kind` is a word of the list above, `note` what proves it."""

    def __init__(self, kind: str, detail: str, note: str = "") -> None:
        super().__init__(detail)
        self.kind = kind
        self.note = note


@dataclass(frozen=True, slots=True)
class Look:
    """An honest log as it was seen: what is to be remembered of it, and how many entries are new."""

    memory: Memory
    added: int


def look(fetch: Fetch, memory: Memory | None, witness_keys: Sequence[LogKey] = (), *, everything: bool = False) -> Look:
    """Look once, going on from `memory`; with `everything`, known entries are fetched again, too.

    Raises MisbehaviourError where the log misbehaves, UnreadableError where it does not answer or no key is one.
    """
    if memory is None:
        memory = Memory(log_keys=_text(fetch(LOG_KEYS_PATH), "the log's keys"))
    note = _text(fetch(CHECKPOINT_PATH), "the checkpoint")
    checkpoint = _signed(note, parse_log_keys(memory.log_keys, "the log's keys"))
    view = _View(fetch, memory, checkpoint, note)
    start = 0 if everything else memory.size
    tree, leaves = view.grown(start)
    view.check_upper_tiles(leaves, start)
    if witness_keys:
        _check_witnesses(fetch, witness_keys, leaves)
    grown = Memory(memory.log_keys, tree.size, tree.root(), tuple(tree.subtrees), note, leaves)
    return Look(grown, tree.size - memory.size)


class _View:
    """What the log shows at one look, beside what is remembered of it."""

    def __init__(self, fetch: Fetch, memory: Memory, checkpoint: Checkpoint, note: str) -> None:
        self._fetch = fetch
        self._memory = memory
        self._checkpoint = checkpoint
        self._note = note

    def grown(self, start: int) -> tuple[GrowingTree, list[bytes]]:
        """The tree of the checkpoint, and all of its leaves; those from `start` on are fetched."""
        memory, checkpoint = self._memory, self._checkpoint
        if checkpoint.size < memory.size:
            message = f"the log shows {checkpoint.size} entries, and had {memory.size}"
            raise self._fault("rolled_back", message)
        tree = memory.tree()
        added = list(self._new_leaves(start))
        for leaf in added:
            tree.add(leaf)
        if tree.root() != checkpoint.root:
            raise self._contradiction()
        return tree, [*memory.leaves, *added]

    def check_upper_tiles(self, leaves: list[bytes], first: int) -> None:
        """Compare every tile above level 0 that the entries from `first` on are in with what the entries give."""
        below, level = leaves, 1
        while len(below) >= WIDTH and first < len(below):
            roots = [tile_root(below[at : at + WIDTH]) for at in range(0, len(below) // WIDTH * WIDTH, WIDTH)]
            first //= WIDTH
            for number in range(first // WIDTH, -(-len(roots) // WIDTH)):
                expected = roots[number * WIDTH : (number + 1) * WIDTH]
                if self._hashes(level, number, len(expected)) != expected:
                    raise self._fault("tampered", f"tile {number} of level {level} is not that of the entries")
            below, level = roots, level + 1

    def _new_leaves(self, start: int) -> Iterator[bytes]:
        """The hashes of the entries that are new; each entry from `start` on is checked against the tile it is in."""
        size, known = self._checkpoint.size, self._memory.leaves
        for number in range(start // WIDTH, -(-size // WIDTH)) if size > start else ():
            first = number * WIDTH
            width = min(WIDTH, size - first)
            entries, hashes = self._entries(number, width), self._hashes(0, number, width)
            for index, (entry, told) in enumerate(zip(entries, hashes, strict=True), first):
                if index < len(known) and told != known[index]:
                    raise self._contradiction()
                if hash_leaf(entry) != told:
                    message = f"entry {index} hashes to {hash_leaf(entry).hex()}, and the tile has {told.hex()}"
                    raise self._fault("tampered", message)
                if index >= len(known):
                    yield told

    def _contradiction(self) -> MisbehaviourError:
        """What has become of the entries that were seen, where the signed root is not theirs."""
        known, size = self._memory.leaves, self._checkpoint.size
        now = [leaf for number in range(-(-len(known) // WIDTH)) for leaf in self._known_tile(number)]
        other = [index for index, (old, new) in enumerate(zip(known, now, strict=True)) if old != new]
        if other and Counter(known) == Counter(now):
            return self._fault("reordered", f"entries {_listed(other)} have changed places")
        if other:
            return self._fault("forked", f"entries {_listed(other)} are others than they were")
        if size == self._memory.size:
            return self._fault("forked", f"two different roots are signed for {size} entries")
        return self._fault("forked", f"the root signed for {size} entries is not that of the entries it serves")

    def _known_tile(self, number: int) -> list[bytes]:
        return self._hashes(0, number, min(WIDTH, self._memory.size - number * WIDTH))

    def _hashes(self, level: int, number: int, width: int) -> list[bytes]:
        try:
            return read_hashes(self._fetch, level, number, width)
        except NotThereError as error:
            raise self._missing(error) from error

    def _entries(self, number: int, width: int) -> list[bytes]:
        try:
            return read_entries(self._fetch, number, width)
        except NotThereError as error:
            raise self._missing(error) from error

    def _missing(self, error: NotThereError) -> MisbehaviourError:
        return self._fault("truncated", f"{self._checkpoint.size} entries are signed for, but {error}")

    def _fault(self, kind: str, detail: str) -> MisbehaviourError:
        return MisbehaviourError(kind, detail, self._note)


def _signed(note: str, keys: Iterable[LogKey]) -> Checkpoint:
    """The checkpoint in a note, once every key of the log has been found under it."""
    try:
        checkpoint = parse_checkpoint(note)
    except ValueError as error:
        message = f"the checkpoint cannot be read: {error}"
        raise MisbehaviourError("signature", message, note) from None
    for key in keys:
        if key.name != checkpoint.origin:
            message = f"the checkpoint is of {checkpoint.origin}, and the key of {key.name}"
            raise MisbehaviourError("signature", message, note)
        if not _holds(key, checkpoint):
            message = f"the checkpoint of {checkpoint.size} entries is not signed by {key}"
            raise MisbehaviourError("signature", message, note)
    return checkpoint


def _check_witnesses(fetch: Fetch, keys: Sequence[LogKey], leaves: list[bytes]) -> None:
    """Compare what the witnesses have signed last with what is shown here."""
    try:
        note = _text(fetch(f"{CHECKPOINT_PATH}?witnessed=true"), "the witnessed checkpoint")
    except NotThereError:
        message = "no witness has signed a checkpoint of the log"
        raise UnreadableError(message) from None
    try:
        checkpoint = parse_checkpoint(note)
    except ValueError as error:
        message = f"the witnessed checkpoint cannot be read: {error}"
        raise MisbehaviourError("signature", message, note) from None
    for key in keys:
        if not _holds(key, checkpoint):
            message = f"the witnessed checkpoint of {checkpoint.size} entries is not signed by {key}"
            raise MisbehaviourError("signature", message, note)
    if checkpoint.size <= len(leaves) and tile_root(leaves[: checkpoint.size]) != checkpoint.root:
        message = f"the witness has signed another tree of {checkpoint.size} entries than the one that is shown here"
        raise MisbehaviourError("split_view", message, note)


def _holds(key: LogKey, checkpoint: Checkpoint) -> bool:
    lines = checkpoint.lines_of(key)
    return bool(lines) and all(key.verifies(checkpoint, line.signature) for line in lines)


def _text(data: bytes, name: str) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        message = f"{name}: byte {error.start} is not UTF-8"
        raise UnreadableError(message) from None


def _listed(numbers: list[int]) -> str:
    shown = ", ".join(map(str, numbers[:_NAMED_MAX]))
    return shown if len(numbers) <= _NAMED_MAX else f"{shown} and {len(numbers) - _NAMED_MAX} more"
