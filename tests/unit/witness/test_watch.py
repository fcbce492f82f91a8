"""What a witness signs, and what it never signs: a log of its own making, honest or not, over no network."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
from pathlib import Path
from typing import Any

import pytest
from qm.signing.v1 import signing_pb2 as pb
from qmumma.note import parse_checkpoint, parse_witness_keys
from structlog.testing import capture_logs

from mesh.errors import Unavailable
from services.signing.checkpoint import Checkpoint
from services.signing.cosignature import read_cosignatures
from services.signing.mldsa import OpenSsl
from services.signing.note import Ed25519Signer, MlDsaSigner
from services.signing.proofs import consistency_nodes, prove_consistency
from services.signing.tree import Frontier, Node, hash_leaf
from services.witness.key import open_key
from services.witness.memory import MemoryFaultError, keep_evidence, load
from services.witness.watch import MISSES_OF_A_START, DistrustError, Witness

NAME, ORIGIN = "qmumma.local/witness", "qmumma.local/log"
NOW = dt.datetime(2026, 11, 21, 12, tzinfo=dt.UTC)
SEED = bytes(range(32))
SIGNERS = [Ed25519Signer(ORIGIN, SEED), MlDsaSigner(ORIGIN, OpenSsl().signing_key(SEED))]


class Log:
    """A log in memory, which answers as signing does."""

    def __init__(self, *entries: str) -> None:
        self.signers: list[Any] = list(SIGNERS)
        self.origin = ORIGIN
        self.given: list[pb.AddCosignatureRequest] = []
        self.fault: Exception | None = None
        self._set(entries)

    def _set(self, entries: tuple[str, ...]) -> None:
        growth = Frontier().append([hash_leaf(entry.encode()) for entry in entries])
        self.frontier = growth.frontier
        self.hashes: dict[Node, bytes] = dict(growth.rows)

    def becomes(self, *entries: str) -> None:
        self._set(entries)

    def checkpoint(self) -> Checkpoint:
        return Checkpoint(self.origin, self.frontier.size, self.frontier.root())

    async def ListKeys(self, _: pb.ListKeysRequest) -> pb.ListKeysResponse:  # noqa: N802
        return pb.ListKeysResponse(log_keys=[signer.key.vkey for signer in self.signers])

    async def GetCheckpoint(self, _: pb.GetCheckpointRequest) -> pb.GetCheckpointResponse:  # noqa: N802
        if self.fault is not None:
            raise self.fault
        return pb.GetCheckpointResponse(checkpoint=self.checkpoint().sign(self.signers).render())

    async def GetConsistencyProof(  # noqa: N802
        self, request: pb.GetConsistencyProofRequest
    ) -> pb.GetConsistencyProofResponse:
        sizes = request.first_size, request.second_size
        hashes = {node: self.hashes.get(node, bytes(32)) for node in consistency_nodes(*sizes)}
        return pb.GetConsistencyProofResponse(hashes=prove_consistency(*sizes, hashes))

    async def AddCosignature(self, request: pb.AddCosignatureRequest) -> pb.AddCosignatureResponse:  # noqa: N802
        self.given.append(request)
        return pb.AddCosignatureResponse()


def witness(log: Log, folder: Path) -> Witness:
    """A witness as it starts."""
    signing: Any = log
    return Witness(signing, open_key(folder, NAME), load(folder), folder=folder, clock=lambda: NOW)


async def test_a_growing_log_is_signed_with_both_keys_as_c2sp_writes_it(tmp_path: Path) -> None:
    log = Log("a", "b", "c")
    watching = witness(log, tmp_path)
    for entries in ("abc", "abcd", "abcdefghij"):
        log.becomes(*entries)
        await watching.look()
        await watching.look()
    assert [request.size for request in log.given] == [3, 4, 10]
    last = log.given[-1]
    by_signing = read_cosignatures(last.lines, last.keys)
    assert [cosignature.holds(log.checkpoint()) for cosignature in by_signing] == [True, True]
    assert not by_signing[0].holds(Checkpoint(ORIGIN, 9, log.frontier.root()))
    assert not by_signing[1].holds(Checkpoint(ORIGIN, 9, log.frontier.root()))
    note = log.checkpoint().sign(SIGNERS).render() + "".join(f"{line}\n" for line in last.lines)
    by_verifier = parse_checkpoint(note)
    for key in parse_witness_keys((tmp_path / "witness.vkey").read_text(), "the file"):
        [line] = by_verifier.lines_of(key)
        assert key.verifies(by_verifier, line.signature)
        assert line.timestamp == NOW.timestamp()


async def test_a_memory_is_on_disk_before_the_log_has_the_signature_and_is_gone_on_from(tmp_path: Path) -> None:
    log = Log("a", "b")
    await witness(log, tmp_path).look()
    log.becomes("a", "b", "c")

    async def dies(_: pb.AddCosignatureRequest) -> pb.AddCosignatureResponse:
        raise KeyboardInterrupt  # the process ends here

    honest, log.AddCosignature = log.AddCosignature, dies  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        await witness(log, tmp_path).look()
    assert load(tmp_path).size == 3
    log.AddCosignature = honest  # type: ignore[method-assign]
    await witness(log, tmp_path).look()
    assert [request.size for request in log.given] == [2, 3]


@pytest.mark.parametrize(
    ("entries", "kind"),
    [
        (("a", "b", "X"), "fork"),
        (("b", "a", "c"), "fork"),
        (("a", "b", "X", "d"), "fork"),
        (("b", "a", "c", "d", "e"), "fork"),
        (("a", "b"), "rollback"),
        ((), "rollback"),
    ],
    ids=["replaced", "reordered", "replaced and grown", "reordered and grown", "truncated", "emptied"],
)
async def test_what_contradicts_its_memory_is_never_signed_and_kept_as_evidence(
    tmp_path: Path, entries: tuple[str, ...], kind: str
) -> None:
    log = Log("a", "b", "c")
    await witness(log, tmp_path).look()
    memory = load(tmp_path)
    log.becomes(*entries)
    for watching in (first := witness(log, tmp_path), first, witness(log, tmp_path)):
        with pytest.raises(DistrustError) as refused:
            await watching.look()
        assert refused.value.kind == kind
    assert (len(log.given), load(tmp_path)) == (1, memory)
    assert any("\n\n" in file.read_text() for file in (tmp_path / "evidence").iterdir())
    log.becomes("a", "b", "c", "d")
    await first.look()
    assert log.given[-1].size == 4


def test_a_log_that_lies_at_every_look_does_not_fill_the_disk(tmp_path: Path) -> None:
    first = keep_evidence(tmp_path, "tree 0\n\nits signature")
    assert keep_evidence(tmp_path, "tree 0\n\nanother signature") == first
    for number in range(103):
        keep_evidence(tmp_path, f"tree {number}\n\nits signature")
    assert len(list((tmp_path / "evidence").iterdir())) == 100
    assert first.read_text().endswith("its signature")


async def test_a_checkpoint_of_other_keys_or_another_log_is_not_signed(tmp_path: Path) -> None:
    log = Log("a")
    watching = witness(log, tmp_path)
    await watching.look()
    log.becomes("a", "b")
    other = bytes(32)
    for signers, origin, kind in (
        ([Ed25519Signer(ORIGIN, other), MlDsaSigner(ORIGIN, OpenSsl().signing_key(other))], ORIGIN, "signature"),
        (SIGNERS[:1], ORIGIN, "signature"),
        (SIGNERS, "elsewhere/log", "origin"),
    ):
        log.signers, log.origin = list(signers), origin
        with pytest.raises(DistrustError) as refused:
            await watching.look()
        assert refused.value.kind == kind
    assert [request.size for request in log.given] == [1]


async def test_a_log_that_is_away_is_looked_at_again(tmp_path: Path) -> None:
    log = Log("a")
    watching = witness(log, tmp_path)
    log.fault = Unavailable("away", reason="AWAY")
    with pytest.raises(Unavailable):
        await watching.look()
    log.fault = None
    await watching.look()
    assert [request.size for request in log.given] == [1]


async def test_a_witness_that_lost_its_memory_or_key_does_not_begin_anew(tmp_path: Path) -> None:
    await witness(Log("a"), tmp_path).look()
    memory = (tmp_path / "memory.json").read_bytes()
    (tmp_path / "memory.json").unlink()
    with pytest.raises(MemoryFaultError, match="has forgotten what it signed"):
        witness(Log("a"), tmp_path)
    (tmp_path / "memory.json").write_bytes(memory[:-30])
    with pytest.raises(MemoryFaultError, match="cannot be read"):
        witness(Log("a"), tmp_path)
    (tmp_path / "memory.json").write_bytes(memory)
    (tmp_path / "witness.key").chmod(0o644)
    with pytest.raises(MemoryFaultError, match="mode 0600"):
        witness(Log("a"), tmp_path)
    (tmp_path / "witness.key").unlink()
    with pytest.raises(MemoryFaultError, match=r"witness\.key is gone"):
        witness(Log("a"), tmp_path)


def test_a_start_that_died_before_the_key_was_made_is_begun_again(tmp_path: Path) -> None:
    open_key(tmp_path, NAME)
    (tmp_path / "witness.key").unlink()
    assert open_key(tmp_path, NAME).vkeys == open_key(tmp_path, NAME).vkeys
    assert json.loads((tmp_path / "memory.json").read_text())["size"] == 0


async def test_a_log_that_is_just_starting_is_no_warning_and_one_that_stays_away_is(tmp_path: Path) -> None:
    log = Log("a")
    log.fault = Unavailable("the log does not answer", reason="PEER_UNAVAILABLE")
    watching = witness(log, tmp_path)
    with capture_logs() as told:
        task = asyncio.create_task(watching.watch(0))
        while sum(line["event"] == "log_not_seen" for line in told) < MISSES_OF_A_START + 1:
            await asyncio.sleep(0)
        log.fault = None
        while not log.given:
            await asyncio.sleep(0)
        task.cancel()
    levels = [line["log_level"] for line in told if line["event"] == "log_not_seen"]
    assert levels[: MISSES_OF_A_START + 1] == ["info"] * MISSES_OF_A_START + ["warning"]
