"""The monitor against logs that lie: each lie is named, whenever and however it is told."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from qmumma.cli import main
from qmumma.exact import UnreadableError
from qmumma.memory import Memory, keep, leaves_file, load
from qmumma.monitor import MisbehaviourError, look
from qmumma.note import parse_checkpoint, parse_witness_keys
from qmumma.remote import NotThereError

from services.signing.checkpoint import Checkpoint
from services.signing.mldsa import OpenSsl
from services.signing.note import Ed25519Signer, MlDsaSigner
from services.signing.tiles import TILE_WIDTH, bundle_entries, parse_tile
from services.signing.tree import Frontier, Node, hash_leaf
from services.witness.key import WitnessKey

ORIGIN, SEED = "qmumma.local/log", bytes(range(32))
SIGNERS = [Ed25519Signer(ORIGIN, SEED), MlDsaSigner(ORIGIN, OpenSsl().signing_key(SEED))]
WITNESS = WitnessKey("witness", SEED)
ENTRIES = [b"entry %d" % number for number in range(600)]


class FakeLog:
    """Serves a log; a test tells it what to lie about."""

    def __init__(self, entries: list[bytes]) -> None:
        self.signers: list[Any] = list(SIGNERS)
        self.instead: dict[str, bytes | None] = {}
        self.shows(entries)

    def shows(self, entries: list[bytes], signed: list[bytes] | None = None) -> None:
        """Serve these entries; the checkpoint is over `signed`, which are the same for an honest log."""
        self.entries = entries
        self.nodes: dict[Node, bytes] = dict(Frontier().append(list(map(hash_leaf, entries))).rows)
        frontier = Frontier().append(list(map(hash_leaf, signed if signed is not None else entries))).frontier
        self.checkpoint = Checkpoint(ORIGIN, frontier.size, frontier.root())

    def fetch(self, path: str) -> bytes:
        if path in self.instead:
            content = self.instead[path]
        elif path == "/v1/log/keys":
            content = "".join(f"{signer.key.vkey}\n" for signer in self.signers).encode()
        elif path.startswith("/v1/log/checkpoint"):
            content = self.checkpoint.sign(self.signers).render().encode()
        else:
            content = self._tile(path)
        if content is None:
            raise NotThereError(path)
        return content

    def _tile(self, path: str) -> bytes | None:
        tile = parse_tile(path.removeprefix("/v1/log/"))
        first = tile.first
        if tile.level is None:
            found = self.entries[first.position : first.position + tile.width]
            return bundle_entries(found) if len(found) == tile.width else None
        nodes = [self.nodes.get(Node(first.level, first.position + number)) for number in range(tile.width)]
        return b"".join(node for node in nodes if node) if all(nodes) else None


def seen(entries: list[bytes]) -> Memory:
    return look(FakeLog(entries).fetch, None).memory


def lie(log: FakeLog, memory: Memory | None, **options: Any) -> tuple[str, str]:
    with pytest.raises(MisbehaviourError) as found:
        look(log.fetch, memory, **options)
    return found.value.kind, str(found.value)


def test_an_honest_log_is_followed_from_any_size_to_any_other() -> None:
    log, memory = FakeLog([]), None
    for size in (0, 0, 1, 255, 256, 257, 511, 512, 600, 600):
        log.shows(ENTRIES[:size])
        found = look(log.fetch, memory)
        assert (found.memory.size, found.memory.root) == (size, log.checkpoint.root)
        assert found.added == size - (memory.size if memory else 0)
        memory = found.memory
    assert look(log.fetch, memory, everything=True).added == 0


def test_a_rolled_back_log_is_named() -> None:
    assert lie(FakeLog(ENTRIES[:299]), seen(ENTRIES[:300])) == (
        "rolled_back",
        "the log shows 299 entries, and had 300",
    )
    assert lie(FakeLog([]), seen(ENTRIES[:1]))[0] == "rolled_back"


def test_a_log_that_signs_for_entries_that_it_does_not_serve_is_truncated() -> None:
    log = FakeLog(ENTRIES[:300])
    log.shows(ENTRIES[:280], signed=ENTRIES[:300])
    for memory in (None, seen(ENTRIES[:10]), seen(ENTRIES[:280])):
        kind, detail = lie(log, memory)
        assert kind == "truncated"
        assert "300 entries are signed for, but /v1/log/tile/" in detail


@pytest.mark.parametrize("size", [300, 301, 600])
def test_a_forked_log_is_named_with_its_other_entries(size: int) -> None:
    other = [*ENTRIES[:5], b"other", *ENTRIES[6:299], b"other too", *ENTRIES[300:size]]
    kind, detail = lie(FakeLog(other), seen(ENTRIES[:300]))
    assert (kind, detail) == ("forked", "entries 5, 299 are others than they were")


@pytest.mark.parametrize("size", [300, 400])
def test_a_reordered_log_is_named_with_the_places(size: int) -> None:
    moved = list(ENTRIES[:size])
    moved[7], moved[260] = moved[260], moved[7]
    kind, detail = lie(FakeLog(moved), seen(ENTRIES[:300]))
    assert (kind, detail) == ("reordered", "entries 7, 260 have changed places")


def test_a_fork_of_signatures_alone_is_named_though_the_entries_are_the_same() -> None:
    log = FakeLog(ENTRIES[:300])
    log.shows(ENTRIES[:300], signed=[*ENTRIES[:299], b"other"])
    assert lie(log, seen(ENTRIES[:300])) == ("forked", "two different roots are signed for 300 entries")
    assert lie(log, seen(ENTRIES[:200]))[0] == "forked"
    assert lie(log, None)[0] == "forked"


@pytest.mark.parametrize(
    ("path", "detail"),
    [
        ("/v1/log/tile/entries/001.p/44", "entry 299 hashes to"),
        ("/v1/log/tile/0/001.p/44", "entry 299 hashes to"),
        ("/v1/log/tile/1/000.p/1", "tile 0 of level 1 is not that of the entries"),
    ],
)
def test_a_tampered_tile_or_entry_is_named(path: str, detail: str) -> None:
    log = FakeLog(ENTRIES[:300])
    genuine = log.fetch(path)
    log.instead[path] = genuine[:-1] + bytes([genuine[-1] ^ 1])
    for memory in (None, seen(ENTRIES[:290])) if "1/000" not in path else (None, seen(ENTRIES[:200])):
        kind, found = lie(log, memory)
        assert kind == "tampered"
        assert detail in found


def test_an_old_entry_that_was_changed_is_found_when_all_are_fetched_again() -> None:
    memory, log = seen(ENTRIES[:300]), FakeLog(ENTRIES[:300])
    log.instead["/v1/log/tile/entries/000"] = bundle_entries([b"other", *ENTRIES[1:TILE_WIDTH]])
    assert look(log.fetch, memory).added == 0
    assert lie(log, memory, everything=True)[0] == "tampered"
    log.instead = {"/v1/log/tile/entries/000": None}
    assert lie(log, memory, everything=True)[0] == "truncated"


def test_a_partial_tile_that_is_gone_is_read_from_the_full_one() -> None:
    log = FakeLog(ENTRIES[:512])
    log.shows(ENTRIES[:512], signed=ENTRIES[:300])
    log.instead = dict.fromkeys(("/v1/log/tile/0/001.p/44", "/v1/log/tile/entries/001.p/44"))
    assert look(log.fetch, None).memory.size == 300


def test_a_checkpoint_of_other_keys_another_log_or_no_form_is_named() -> None:
    log = FakeLog(ENTRIES[:3])
    memory = look(log.fetch, None).memory
    log.signers = SIGNERS[:1]
    assert "is not signed by qmumma.local/log" in lie(log, memory)[1]
    log.signers = [Ed25519Signer("other/log", SEED), MlDsaSigner("other/log", OpenSsl().signing_key(SEED))]
    assert lie(log, memory)[0] == "signature"
    log.instead["/v1/log/checkpoint"] = b"hello\n"
    assert lie(log, memory)[0] == "signature"


def test_a_witness_that_saw_another_log_gives_it_away() -> None:
    log = FakeLog(ENTRIES[:20])
    keys = parse_witness_keys("\n".join(WITNESS.vkeys), "keys")

    def witnessed(entries: list[bytes]) -> bytes:
        note = FakeLog(entries).checkpoint.sign(SIGNERS).render()
        return (note + "".join(f"{line}\n" for line in WITNESS.sign(parse_checkpoint(note), 1))).encode()

    log.instead["/v1/log/checkpoint?witnessed=true"] = witnessed(ENTRIES[:15])
    assert look(log.fetch, None, keys).memory.size == 20
    log.instead["/v1/log/checkpoint?witnessed=true"] = witnessed([*ENTRIES[:14], b"other"])
    assert lie(log, None, witness_keys=keys)[0] == "split_view"
    log.instead["/v1/log/checkpoint?witnessed=true"] = FakeLog(ENTRIES[:15]).fetch("/v1/log/checkpoint")
    assert lie(log, None, witness_keys=keys)[0] == "signature"
    log.instead["/v1/log/checkpoint?witnessed=true"] = None
    with pytest.raises(UnreadableError, match="no witness has signed"):
        look(log.fetch, None, keys)


@pytest.fixture
def served() -> Iterator[tuple[FakeLog, str]]:
    """A log over HTTP."""
    log = FakeLog(ENTRIES[:300])

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            try:
                status, body = 200, log.fetch(self.path)
            except NotThereError:
                status, body = 404, b""
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield log, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_the_command_remembers_between_runs_and_exits_by_what_it_saw(
    served: tuple[FakeLog, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log, url = served
    state = tmp_path / "log.json"

    def run(*more: str) -> tuple[int, str]:
        status = main(["log", "monitor", url, "--state", str(state), "--once", *more])
        captured = capsys.readouterr()
        return status, captured.out + captured.err

    status, printed = run()
    assert (status, "300 new entries" in printed) == (0, True)
    assert "nothing new; all 300" in run()[1]
    log.shows(ENTRIES[:310])
    status, printed = run("--json")
    assert (status, json.loads(printed)["event"], json.loads(printed)["size"]) == (0, "honest", 310)
    good = state.read_bytes(), (tmp_path / "log.json.leaves").read_bytes()
    assert len(good[1]) == 310 * 32

    log.shows(ENTRIES[:305])
    status, printed = run()
    assert (status, "rolled_back: the log shows 305 entries, and had 310" in printed) == (1, True)
    [evidence] = tmp_path.glob("log.json.evidence-*.json")
    proof = json.loads(evidence.read_text())
    assert [note.split("\n")[1] for note in (proof["before"], proof["now"])] == ["310", "305"]
    assert (state.read_bytes(), (tmp_path / "log.json.leaves").read_bytes()) == good

    log.shows([b"other", *ENTRIES[1:320]])
    status, printed = run("--json")
    assert (status, json.loads(printed)["event"]) == (1, "forked")
    log.shows(ENTRIES[:320])
    assert run()[0] == 0
    log.instead["/v1/log/checkpoint"] = None
    status, printed = run()
    assert (status, "unseen" in printed) == (3, True)

    (tmp_path / "keys").write_text(Ed25519Signer("other/log", SEED).key.vkey)
    assert run("--log-key", str(tmp_path / "keys"))[0] == 2
    state.write_text(state.read_text().replace('"size": 320', '"size": 319'))
    status, printed = run()
    assert (status, "is not what a monitor kept" in printed) == (2, True)


def test_leaves_that_were_written_before_a_crash_are_written_again(tmp_path: Path) -> None:
    state, first, second = tmp_path / "state", seen(ENTRIES[:10]), seen(ENTRIES[:20])
    keep(state, first, 0)
    with leaves_file(state).open("ab") as stream:  # the crash came before the JSON was replaced
        stream.write(b"half of a ha")
    assert load(state) == first
    keep(state, second, first.size)
    assert load(state) == second
