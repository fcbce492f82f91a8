"""Signing over real gRPC, mTLS and PostgreSQL: seals, repeats, proofs, keys, and what it refuses."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
import qmumma
from qm.signing.v1 import signing_pb2 as pb

from mesh.config import ConfigError
from mesh.errors import Conflict, InvalidArgument, MeshError, NotFound, PermissionDenied
from mesh.identity import Authority
from services.signing.custody import KeyEncryptionKey
from services.signing.keys import KeyId, PublicKey, render_jwks
from services.signing.records import RESULT_TYPE, Record
from tests.conftest import RunningPostgres
from tests.mesh.signing import (
    InProcess,
    Log,
    base64_of,
    naive_consistency,
    naive_path,
    naive_root,
    record,
    sign_request,
    stub,
)

if TYPE_CHECKING:
    from qm.signing.v1.signing_pb2_grpc import SigningServiceAsyncStub

MakeLog = Callable[[], Awaitable[Log]]
NAMES = ["canonical", "type", "audit_hash", "key", "signature", "leaf", "inclusion", "checkpoint"]


BEYOND = "tile/entries/" + "x879/" * 8 + "883"
"""Past what any number of the database can say."""


@pytest.fixture
def new_log(postgres: RunningPostgres, authority: Authority, scratch: Path) -> MakeLog:
    """Makes an empty log."""
    return lambda: Log.make(postgres, authority, scratch)


@pytest_asyncio.fixture(scope="module")
async def log(postgres: RunningPostgres, authority: Authority, scratch: Path) -> Log:
    """The log that the tests of this file share."""
    return await Log.make(postgres, authority, scratch, "shared")


@pytest_asyncio.fixture(scope="module")
async def signing(log: Log) -> AsyncIterator[SigningServiceAsyncStub]:
    """A process on the shared log."""
    async with InProcess(log) as service:
        yield service


async def anchor_of(signing: SigningServiceAsyncStub, seal: pb.Seal) -> pb.GetAnchorResponse:
    return await signing.GetAnchor(pb.GetAnchorRequest(leaf_hash=seal.leaf_hash))


async def log_keys(signing: SigningServiceAsyncStub) -> tuple[bytes, str]:
    """The JWKS and the log's keys, as the edge publishes them."""
    keys = await signing.ListKeys(pb.ListKeysRequest())
    jwks = render_jwks([PublicKey(KeyId(key.key_id), key.public_key) for key in keys.keys])
    return jwks, "\n".join(keys.log_keys)


def result_of(canonical: bytes, seal: pb.Seal, anchor: pb.GetAnchorResponse) -> dict[str, Any]:
    """The result as the edge answers it."""
    members: dict[str, Any] = json.loads(canonical)
    proof = {
        "leaf": anchor.leaf.decode(),
        "leaf_index": anchor.leaf_index,
        "tree_size": anchor.tree_size,
        "inclusion": [base64_of(node) for node in anchor.inclusion],
        "inclusion_digests": ["sha256:" + hashlib.sha256(node).hexdigest() for node in anchor.inclusion],
        "checkpoint": anchor.checkpoint,
        "digests": Record.read(canonical).digests(),
    }
    return members | {
        "pqc_signature": base64_of(seal.signature),
        "key_id": seal.key_id,
        "audit_hash": f"sha256:{seal.audit_hash.hex()}",
        "blockchain_anchor": f"vajra://txid/{seal.leaf_hash.hex()}",
        "proof": proof,
    }


async def test_a_sealed_record_holds_in_the_offline_verifier_and_one_changed_byte_does_not(
    signing: SigningServiceAsyncStub,
) -> None:
    request = sign_request(1)
    seal = (await signing.SignRecord(request)).seal
    assert seal.audit_hash == hashlib.sha256(request.record).digest()
    anchor = await anchor_of(signing, seal)
    assert (anchor.leaf_index, seal.leaf_hash) == (seal.leaf_index, naive_root([anchor.leaf]))
    result = result_of(request.record, seal, anchor)
    jwks, keys = await log_keys(signing)
    report = qmumma.verify(json.dumps(result).encode(), jwks, keys)
    assert report.ok, report.failed
    altered = qmumma.verify(json.dumps(result | {"cost_usd": 0.06}).encode(), jwks, keys)
    assert "cost_usd" in {check.name for check in altered.failed}


