"""The witness beside a real log: what it signed is served with every proof, and it survives kill -9."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import qmumma
from qm.signing.v1 import signing_pb2 as pb

from deploy.local.ports import free_ports
from deploy.local.process import Child, Command
from deploy.local.readiness import accepts
from mesh.errors import InvalidArgument, NotFound, PermissionDenied
from mesh.identity import Authority, ensure_identity
from services.witness.__main__ import utc_now
from services.witness.key import open_key
from services.witness.memory import load
from services.witness.watch import Witness
from tests.conftest import RunningPostgres
from tests.mesh.proving import until
from tests.mesh.signing import InProcess, Log, sign_request, stub
from tests.mesh.test_signing import anchor_of, log_keys, result_of

NAME = "qmumma.local/witness"


def size_of(note: str) -> int:
    return int(note.split("\n")[1])


async def test_what_a_witness_signed_comes_with_every_proof_that_it_covers(
    postgres: RunningPostgres, authority: Authority, scratch: Path, tmp_path: Path
) -> None:
    log = await Log.make(postgres, authority, scratch)
    running = InProcess(log)
    async with running as signing, log.channel(running.port, "witness") as channel:
        with pytest.raises(NotFound):
            await signing.GetCheckpoint(pb.GetCheckpointRequest(witnessed=True))
        key = open_key(tmp_path, NAME)
        witness = Witness(stub(channel), key, load(tmp_path), folder=tmp_path, clock=utc_now)
        requests = [sign_request(number) for number in range(3)]
        seals = [(await signing.SignRecord(request)).seal for request in requests]
        await witness.look()
        vkeys = "\n".join(key.vkeys)
        result = result_of(requests[1].record, seals[1], await anchor_of(signing, seals[1]))
        report = qmumma.verify(json.dumps(result).encode(), *await log_keys(signing), witness_keys=vkeys)
        assert report.ok, report.failed
        assert [check.ok for check in report.checks if "witness" in check.name] == [True, True]

        request = sign_request(3)
        seal = (await signing.SignRecord(request)).seal
        assert [(await anchor_of(signing, each)).tree_size for each in (seals[0], seal)] == [3, 4]
        assert size_of((await signing.GetCheckpoint(pb.GetCheckpointRequest())).checkpoint) == 4
        assert size_of((await signing.GetCheckpoint(pb.GetCheckpointRequest(witnessed=True))).checkpoint) == 3
        unwitnessed = json.dumps(result_of(request.record, seal, await anchor_of(signing, seal))).encode()
        assert qmumma.verify(unwitnessed, *await log_keys(signing)).ok
        demanded = qmumma.verify(unwitnessed, *await log_keys(signing), witness_keys=vkeys)
        assert [check.detail.split(":")[0] for check in demanded.failed] == ["has not signed"] * 2
        claim = pb.VerifyRecordRequest(record=requests[1].record, seal=seals[1])
        checks = (await signing.VerifyRecord(claim)).checks
        assert [(check.name, check.ok) for check in checks[-2:]] == [("witness", True)] * 2

        lines = key.sign(qmumma.note.parse_checkpoint(result["proof"]["checkpoint"]), 1)
        for size, given in ((4, lines), (3, [lines[0][:-4] + "AAAA"]), (3, ["— x AAAA"])):
            with pytest.raises(InvalidArgument) as refused:
                await stub(channel).AddCosignature(pb.AddCosignatureRequest(size=size, lines=given, keys=key.vkeys))
            assert refused.value.reason == "BAD_COSIGNATURE"
        with pytest.raises(NotFound):
            await stub(channel).AddCosignature(pb.AddCosignatureRequest(size=9, lines=lines, keys=key.vkeys))
        with pytest.raises(PermissionDenied):
            await signing.AddCosignature(pb.AddCosignatureRequest(size=3, lines=lines, keys=key.vkeys))


async def test_a_killed_witness_goes_on_where_it_was(
    postgres: RunningPostgres, authority: Authority, scratch: Path, tmp_path: Path
) -> None:
    log = await Log.make(postgres, authority, scratch)
    [port] = free_ports(1)
    running = InProcess(log)
    async with running as signing:
        [signing_port] = [running.process.server.port]
        file = tmp_path / "witness.toml"
        folder = ensure_identity(authority, "witness").certificate_file.parent
        file.write_text(
            f'listen = "127.0.0.1:{port}"\nidentity_folder = "{folder}"\npause_seconds = 0.01\n'
            f'state_folder = "{tmp_path}/state"\n[peers]\nsigning = "127.0.0.1:{signing_port}"\n'
        )
        command = Command(
            "witness", (sys.executable, "-m", "services.witness", "--config", str(file)), tmp_path / "log"
        )
        child = Child(command, lambda: accepts(port), on_crash=lambda *_: None)
        child.start()
        try:
            await child.ready(30)
            sizes = []
            for number in range(2):
                await asyncio.gather(*(signing.SignRecord(sign_request(8 * number + n)) for n in range(8)))
                if number:
                    child.kill()
                    await child.ready(30)
                await until(_remembers(tmp_path / "state", 8 * number + 8), 30)
                sizes.append(load(tmp_path / "state").size)
            assert sizes == [8, 16]
        finally:
            await child.stop()
        # The last signature may still be on its way when the memory has it: the next start brings it.
        async with log.channel(running.port, "witness") as channel:
            key, memory = open_key(tmp_path / "state", NAME), load(tmp_path / "state")
            await Witness(stub(channel), key, memory, folder=tmp_path / "state", clock=utc_now).look()
        note = (await signing.GetCheckpoint(pb.GetCheckpointRequest(witnessed=True))).checkpoint
        assert (size_of(note), note.count(f"— {NAME} ")) == (16, 2)
        assert not (tmp_path / "state" / "evidence").exists()


def _remembers(folder: Path, size: int) -> Callable[[], bool]:
    return lambda: load(folder).size == size
