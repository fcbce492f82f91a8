"""How fast records are signed and logged, as ratios to what limits it on this machine.

    .venv/bin/python -m bench.signing_log            about 90 seconds

Records a second through the service (signed, logged, committed) against bare signatures in as many threads; leaves a
second into the log against a bare COPY of the same rows; one lone record from request to commit against its two
signatures and a commit; an inclusion proof at 1,000,000 leaves against one indexed SELECT, and a tile against its rows.
Two promises are measured as ratios to what was promised: at least 2,000 appends a second, each durable before it is
answered, and an inclusion proof at a million leaves within 5 ms. A PostgreSQL of its own is started in a temporary
folder, with the settings and the fsync of `make up`. On a machine that others use too, wall times are upper bounds; the
CPU time of this process stands beside them.
"""

from __future__ import annotations

import argparse
import asyncio
import datetime as dt
import itertools
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path

import rfc8785

from deploy.local.ports import free_ports
from deploy.local.postgres import Postgres, ensure_database, ensure_schema, secret
from deploy.local.process import Child
from mesh.database import Database
from mesh.migrate import migrations_folder, upgrade
from services.signing.checkpoint import Head
from services.signing.custody import KeyEncryptionKey
from services.signing.keyring import KeyRing, Locksmith
from services.signing.keys import KeyId
from services.signing.mldsa import OpenSsl
from services.signing.reader import LogReader
from services.signing.records import RESULT_TYPE, Json, Leaf, Record, SignedRecord, sha256_text
from services.signing.rotation import first_keys
from services.signing.seal import Seal, Subject
from services.signing.signer import RecordSigner
from services.signing.store import SigningStore
from services.signing.tiles import Tile
from services.signing.tree import Frontier
from services.signing.writer import LogWriter

ORIGIN = "bench.local/log"
RECORD: dict[str, Json] = {
    "job_id": "",
    "cost_usd": 0.05,
    "counts": {"00": 511, "11": 513},
    "execution": {"engine": "aer", "seed": 7},
}
Seconds = float
APPENDS_PROMISED = 2_000
PROOF_PROMISED: Seconds = 0.005
_FILL_BATCH = 50_000


def clock() -> dt.datetime:
    """The present, in UTC."""
    return dt.datetime.now(dt.UTC)


def record(number: int) -> bytes:
    """A canonical record of a small job."""
    return rfc8785.dumps({**RECORD, "job_id": f"qm_job_{number:032x}", "type": RESULT_TYPE})


def unsigned(number: int) -> SignedRecord:
    """A log entry that costs no signature: random bytes of its length. The log does not look at it."""
    signature = os.urandom(3309)
    canonical = b'{"n":%d}' % number
    taken = Record(RESULT_TYPE, canonical)
    return SignedRecord(
        taken, signature, Leaf(RESULT_TYPE, taken.audit_hash, KeyId("vajra-2026-01"), sha256_text(signature))
    )


@asynccontextmanager
async def postgres(folder: Path) -> AsyncIterator[Database]:
    """An empty signing schema on a real PostgreSQL."""
    server = Postgres(folder / "postgres", free_ports(1)[0], folder / "postgres.log")
    server.initialise()
    child = Child(server.command(), server.is_ready, on_crash=lambda *_: None, before_start=server.clear_orphan)
    child.start()
    try:
        await child.ready(20)
        connection = await server.connect("postgres")
        await ensure_database(connection)
        await connection.close()
        connection = await server.connect()
        await ensure_schema(connection, "signing", secret(server.secrets / "signing.password"))
        await connection.close()
        await upgrade(server.config("signing"), "signing", migrations_folder("services.signing"))
        database = await Database.connect(server.config("signing"), schema="signing", statement_timeout=60)
        yield database
        await database.close()
    finally:
        await child.stop()