async def test_a_repeat_returns_the_first_seal_byte_for_byte(log: Log, signing: SigningServiceAsyncStub) -> None:
    first, *others = await asyncio.gather(*(signing.SignRecord(sign_request(2)) for _ in range(8)))
    later = await signing.SignRecord(sign_request(2))
    assert {answer.SerializeToString() for answer in (*others, later)} == {first.SerializeToString()}
    assert [seal["subject"] for seal in await log.audit()].count("job/2") == 1


async def test_another_record_for_a_sealed_subject_is_a_conflict(log: Log, signing: SigningServiceAsyncStub) -> None:
    rivals = (signing.SignRecord(sign_request(3, shots=shots)) for shots in (1024, 2048, 4096))
    answers = await asyncio.gather(*rivals, return_exceptions=True)
    assert Counter(type(answer) for answer in answers) == {pb.SignRecordResponse: 1, Conflict: 2}
    with pytest.raises(Conflict) as refused:
        await signing.SignRecord(sign_request(3, shots=8192))
    assert (refused.value.reason, refused.value.field) == ("SUBJECT_ALREADY_SIGNED", "subject")
    assert [seal["subject"] for seal in await log.audit()].count("job/3") == 1


@pytest.mark.parametrize(
    ("canonical", "reason", "field"),
    [
        (record(4).replace(b'"cost_usd":0.05', b'"cost_usd": 0.05'), "NOT_CANONICAL", "record"),
        (record(4).replace(b"0.05", b"0.050"), "NOT_CANONICAL", "record"),
        (record(4).replace(b"0.05", b"NaN"), "NOT_CANONICAL", "record"),
        (record(4).replace(b"0.05", b'"\\ud800"'), "NOT_CANONICAL", "record"),
        (b'{"type":"qmumma.result/v1","type":"qmumma.result/v1"}', "NOT_CANONICAL", "record"),
        (b"[" * 100_000, "NOT_CANONICAL", "record"),
        (b"\xff\xfe", "NOT_CANONICAL", "record"),
        (b'"a string"', "NOT_CANONICAL", "record"),
        (b"{}", "BAD_RECORD", "record"),
        (b'{"type":1}', "BAD_RECORD", "record"),
        (b'{"key_id":"vajra-2026-01","type":"qmumma.result/v1"}', "BAD_RECORD", "record"),
        (b'{"type":"qmumma.entropy/v1"}', "TYPE_MISMATCH", "record_type"),
        (b"", "INVALID_FIELD", "record"),
    ],
)
async def test_what_is_no_record_is_refused(
    signing: SigningServiceAsyncStub, canonical: bytes, reason: str, field: str
) -> None:
    request = pb.SignRecordRequest(subject="job/4", record_type=RESULT_TYPE, record=canonical)
    with pytest.raises(InvalidArgument) as refused:
        await signing.SignRecord(request)
    assert (refused.value.reason, refused.value.field) == (reason, field)


