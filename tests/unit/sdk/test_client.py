"""The client and its commands: what is repeated, under which key, and what is said where it was refused."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from qmumma import ApiError, NoAnswerError, QMummaClient
from qmumma.cli import main

KEY = "qm_test_sk_alice"
JOB = {"job_id": "qm_job_1", "status": "queued", "hardware": "sim", "estimated_ms": 5, "cost_usd": 0.5}


class Server:
    """Answers from a list, the last one for ever; keeps what it was asked."""

    def __init__(self) -> None:
        self.answers: list[tuple[int, Any, dict[str, str]]] = []
        self.asked: list[tuple[str, str, dict[str, str], bytes]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def _answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                outer.asked.append((self.command, self.path, dict(self.headers), body))
                status, value, headers = outer.answers.pop(0) if len(outer.answers) > 1 else outer.answers[0]
                data = value if isinstance(value, bytes) else json.dumps(value).encode()
                self.send_response(status)
                for name, text in headers.items():
                    self.send_header(name, text)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = do_DELETE = _answer  # noqa: N815 - the library's names

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._http.server_port}"
        threading.Thread(target=self._http.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self._http.shutdown()
        self._http.server_close()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    server = Server()
    monkeypatch.setenv("QMUMMA_URL", server.url)
    monkeypatch.setenv("QMUMMA_API_KEY", KEY)
    yield server
    server.stop()


def refusal(status: int, kind: str, message: str = "no", **headers: str) -> tuple[int, Any, dict[str, str]]:
    error = {"type": kind, "message": message, "request_id": "req_1", "doc_url": "https://x/docs/errors"}
    return status, {"error": error}, headers


@pytest.mark.parametrize("first", [429, 503])
def test_what_may_come_again_does_so_when_it_is_told_to_under_one_idempotency_key(server: Server, first: int) -> None:
    pauses: list[float] = []
    server.answers = [refusal(first, "later", **{"Retry-After": "7"}), refusal(first, "later"), (202, JOB, {})]
    client = QMummaClient(KEY, pause=pauses.append)
    assert client.jobs.submit(algorithm_id="a", parameters={"x": 1}) == JOB
    assert pauses == [7, 1]
    assert len({headers["Idempotency-Key"] for _, _, headers, _ in server.asked}) == 1
    assert json.loads(server.asked[0][3]) == {"algorithm_id": "a", "parameters": {"x": 1}}
    assert server.asked[0][2]["Authorization"] == f"Bearer {KEY}"


def test_a_refusal_is_raised_with_its_type_and_is_not_repeated(server: Server) -> None:
    server.answers = [refusal(400, "bad_request", "shots: must be at least 1024")]
    with pytest.raises(ApiError, match="shots: must be at least 1024") as refused:
        QMummaClient(KEY).jobs.submit(algorithm_id="a", shots=1)
    assert (refused.value.status, refused.value.type, refused.value.request_id) == (400, "bad_request", "req_1")
    assert len(server.asked) == 1


def test_a_key_follows_no_redirect(server: Server) -> None:
    server.answers = [(307, b"", {"Location": f"{server.url}/elsewhere"})]
    with pytest.raises(NoAnswerError, match="307"):
        QMummaClient(KEY).jobs.list()
    assert [path for _, path, _, _ in server.asked] == ["/v1/jobs"]


def test_watching_tells_each_change_once_and_ends_with_the_job(server: Server) -> None:
    server.answers = [
        (200, {**JOB, "status": "running"}, {"ETag": '"1"'}),
        (304, b"", {}),
        (200, {**JOB, "status": "completed"}, {"ETag": '"2"'}),
    ]
    assert [job["status"] for job in QMummaClient(KEY).jobs.watch("qm_job_1")] == ["running", "completed"]
    assert [headers.get("If-None-Match") for _, _, headers, _ in server.asked] == [None, '"1"', '"1"']


def test_an_id_stays_one_segment_of_the_path(server: Server) -> None:
    server.answers = [(200, JOB, {})]
    QMummaClient(KEY).jobs.get("../keys?x#y", wait=3)
    assert server.asked[0][1] == "/v1/jobs/..%2Fkeys%3Fx%23y?wait=3"


def test_parameters_are_json_text_or_files(server: Server, tmp_path: Any, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "bell.qasm").write_text("OPENQASM 3.0;")
    server.answers = [(202, JOB, {})]
    given = [
        "-p",
        "n=5",
        "-p",
        "name=H2O",
        "-p",
        "on=true",
        "-p",
        f"qasm=@{tmp_path}/bell.qasm",
        "--parameters",
        '{"m": [1]}',
    ]
    assert main(["jobs", "submit", "some.v1", *given, "--shots", "2048"]) == 0
    body = json.loads(server.asked[0][3])
    assert body["parameters"] == {"m": [1], "n": 5, "name": "H2O", "on": True, "qasm": "OPENQASM 3.0;"}
    assert set(body) == {"algorithm_id", "parameters", "shots"}
    said = capsys.readouterr()
    assert said.out == "qm_job_1\n"
    assert "qmumma jobs watch qm_job_1" in said.err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["jobs", "submit", "a", "--parameters", "{"], "--parameters: no JSON"),
        (["jobs", "submit", "a", "--parameters", "[1]"], "must be a JSON object"),
        (["jobs", "submit", "a", "-p", "qasm=@/nowhere"], "/nowhere"),
        (["jobs", "list", "--url", "ftp://x"], "must begin with http"),
        (["jobs", "list", "--key-file", "/nowhere"], "/nowhere"),
    ],
)
def test_what_cannot_be_sent_exits_2_and_says_why(
    server: Server, capsys: pytest.CaptureFixture[str], arguments: list[str], says: str
) -> None:
    assert main(arguments) == 2
    assert says in capsys.readouterr().err
    assert server.asked == []


def test_without_a_key_the_usage_says_where_it_comes_from(
    server: Server, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("QMUMMA_API_KEY")
    with pytest.raises(SystemExit, match="2"):
        main(["keys", "list"])
    assert "set QMUMMA_API_KEY to an API key, or give --key-file" in capsys.readouterr().err
    assert server.asked == []


def test_a_refused_command_exits_1_and_says_what_to_do(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    server.answers = [refusal(401, "unauthorized", "This API key is not valid.")]
    assert main(["keys", "list", "--json"]) == 1
    said = capsys.readouterr()
    assert json.loads(said.out)["error"]["type"] == "unauthorized"
    assert "This API key is not valid." in said.err
    assert "Check QMUMMA_API_KEY or --key-file" in said.err


def test_a_server_that_does_not_answer_is_told_apart(
    server: Server, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    monkeypatch.setattr(QMummaClient.__init__, "__kwdefaults__", {**QMummaClient.__init__.__kwdefaults__, "tries": 1})
    assert main(["keys", "list", "--url", "http://127.0.0.1:1"]) == 2
    assert "Is the server up" in capsys.readouterr().err
    server.answers = [(200, b"<html>", {})]
    assert main(["keys", "list"]) == 2
    assert "no Q-MUMMA API" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    ["jobs", "jobs submit", "jobs get", "jobs list", "jobs cancel", "jobs watch",
     "keys", "keys list", "keys create", "keys rotate", "keys revoke"],
)  # fmt: skip
def test_every_command_has_help(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main([*words.split(), "--help"])
    said = capsys.readouterr().out
    assert "exit status:" in said
    assert ("--json" in said) == (" " in words)