async def timed(work: Callable[[], Awaitable[object]], repeat: int) -> Seconds:
    """The median time of `work`."""
    times = []
    for _ in range(repeat):
        start = time.perf_counter()
        await work()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def bare_signatures(keys: KeyRing, count: int, threads: int) -> Seconds:
    """The time of `count` signatures by the library alone."""
    canonical, context, key = record(0), RESULT_TYPE.encode(), keys.record_key(clock()).key
    with ThreadPoolExecutor(threads) as pool:
        start = time.perf_counter()
        list(pool.map(lambda _: key.sign(canonical, context), range(count)))
        return time.perf_counter() - start


async def fill(store: SigningStore, leaves: int) -> None:
    """Make a tree of `leaves` leaves in a few batches; entries are short, which no proof can tell."""
    frontier = Frontier()
    while frontier.size < leaves:
        seals = [
            Seal(Subject(f"fill/{index}"), b"", b"", KeyId("vajra-2026-01"), b"leaf %d" % index, index)
            for index in range(frontier.size, min(frontier.size + _FILL_BATCH, leaves))
        ]
        growth = frontier.append([seal.leaf_hash for seal in seals])
        frontier = growth.frontier
        newest, _ = await store.read(())
        await store.write(seals, growth.rows, Head(frontier.size, frontier.root()), clock(), over=newest)


async def sealed(signer: RecordSigner, writer: LogWriter, numbers: range) -> Seconds:
    """The time to sign and log as many records, all asked for at once."""

    async def seal(number: int) -> None:
        signed = await signer.sign(RESULT_TYPE, record(number))
        await writer.append(Subject(f"job/{number}"), signed)

    start = time.perf_counter()
    await asyncio.gather(*map(seal, numbers))
    return time.perf_counter() - start


async def appended(writer: LogWriter, entries: list[SignedRecord]) -> Seconds:
    """The time to log entries that are signed already, all asked for at once."""
    subjects = [Subject(f"fill/{os.urandom(8).hex()}") for _ in entries]
    start = time.perf_counter()
    await asyncio.gather(*(writer.append(subject, entry) for subject, entry in zip(subjects, entries, strict=True)))
    return time.perf_counter() - start


async def copied(database: Database, count: int) -> Seconds:
    """The time to COPY the newest `count` seals and their nodes into tables of the same shape, in one commit."""
    async with database.acquire() as connection:
        for table in ("seals", "nodes"):
            await connection.execute(f"CREATE TABLE bare_{table} (LIKE {table} INCLUDING ALL)")
        seals = await connection.fetch("SELECT * FROM seals ORDER BY leaf_index DESC LIMIT $1", count)
        first = seals[-1]["leaf_index"]
        nodes = await connection.fetch("SELECT * FROM nodes WHERE position >= $1::bigint >> level", first)
        start = time.perf_counter()
        async with connection.transaction():
            await connection.copy_records_to_table("bare_seals", records=map(tuple, seals))
            await connection.copy_records_to_table("bare_nodes", records=map(tuple, nodes))
        took = time.perf_counter() - start
        await connection.execute("DROP TABLE bare_seals, bare_nodes")
    return took


def show(what: str, ours: str, limit: str, ratio: float) -> None:
    """Print one line of the table."""
    print(f"{what:<34} {ours:>14} {limit:>32} {ratio:>7.2f}")


async def measure(folder: Path, leaves: int, signatures: int) -> None:
    """Start PostgreSQL in a folder that its user can reach, and print the table."""
    async with postgres(folder) as database:
        await report(database, leaves, signatures)


