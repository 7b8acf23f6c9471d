"""The HTTP server: reads requests with care, carries out cut and slow answers."""

from __future__ import annotations

import socket
import sys
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

from wechat_sandbox.answering import answer
from wechat_sandbox.control import control_answer
from wechat_sandbox.sandbox import Sandbox
from wechat_sandbox.wire import MAX_BODY_BYTES, Reply, Request, json_reply, parse_query

_IDLE_SECONDS = 65


class Server(ThreadingHTTPServer):
    """Answers for one sandbox on 127.0.0.1; `stop` leaves nothing behind."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 256

    def __init__(self, sandbox: Sandbox, port: int, host: str = "127.0.0.1") -> None:
        super().__init__((host, port), Handler)
        self.sandbox = sandbox
        sandbox.base_url = f"http://{host}:{self.server_address[1]}"
        self._thread = threading.Thread(target=self._serve, name="sandbox-server", daemon=True)

    def start(self) -> None:
        self.sandbox.start()
        self._thread.start()

    def stop(self) -> None:
        self.sandbox.stop()
        self.shutdown()
        self._thread.join(5)
        self.server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is no error of ours; anything else is printed."""
        error = sys.exc_info()[1]
        if not isinstance(error, ConnectionError | TimeoutError):
            super().handle_error(request, client_address)

    def _serve(self) -> None:
        self.serve_forever(poll_interval=0.1)


class Handler(BaseHTTPRequestHandler):
    """One connection, kept alive."""

    protocol_version = "HTTP/1.1"
    server_version = "wechat-sandbox"
    sys_version = ""
    timeout = _IDLE_SECONDS
    disable_nagle_algorithm = True
    wbufsize = -1
    server: Server

    def do_GET(self) -> None:  # noqa: N802 - the base class names it
        self._do()

    do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_GET  # noqa: N815

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Calls are listed at /_sandbox/calls instead."""

    def _do(self) -> None:
        body = self._body()
        if body is None:
            return
        path, _, raw_query = self.path.partition("?")
        try:
            query = parse_query(raw_query)
            path = unquote(path, errors="strict")
        except ValueError:
            self._write(json_reply({"code": "PARAM_ERROR", "message": "bad address"}, 400))
            return
        request = Request(
            method=self.command,
            target=self.path,
            path=path,
            query=query,
            headers={name.lower(): value for name, value in self.headers.items()},
            body=body,
            client_ip=self.client_address[0],
        )
        handle = control_answer if path.startswith("/_sandbox") else answer
        self._write(handle(self.server.sandbox, request))

    def _body(self) -> bytes | None:
        """The body; None when the request was refused for its size or form."""
        length = self.headers.get("Content-Length") or "0"
        if self.headers.get("Transfer-Encoding"):
            self._refuse(411, "send Content-Length")
            return None
        if not (length.isascii() and length.isdigit() and len(length) < 20):
            self._refuse(400, "Content-Length is no number")
            return None
        size = int(length)
        if size > MAX_BODY_BYTES:
            self._refuse(413, "the body is larger than 1 MB")
            return None
        body = self.rfile.read(size)
        if len(body) < size:
            self.close_connection = True
            return None
        return body

    def _refuse(self, status: int, message: str) -> None:
        self.close_connection = True
        self._write(json_reply({"code": "PARAM_ERROR", "message": message}, status))

    def _write(self, reply: Reply) -> None:
        if reply.cut:
            self._cut()
            return
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        if reply.status != 204:
            self.send_header("Content-Length", str(len(reply.body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if reply.slow_seconds:
            self.wfile.flush()
            self.server.sandbox.stopping.wait(reply.slow_seconds)
        if self.command != "HEAD" and reply.status != 204:
            self.wfile.write(reply.body[: reply.cut_after])
        self.wfile.flush()
        if reply.cut_after is not None:
            self.close_connection = True

    def _cut(self) -> None:
        """Closes with a reset, so that the client sees a broken connection at once."""
        self.close_connection = True
        with suppress(OSError):
            linger = b"\x01\x00\x00\x00\x00\x00\x00\x00"  # on, zero seconds
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.connection.close()