@pytest.mark.parametrize("subject", ["", "job/\x00", "job/\n4", "x" * 256])
async def test_a_subject_that_nobody_could_read_is_refused(signing: SigningServiceAsyncStub, subject: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        await signing.SignRecord(pb.SignRecordRequest(subject=subject, record_type=RESULT_TYPE, record=record(4)))
    assert refused.value.field == "subject"


async def test_a_rotation_is_a_leaf_signed_by_the_key_before_and_the_next_record_has_the_new_key(
    new_log: MakeLog,
) -> None:
    log = await new_log()
    running = InProcess(log)
    async with running as signing, log.channel(running.port, "operator") as channel:
        old = (await signing.SignRecord(sign_request(1))).seal
        request = pb.RotateKeyRequest(request_id="r1", reason="yearly")
        made, again = (await stub(channel).RotateKey(request)).key, (await stub(channel).RotateKey(request)).key
        assert made == again
        assert made.state == pb.KEY_STATE_ACTIVE
        new = (await signing.SignRecord(sign_request(2))).seal
        assert (old.key_id[-3:], new.key_id) == ("-01", made.key_id)
        assert (await signing.SignRecord(sign_request(1))).seal == old
        [rotation] = (await stub(channel).ListRotations(pb.ListRotationsRequest())).rotations
        assert (rotation.seal.key_id, rotation.seal.leaf_index) == (old.key_id, 1)
        told = result_of(rotation.record, rotation.seal, await anchor_of(signing, rotation.seal))
        assert (told["jwk"]["kid"], told["replaces"], told["reason"]) == (made.key_id, old.key_id, "yearly")
        report = qmumma.verify(json.dumps(told).encode(), *await log_keys(signing))
        assert report.ok, report.failed
        keys = (await signing.ListKeys(pb.ListKeysRequest())).keys
        assert [key.key_id for key in keys] == [new.key_id, old.key_id]
        with pytest.raises(InvalidArgument) as refused:
            await stub(channel).RotateKey(pb.RotateKeyRequest(request_id="r2", reason="\x07"))
        assert refused.value.field == "reason"
        with pytest.raises(PermissionDenied):
            await signing.RotateKey(request)


async def test_a_rotation_that_was_cut_off_reaches_the_log_at_the_next_start(new_log: MakeLog) -> None:
    log = await new_log()
    running = InProcess(log)
    async with running, log.channel(running.port, "operator") as channel:
        await stub(channel).RotateKey(pb.RotateKeyRequest(request_id="r1", reason="yearly"))
    connection = await log.connect()  # as if the process had died between the row and the leaf
    await connection.execute("TRUNCATE seals, nodes, cosignatures, checkpoints CASCADE")
    await connection.close()
    async with InProcess(log) as signing:
        [rotation] = (await signing.ListRotations(pb.ListRotationsRequest())).rotations
        assert rotation.seal.leaf_index == 0
    assert [seal["subject"] for seal in await log.audit()] == [f"key/{json.loads(rotation.record)['jwk']['kid']}"]


async def test_a_new_key_encryption_key_takes_the_seeds_over(new_log: MakeLog, tmp_path: Path) -> None:
    log = await new_log()
    async with InProcess(log) as signing:
        seal = (await signing.SignRecord(sign_request(1))).seal
    new = tmp_path / "new.key"
    new.write_text(base64_of(bytes(32)))
    new.chmod(0o600)
    async with InProcess(log, key_encryption_key_file=new, previous_key_encryption_key_file=log.key_file) as signing:
        assert (await signing.SignRecord(sign_request(2))).seal.key_id == seal.key_id
    async with InProcess(log, key_encryption_key_file=new) as signing:
        assert (await signing.SignRecord(sign_request(1))).seal == seal
    with pytest.raises(ConfigError, match="another key-encryption key"):
        await InProcess(log).__aenter__()


async def test_only_execution_may_ask_for_a_seal(log: Log) -> None:
    running = InProcess(log)
    async with running, log.channel(running.port, "edge") as channel:
        await stub(channel).GetCheckpoint(pb.GetCheckpointRequest())
        with pytest.raises(PermissionDenied):
            await stub(channel).SignRecord(sign_request(5))


async def test_an_unknown_anchor_is_not_found(signing: SigningServiceAsyncStub) -> None:
    with pytest.raises(NotFound) as refused:
        await signing.GetAnchor(pb.GetAnchorRequest(leaf_hash=bytes(32)))
    assert refused.value.reason == "ANCHOR_NOT_FOUND"


async def test_500_records_at_once_are_500_leaves_whose_proofs_follow_the_rfc(new_log: MakeLog) -> None:
    log = await new_log()
    async with InProcess(log) as signing:
        empty = (await signing.GetCheckpoint(pb.GetCheckpointRequest())).checkpoint
        assert empty.split("\n")[1:3] == ["0", base64_of(naive_root([]))]
        answers = await asyncio.gather(*(signing.SignRecord(sign_request(n), timeout=60) for n in range(500)))
        assert sorted(answer.seal.leaf_index for answer in answers) == list(range(500))
        leaves = [bytes(seal["leaf"]) for seal in await log.audit()]
        for answer in answers[::50]:
            anchor = await anchor_of(signing, answer.seal)
            assert anchor.tree_size == 500
            assert list(anchor.inclusion) == naive_path(anchor.leaf_index, leaves)
        tiles = {
            "tile/0/000": b"".join(naive_root([leaf]) for leaf in leaves[:256]),
            "tile/0/001.p/244": b"".join(naive_root([leaf]) for leaf in leaves[256:]),
            "tile/1/000.p/1": naive_root(leaves[:256]),
            "tile/entries/000": b"".join(len(leaf).to_bytes(2) + leaf for leaf in leaves[:256]),
            "tile/entries/001.p/1": len(leaves[256]).to_bytes(2) + leaves[256],
        }
        for path, data in tiles.items():
            assert (await signing.GetTile(pb.GetTileRequest(path=path))).data == data, path
        for path in (
            "tile/0/001",
            "tile/0/001.p/245",
            "tile/1/000.p/2",
            "tile/1/000",
            "tile/63/x999/999",
            "tile/0/0",
            BEYOND,
        ):
            with pytest.raises(NotFound):
                await signing.GetTile(pb.GetTileRequest(path=path))
        sizes = [(0, 0), (0, 500), (1, 500), (255, 256), (256, 500), (300, 499), (499, 500), (500, 500)]
        for first, second in sizes:
            request = pb.GetConsistencyProofRequest(first_size=first, second_size=second)
            expected = naive_consistency(first, leaves[:second]) if first else []
            assert list((await signing.GetConsistencyProof(request)).hashes) == expected, request
        for first, second, field in [
            (500, 501, "second_size"),
            (301, 300, "first_size"),
            (2**62, 2**62, "second_size"),
        ]:
            with pytest.raises(InvalidArgument) as refused:
                await signing.GetConsistencyProof(pb.GetConsistencyProofRequest(first_size=first, second_size=second))
            assert (refused.value.reason, refused.value.field) == ("SIZE_OUT_OF_RANGE", field)


async def test_a_restart_goes_on_with_the_same_keys_and_tree(new_log: MakeLog) -> None:
    log = await new_log()
    async with InProcess(log) as signing:
        first = [(await signing.SignRecord(sign_request(n))).seal for n in range(3)]
        keys = await signing.ListKeys(pb.ListKeysRequest())
    async with InProcess(log) as signing:
        assert await signing.ListKeys(pb.ListKeysRequest()) == keys
        assert (await signing.SignRecord(sign_request(1))).seal == first[1]
        assert (await signing.SignRecord(sign_request(3))).seal.leaf_index == 3
    assert len(await log.audit()) == 4


async def test_two_processes_at_once_share_keys_and_one_tree(new_log: MakeLog) -> None:
    log = await new_log()
    async with InProcess(log) as one, InProcess(log) as two:
        keys = await asyncio.gather(*(service.ListKeys(pb.ListKeysRequest()) for service in (one, two)))
        assert keys[0] == keys[1]
        assert len(keys[0].keys) == 1
        calls = [service.SignRecord(sign_request(n), timeout=60) for n in range(60) for service in (one, two)]
        answers = await asyncio.gather(*calls)
        assert answers[::2] == answers[1::2]
    assert len(await log.audit()) == 60


async def test_processes_that_start_together_for_the_first_time_make_one_set_of_keys(new_log: MakeLog) -> None:
    log = await new_log()
    services = [InProcess(log) for _ in range(3)]
    stubs = await asyncio.gather(*(service.__aenter__() for service in services))
    answers = await asyncio.gather(*(service.ListKeys(pb.ListKeysRequest()) for service in stubs))
    assert answers[0] == answers[1] == answers[2]
    assert [key.key_id.rpartition("-")[2] for key in answers[0].keys] == ["01"]
    assert len(answers[0].log_keys) == 2
    await asyncio.gather(*(service.__aexit__() for service in services))


async def test_verify_names_what_does_not_hold(signing: SigningServiceAsyncStub) -> None:
    seal = (await signing.SignRecord(sign_request(6))).seal
    other = (await signing.SignRecord(sign_request(7))).seal

    async def failed(canonical: bytes = record(6), **changes: bytes | str | int) -> list[str]:
        claimed = pb.Seal()
        claimed.CopyFrom(seal)
        for name, value in changes.items():
            setattr(claimed, name, value)
        checks = (await signing.VerifyRecord(pb.VerifyRecordRequest(record=canonical, seal=claimed))).checks
        assert [check.name for check in checks] == NAMES
        assert all(check.detail for check in checks)
        return [check.name for check in checks if not check.ok]

    assert await failed() == []
    assert await failed(record(7)) == ["audit_hash", "signature", "leaf"]
    assert await failed(b"{ }") == ["canonical", "type", "audit_hash", "signature", "leaf"]
    assert await failed(b"{}") == ["type", "audit_hash", "signature", "leaf"]
    assert await failed(audit_hash=b"") == ["audit_hash"]
    assert await failed(key_id="vajra-1999-01") == ["key", "signature", "leaf"]
    assert await failed(key_id="\x00") == ["key", "signature", "leaf"]
    assert await failed(signature=other.signature) == ["signature", "leaf"]
    assert await failed(signature=b"short") == ["signature", "leaf"]
    assert await failed(leaf_hash=other.leaf_hash) == ["leaf"]
    assert await failed(leaf_hash=b"") == ["leaf", "inclusion", "checkpoint"]
    assert await failed(leaf_index=-1) == ["leaf"]


async def test_no_secret_is_in_logs_errors_or_the_database(
    new_log: MakeLog, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    log = await new_log()
    caplog.set_level(logging.DEBUG)
    async with InProcess(log) as signing:
        await signing.SignRecord(sign_request(8))
        with pytest.raises(MeshError) as refused:
            await signing.SignRecord(sign_request(8, shots=1))
    connection = await log.connect()
    rows = await connection.fetch("SELECT key_id, wrapped_seed FROM keys")
    dump = b"".join(bytes(row["wrapped_seed"]) for row in rows)
    await connection.close()
    key = log.key_file.read_text().strip()
    seeds = [KeyEncryptionKey.from_file(log.key_file).unwrap(row["wrapped_seed"], row["key_id"]) for row in rows]
    assert len(seeds) == 3
    seen = "".join([*capfd.readouterr(), caplog.text, str(refused.value), repr(seeds), repr(refused.value.metadata)])
    for seed in seeds:
        assert seed.reveal() not in dump
        assert not any(form in seen for form in (seed.reveal().hex(), base64_of(seed.reveal()), repr(seed.reveal())))
    assert key not in seen


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"origin": "another.example/log"}, "is called 'qmumma.local/log' for ever, not 'another.example/log'"),
        ({"origin": "two words"}, "cannot name a key"),
        ({"key_encryption_key_file": Path("/nowhere/key")}, "/nowhere/key cannot be read"),
        ({"signature_provider": "oqs"}, "provider `oqs` needs"),
    ],
)
async def test_a_start_that_does_not_fit_the_log_is_refused(
    log: Log, signing: SigningServiceAsyncStub, changes: dict[str, Any], message: str
) -> None:
    await signing.GetCheckpoint(pb.GetCheckpointRequest())
    with pytest.raises(ConfigError, match=message):
        await InProcess(log, **changes).__aenter__()


async def test_another_key_encryption_key_is_refused(
    log: Log, signing: SigningServiceAsyncStub, tmp_path: Path
) -> None:
    await signing.GetCheckpoint(pb.GetCheckpointRequest())
    other = tmp_path / "other.key"
    other.write_text(base64_of(bytes(32)))
    other.chmod(0o600)
    with pytest.raises(ConfigError, match="another key-encryption key"):
        await InProcess(log, key_encryption_key_file=other).__aenter__()


async def test_a_log_whose_nodes_were_altered_takes_no_more_leaves(new_log: MakeLog) -> None:
    log = await new_log()
    async with InProcess(log) as signing:
        await asyncio.gather(*(signing.SignRecord(sign_request(n)) for n in range(3)))
        connection = await log.connect()
        await connection.execute("UPDATE nodes SET hash = $1 WHERE level = 1", bytes(32))
        await connection.close()
    with pytest.raises(ConfigError, match="do not give the root"):
        await InProcess(log).__aenter__()