async def report(database: Database, leaves: int, signatures: int) -> None:
    """Measure against a running database."""
    store = SigningStore(database)
    locksmith = Locksmith(OpenSsl(), KeyEncryptionKey(os.urandom(32)), ORIGIN)
    keys = locksmith.open(await store.settle_keys(lambda held: first_keys(locksmith, held, clock())), clock())
    await fill(store, leaves)
    writer, signer = LogWriter(store, ORIGIN, clock=clock), RecordSigner(keys, clock=clock)
    await writer.begin()
    print(f"{'':<34} {'ours':>14} {'limit':>32} {'ratio':>7}")
    await records(database, keys, writer, signer, signatures)
    entries = [unsigned(number) for number in range(5_000)]
    before = time.process_time()
    logged = len(entries) / await appended(writer, entries)
    cpu = (time.process_time() - before) / len(entries)
    copy = len(entries) / await copied(database, len(entries))
    show("leaves logged", f"{logged:,.0f}/s", f"{copy:,.0f}/s bare COPY", logged / copy)
    show("durable appends", f"{logged:,.0f}/s", f"{APPENDS_PROMISED:,}/s promised", logged / APPENDS_PROMISED)
    show(
        "  CPU of an append, here", f"{cpu * 1e6:,.0f} µs", f"{1e6 / APPENDS_PROMISED:,.0f} µs", cpu * APPENDS_PROMISED
    )
    await proofs(database, store, keys)
    await writer.close()
    await signer.close()


async def records(database: Database, keys: KeyRing, writer: LogWriter, signer: RecordSigner, count: int) -> None:
    """Measure many records at once, and one alone."""
    bare = count / bare_signatures(keys, count, len(os.sched_getaffinity(0)))
    ours = count / await sealed(signer, writer, range(count))
    show("records signed and logged", f"{ours:,.0f}/s", f"{bare:,.0f}/s bare signatures", ours / bare)
    numbers = itertools.count(count)
    alone = await timed(lambda: sealed(signer, writer, range(number := next(numbers), number + 1)), 60)
    await database.execute("CREATE TABLE bare (number bigint)")
    commit = await timed(lambda: database.execute("INSERT INTO bare VALUES (1)"), 60)
    least = 2 * bare_signatures(keys, 60, 1) / 60 + commit
    show("one lone record", f"{alone * 1e3:.2f} ms", f"{least * 1e3:.2f} ms 2 signatures + commit", alone / least)


async def proofs(database: Database, store: SigningStore, keys: KeyRing) -> None:
    """Measure inclusion and consistency proofs in the log as it is."""
    reader, size = LogReader(store, ORIGIN, keys.log), (await store.head()).size
    rows = await database.fetch("SELECT leaf_hash FROM seals ORDER BY random() LIMIT 300")
    hashes = iter([row["leaf_hash"] for row in rows])
    proof = await timed(lambda: reader.find_anchor(next(hashes)), 300)
    hashes = iter([row["leaf_hash"] for row in rows])
    query = "SELECT leaf_index FROM seals WHERE leaf_hash = $1"
    select = await timed(lambda: database.fetchval(query, next(hashes)), 300)
    show(
        f"inclusion proof, {size:,} leaves",
        f"{proof * 1e3:.2f} ms",
        f"{select * 1e3:.2f} ms one SELECT",
        proof / select,
    )
    show("", f"{proof * 1e3:.2f} ms", f"{PROOF_PROMISED * 1e3:.0f} ms promised", proof / PROOF_PROMISED)
    tiles = itertools.cycle(range(size // 256))
    tile = await timed(lambda: reader.tile(Tile(0, next(tiles)).path), 100)
    bundle = await timed(lambda: reader.tile(Tile(None, next(tiles)).path), 100)
    show("a full tile", f"{tile * 1e3:.2f} ms", f"{select * 1e3:.2f} ms one SELECT", tile / select)
    show("a full bundle of entries", f"{bundle * 1e3:.2f} ms", f"{select * 1e3:.2f} ms one SELECT", bundle / select)
    consistency = await timed(lambda: reader.prove_consistency(size // 3, size), 300)
    show("consistency proof", f"{consistency * 1e3:.2f} ms", f"{select * 1e3:.2f} ms one SELECT", consistency / select)


def main() -> None:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--leaves", type=int, default=1_000_000, help="size of the log for the proofs (1000000)")
    parser.add_argument("--signatures", type=int, default=500, help="records to sign (500)")
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="qmumma-bench-"))
    folder.chmod(0o711)
    try:
        asyncio.run(measure(folder, arguments.leaves, arguments.signatures))
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
