"""The bench's own instruments: a load generator that counts right, a table that says so."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from devstack.bench import load
from devstack.bench.report import Line, at_least, table


class Answers(BaseHTTPRequestHandler):
    """200 for /ok, 500 for anything else, with as many bytes as the path is long."""

    protocol_version = "HTTP/1.1"
    seen: list[str] = []

    def do_GET(self) -> None:
        self.seen.append(self.path)
        self.send_response(200 if self.path == "/ok" else 500)
        self.send_header("Content-Length", str(len(self.path)))
        self.end_headers()
        self.wfile.write(self.path.encode())

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture
def port():
    Answers.seen = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    thread.join()
    server.server_close()


def test_every_request_is_sent_once_and_counted(port):
    seen = load.run(port, [load.get("/ok", "t")], concurrency=4, seconds=20, most=50)

    assert (seen.requests, seen.errors) == (50, 0)
    assert Answers.seen == ["/ok"] * 50
    assert seen.p50_ms <= seen.p99_ms


def test_an_answer_that_is_not_200_is_an_error(port):
    requests = [load.get("/ok", "t"), load.get("/broken", "t")]
    seen = load.run(port, requests, concurrency=1, seconds=20, most=10)

    assert (seen.requests, seen.errors, seen.first_error) == (10, 5, "status 500")


def test_requests_survive_the_file_between_processes(tmp_path):
    requests = [load.get("/a", "x"), load.post("/b", {"X": "1"}, b"\0\r\nbody")]
    path = load.write_requests(tmp_path / "r", iter(requests))

    assert load.read_requests(path) == requests
    assert b"Content-Length: 7\r\n" in requests[1]


def test_a_missed_bar_is_said_and_chinese_stays_aligned():
    lines = [
        Line("feed", "每秒请求", "30/s", "floor 100/s", **at_least(0.3, 0.3)),
        Line("feed", "plain", "2/s", "floor 100/s", **at_least(0.02, 0.3)),
    ]
    told = table(lines).splitlines()

    assert told[2].endswith("ok")
    assert told[3].endswith("MISSED")
    # 每秒请求 takes eight cells, plain five and three spaces
    assert told[2].index("30/s") + 4 == told[3].index("2/s")
