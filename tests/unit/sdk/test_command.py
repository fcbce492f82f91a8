"""The command `qmumma verify`."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from qmumma.cli import main
from qmumma.exact import canonical

README = Path(__file__).parents[3] / "sdks" / "python" / "README.md"


@pytest.fixture
def files(bundle: Any, tmp_path: Path) -> Path:
    (tmp_path / "result.json").write_bytes(bundle.result)
    (tmp_path / "jwks.json").write_bytes(bundle.jwks)
    (tmp_path / "log.vkey").write_text(bundle.log_keys)
    return tmp_path


def arguments(files: Path, *more: str) -> list[str]:
    keys = ["--jwks", str(files / "jwks.json"), "--log-key", str(files / "log.vkey")]
    return ["verify", str(files / "result.json"), *keys, *more]


def test_a_genuine_result_is_printed_line_by_line_and_exits_0(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments(files)) == 0
    *lines, verdict = capsys.readouterr().out.splitlines()
    assert len(lines) == 11
    assert all(line.startswith("✓ ") for line in lines)
    assert verdict == "all 11 checks hold"


def test_a_download_is_checked_with_its_result(bundle: Any, files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (files / "download.json").write_bytes(canonical(bundle.body["result"]))
    assert main(arguments(files, "--download", str(files / "download.json"))) == 0
    assert "✓ download: is what was signed" in capsys.readouterr().out
    (files / "download.json").write_bytes(b"{}")
    assert main(arguments(files, "--download", str(files / "download.json"))) == 1


def test_an_altered_result_exits_1_and_names_the_place(
    bundle: Any, files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (files / "result.json").write_bytes(bundle.altered("result.energy", -2.0))
    assert main(arguments(files)) == 1
    printed = capsys.readouterr().out
    assert "✗ result: is not what was signed" in printed
    assert printed.splitlines()[-1] == "3 of 11 checks do not hold"


def test_a_digit_too_many_for_a_double_exits_1_and_names_the_path(
    bundle: Any, files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (files / "result.json").write_bytes(bundle.result.replace(b"-1.1397651036759782", b"-1.1397651036759783"))
    assert main(arguments(files)) == 1
    assert capsys.readouterr().out.splitlines()[0] == (
        "✗ result.energy: -1.1397651036759783 is no number that a signed record can hold, so it was changed"
    )


def test_the_report_is_json_when_asked(bundle: Any, files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments(files, "--json")) == 0
    assert json.loads(capsys.readouterr().out)["ok"] is True
    (files / "result.json").write_bytes(bundle.altered("key_id", "vajra-2026-02"))
    assert main(arguments(files, "--json")) == 1
    report = json.loads(capsys.readouterr().out)
    assert {each["name"] for each in report["checks"] if not each["ok"]} >= {"key_id"}
    (files / "result.json").write_bytes(b"{")
    assert main(arguments(files, "--json")) == 2
    assert json.loads(capsys.readouterr().out)["ok"] is False


@pytest.mark.parametrize("name", ["result.json", "jwks.json", "log.vkey"])
def test_a_file_that_cannot_be_read_exits_2_and_is_named(
    files: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for content in (b"\xff", None):
        (files / name).unlink()
        if content is not None:
            (files / name).write_bytes(content)
        assert main(arguments(files)) == 2
        out, err = capsys.readouterr()
        assert out == ""
        assert err.startswith("qmumma: ")
    assert str(files / name) in err


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["verify"],
        ["verify", "r"],
        ["verify", "r", "--jwks", "j"],
        ["verify", "r", "--log-key", "l"],
        ["verify", "r", "--jwks", "j", "--log-key", "l", "--url", "http://localhost"],
        ["verify", "r", "--url", "http://localhost", "--jwks", "j"],
        ["sign"],
    ],
)
def test_wrong_usage_exits_2(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(words)
    assert stopped.value.code == 2
    assert "usage: qmumma" in capsys.readouterr().err


def test_the_result_is_read_from_standard_input(
    bundle: Any, files: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(bundle.result)))
    words = arguments(files)
    words[1] = "-"
    assert main(words) == 0
    assert "all 11 checks hold" in capsys.readouterr().out


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_colours_are_for_terminals_without_no_color(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setattr(sys, "stdout", terminal := Terminal())
    main(arguments(files))
    assert "\x1b[32m✓\x1b[0m" in terminal.getvalue()
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setattr(sys, "stdout", terminal := Terminal())
    main(arguments(files))
    assert "\x1b" not in terminal.getvalue()


def test_a_hostile_file_cannot_write_to_the_terminal(
    bundle: Any, files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (files / "result.json").write_bytes(bundle.altered("\x1b[2J\n✓ all\u202e", 1))
    assert main(arguments(files)) == 1
    printed = capsys.readouterr().out
    assert "\x1b" not in printed
    assert "\u202e" not in printed
    assert r"✗ \x1b[2J\n✓ all\u202e: was added" in printed


@pytest.fixture
def server(bundle: Any) -> Iterator[str]:
    """A server that gives out the public keys."""
    bodies = {"/.well-known/jwks.json": bundle.jwks, "/v1/log/keys": bundle.log_keys.encode()}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = bodies.get(self.path)
            self.send_response(404 if body is None else 200)
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, *_arguments: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http_server:
        thread = threading.Thread(target=http_server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{http_server.server_port}"
        http_server.shutdown()
        thread.join()


@pytest.mark.parametrize("slash", ["", "/"])
def test_keys_fetched_from_a_server_hold_with_a_note_on_trust(
    files: Path, server: str, slash: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["verify", str(files / "result.json"), "--url", server + slash]) == 0
    assert f"note: the keys came from {server}{slash}: this proves as much as you trust" in capsys.readouterr().out


def test_a_server_without_keys_exits_2(files: Path, server: str, capsys: pytest.CaptureFixture[str]) -> None:
    for url in (f"{server}/elsewhere", "http://127.0.0.1:1", "file:///etc", "http://[", "nonsense"):
        assert main(["verify", str(files / "result.json"), "--url", url]) == 2
        assert capsys.readouterr().err.startswith("qmumma: ")


def test_a_terminal_that_has_no_tick_still_gets_the_report(files: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "qmumma", *arguments(files)],
        capture_output=True,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        check=False,
    )
    assert run.returncode == 0
    assert run.stdout.splitlines()[0].startswith(rb"\u2713 fields: all 17")


def test_the_readme_shows_what_is_printed(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(arguments(files))
    printed = capsys.readouterr().out.splitlines()
    shown = re.search(r"## What is checked\n\n(.*?)\n\n", README.read_text(), re.DOTALL)
    assert shown is not None
    lines = [line.strip() for line in shown[1].splitlines()]
    assert len(lines) == len(printed)
    for line, actual in zip(lines, printed, strict=True):
        assert line == actual or (line.endswith("…") and actual.startswith(line[:-1]))


def test_it_runs_as_a_module_and_imports_nothing_of_the_cloud(files: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "qmumma", *arguments(files)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0
    imported = {line.split("|")[-1].strip().split(".")[0] for line in run.stderr.splitlines()}
    assert {"qmumma", "cryptography", "rfc8785"} <= imported
    assert not imported & {"mesh", "services", "edge", "grpc", "msgspec"}


def test_help_says_what_is_checked_and_what_the_exit_status_means(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["verify", "--help"])
    assert stopped.value.code == 0
    shown = capsys.readouterr().out
    for words in ("ML-DSA-65 signature", "--log-key FILE", "exit status:", "GET /v1/jobs/{id}?include=proof"):
        assert words in shown
