"""A cheap load generator: one process, one epoll loop, keep-alive connections, requests ready made.

`python -m devstack.bench.load` reads a file of requests (`write_requests`) and prints one JSON
object. It parses no more of an answer than its status and length, so that two targets differ by
the server's work alone.
"""

from __future__ import annotations

import argparse
import json
import resource
import selectors
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

ANSWER_SECONDS = 30.0
CHUNK = 262_144
_LENGTH = struct.Struct("<I")


@dataclass(frozen=True)
class Load:
    """What one round of requests saw. Seconds and requests of this round alone."""

    requests: int
    errors: int
    seconds: float
    p50_ms: float
    p99_ms: float
    bytes_each: float
    client_cpu_seconds: float
    first_error: str = ""

    @property
    def per_second(self) -> float:
        return self.requests / self.seconds if self.seconds else 0.0


def get(path: str, token: str) -> bytes:
    """A GET of a signed-in learner as bytes on the wire."""
    return (
        f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n"
        "Accept: application/json\r\n\r\n"
    ).encode()


def post(path: str, headers: dict[str, str], body: bytes) -> bytes:
    """A POST as bytes on the wire."""
    told = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{told}Content-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def write_requests(path: Path, requests: Iterable[bytes]) -> Path:
    """One file: the length of each request (4 bytes, little endian), then its bytes."""
    with path.open("wb") as out:
        for request in requests:
            out.write(_LENGTH.pack(len(request)) + request)
    return path


def read_requests(path: Path) -> list[bytes]:
    raw, at, found = path.read_bytes(), 0, []
    while at < len(raw):
        (length,) = _LENGTH.unpack_from(raw, at)
        at += _LENGTH.size
        found.append(raw[at : at + length])
        at += length
    return found


def run_apart(
    port: int,
    requests: Path,
    *,
    concurrency: int,
    seconds: float,
    most: int = 0,
    start: int = 0,
) -> Load:
    """One round in a process of its own, so that the caller's threads do not disturb it."""
    command = [
        sys.executable, "-m", "devstack.bench.load", "--port", str(port),
        "--requests", str(requests), "--concurrency", str(concurrency),
        "--seconds", str(seconds), "--most", str(most), "--start", str(start),
    ]  # fmt: skip
    limit = seconds + 2 * ANSWER_SECONDS
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=limit)
    return Load(**json.loads(done.stdout))


class _Connection:
    """One keep-alive connection with at most one request under way."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=ANSWER_SECONDS)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.began = 0.0
        self.status = 0
        self._left = -1  # bytes of the body still to come; -1 while the head is not complete
        self._head = b""

    def send(self, request: bytes) -> None:
        self.began = time.perf_counter()
        self._left, self._head = -1, b""
        self.socket.sendall(request)

    def receive(self) -> int:
        """Bytes read now; `finished` tells whether the answer is whole. Raises OSError."""
        data = self.socket.recv(CHUNK)
        if not data:
            raise ConnectionResetError("the server closed a keep-alive connection")
        if self._left >= 0:
            self._left -= len(data)
            return len(data)
        self._head += data
        end = self._head.find(b"\r\n\r\n")
        if end >= 0:
            head = self._head[:end].lower()
            self.status = int(head[9:12])
            mark = head.find(b"content-length:")
            if mark < 0:
                raise ValueError("an answer without Content-Length")
            length = int(head[mark + 15 :].split(b"\r\n", 1)[0])
            self._left = length - (len(self._head) - end - 4)
        return len(data)

    @property
    def finished(self) -> bool:
        return self._left == 0


def run(
    port: int,
    requests: Sequence[bytes],
    *,
    concurrency: int,
    seconds: float,
    most: int = 0,
    start: int = 0,
) -> Load:
    """Keep `concurrency` requests under way for `seconds`, or until `most` were sent.

    Requests are taken in turn from `start` on and begin anew at the end. An answer that is not
    200, or that takes longer than ANSWER_SECONDS, is an error.
    """
    pool = selectors.DefaultSelector()
    connections = [_Connection(port) for _ in range(concurrency)]
    took: list[float] = []
    errors, first_error, read, sent, busy = 0, "", 0, 0, 0
    cpu = _cpu()
    began = time.perf_counter()
    ends = began + seconds
    for connection in connections:
        pool.register(connection.socket, selectors.EVENT_READ, connection)
        if most and sent >= most:
            break
        connection.send(requests[(start + sent) % len(requests)])
        sent, busy = sent + 1, busy + 1
    while busy:
        ready = pool.select(ANSWER_SECONDS)
        if not ready:
            errors, first_error = errors + busy, first_error or "no answer in time"
            break
        for key, _events in ready:
            connection = key.data
            read += connection.receive()
            if not connection.finished:
                continue
            now = time.perf_counter()
            took.append(now - connection.began)
            if connection.status != 200:
                errors, first_error = errors + 1, first_error or f"status {connection.status}"
            busy -= 1
            if now < ends and not (most and sent >= most):
                connection.send(requests[(start + sent) % len(requests)])
                sent, busy = sent + 1, busy + 1
    elapsed = time.perf_counter() - began
    for connection in connections:
        connection.socket.close()
    pool.close()
    took.sort()
    return Load(
        requests=len(took),
        errors=errors,
        seconds=elapsed,
        p50_ms=1000 * _quantile(took, 0.5),
        p99_ms=1000 * _quantile(took, 0.99),
        bytes_each=read / max(len(took), 1),
        client_cpu_seconds=_cpu() - cpu,
        first_error=first_error,
    )


def _quantile(ordered: Sequence[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def main() -> int:
    parser = argparse.ArgumentParser(prog="devstack.bench.load", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--requests", type=Path, required=True)
    parser.add_argument("--concurrency", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--most", type=int, default=0)
    parser.add_argument("--start", type=int, default=0)
    told = parser.parse_args()
    load = run(
        told.port,
        read_requests(told.requests),
        concurrency=told.concurrency,
        seconds=told.seconds,
        most=told.most,
        start=told.start,
    )
    print(json.dumps(load.__dict__))
    return 0


if __name__ == "__main__":
    sys.exit(main())
