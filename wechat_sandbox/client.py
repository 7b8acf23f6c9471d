"""A thin wrapper over the control API, and a way to run a sandbox: tests and the demo only."""

from __future__ import annotations

import os
import queue
import subprocess  # noqa: S404 - starts this package's own command
import sys
import threading
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self
from urllib.parse import quote

import requests

_READY = "sandbox ready on "
_START_SECONDS = 30.0


class SandboxRefusedError(Exception):
    """A control call was refused; `status` and `code` say how."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(f"{status} {code}: {message}")
        self.status = status
        self.code = code
        self.errcode: int | None = None  # of the user's client, where it was the one to refuse


class SandboxClient:
    """One method per control call; replies come back as the JSON objects they are."""

    def __init__(self, base_url: str, *, timeout: float = 130.0) -> None:
        self.base_url = base_url.rstrip("/")
        self._timeout = timeout
        self._session = requests.Session()
        self._session.trust_env = False

    def call(self, method: str, path: str, /, **body: Any) -> dict[str, Any]:
        """Any control call; GET parameters go into the query."""
        where = "params" if method == "GET" else "json"
        response = self._session.request(
            method,
            f"{self.base_url}/_sandbox{path}",
            timeout=self._timeout,
            **{where: body},  # type: ignore[arg-type]
        )
        data: dict[str, Any] = response.json()
        if response.status_code != 200:
            error = data.get("error", {})
            refusal = SandboxRefusedError(
                response.status_code, error.get("code", ""), error.get("message", "")
            )
            refusal.errcode = data.get("errCode")
            raise refusal
        return data

    def user(self, **fields: Any) -> dict[str, Any]:
        return self.call("POST", "/users", **fields)

    def login_code(self, openid: str, **fields: Any) -> str:
        return str(self.call("POST", f"/users/{quote(openid)}/login", **fields)["code"])

    def phone_code(self, openid: str, **fields: Any) -> str:
        return str(self.call("POST", f"/users/{quote(openid)}/phone", **fields)["code"])

    def oauth_code(self, openid: str, **fields: Any) -> str:
        return str(self.call("POST", f"/users/{quote(openid)}/oauth", **fields)["code"])

    def grant(self, openid: str, template_id: str, count: int = 1) -> dict[str, Any]:
        path = f"/users/{quote(openid)}/grants"
        return self.call("POST", path, template_id=template_id, count=count)

    def template(self, template_id: str, keys: list[str]) -> dict[str, Any]:
        return self.call("POST", "/templates", template_id=template_id, keys=keys)

    def pay(self, out_trade_no: str, outcome: str = "success", **fields: Any) -> dict[str, Any]:
        path = f"/payments/{quote(out_trade_no, safe='')}"
        return self.call("POST", path, outcome=outcome, **fields)

    def settle_refund(
        self, out_refund_no: str, outcome: str = "success", **fields: Any
    ) -> dict[str, Any]:
        path = f"/refunds/{quote(out_refund_no, safe='')}"
        return self.call("POST", path, outcome=outcome, **fields)

    def console_refund(self, out_trade_no: str, **fields: Any) -> dict[str, Any]:
        return self.call("POST", "/refunds", out_trade_no=out_trade_no, **fields)

    def bill(self, day: str) -> dict[str, Any]:
        return self.call("GET", f"/bills/{day}")

    def plant(self, day: str, **differences: Any) -> dict[str, Any]:
        return self.call("POST", f"/bills/{day}", **differences)

    def forget_bill(self, day: str) -> None:
        self.call("DELETE", f"/bills/{day}")

    def seed_bill(self, day: str, rows: list[dict[str, Any]]) -> None:
        """Any number of rows, a thousand in each call."""
        for start in range(0, len(rows), 1000):
            self.call("POST", f"/bills/{day}/rows", rows=rows[start : start + 1000])

    def virtual_item(self, id: str, price_fen: int, **fields: Any) -> dict[str, Any]:
        """Publishes an item that virtual payment may sell at once."""
        return self.call("POST", "/virtual-items", id=id, price_fen=price_fen, **fields)

    def plan_virtual_item(self, id: str, **fields: Any) -> dict[str, Any]:
        return self.call("POST", f"/virtual-items/{quote(id, safe='')}", **fields)

    def virtual_pay(
        self, openid: str, params: dict[str, Any], outcome: str = "success", **fields: Any
    ) -> dict[str, Any]:
        """`params` as the product gives them: mode, signData, paySig, signature."""
        body = {**params, **fields}
        return self.call("POST", "/virtual-payments", openid=openid, outcome=outcome, **body)

    def virtual_order(self, out_trade_no: str) -> dict[str, Any]:
        return self.call("GET", f"/virtual-orders/{quote(out_trade_no, safe='')}")

    def virtual_refund(
        self, refund_order_id: str, outcome: str = "success", **fields: Any
    ) -> dict[str, Any]:
        path = f"/virtual-refunds/{quote(refund_order_id, safe='')}"
        return self.call("POST", path, outcome=outcome, **fields)

    def apple_question(self, out_trade_no: str, **fields: Any) -> dict[str, Any]:
        """Asks the product whether Apple should refund; `answer` is agree, refuse or unsure."""
        path = f"/virtual-orders/{quote(out_trade_no, safe='')}/apple-refund-question"
        return self.call("POST", path, **fields)

    def apple_refund(self, out_trade_no: str, **fields: Any) -> dict[str, Any]:
        path = f"/virtual-orders/{quote(out_trade_no, safe='')}/apple-refund"
        return self.call("POST", path, **fields)

    def complaint(self, out_trade_no: str, **fields: Any) -> dict[str, Any]:
        path = f"/virtual-orders/{quote(out_trade_no, safe='')}/complaint"
        return self.call("POST", path, **fields)

    def virtual_withdrawal(self, withdraw_no: str, outcome: str = "success") -> dict[str, Any]:
        return self.call("POST", f"/virtual-withdrawals/{quote(withdraw_no)}", outcome=outcome)

    def virtual_bill(self, day: str, **differences: Any) -> dict[str, Any]:
        """`day` is yyyymmdd."""
        return self.call("POST", f"/virtual-bills/{day}", **differences)

    def remind_shipping(self, out_trade_no: str, **fields: Any) -> dict[str, Any]:
        return self.call("POST", f"/shipping/{quote(out_trade_no, safe='')}/remind", **fields)

    def settle_shipping(
        self, out_trade_no: str, step: str = "settled", **fields: Any
    ) -> dict[str, Any]:
        """`step` is shipped, received or settled."""
        path = f"/shipping/{quote(out_trade_no, safe='')}/settle"
        return self.call("POST", path, step=step, **fields)

    def push(self, account: str, openid: str, type: str = "text", **fields: Any) -> dict[str, Any]:
        return self.call("POST", "/messages", account=account, openid=openid, type=type, **fields)

    def verify(self, account: str = "oa", **fields: Any) -> dict[str, Any]:
        return self.call("POST", "/messages/verify", account=account, **fields)

    def sent(self, **wanted: Any) -> list[dict[str, Any]]:
        return list(self.call("GET", "/messages", **wanted)["items"])

    def fault(self, kind: str, on: str = "notify", **fields: Any) -> dict[str, Any]:
        return self.call("POST", "/faults", kind=kind, on=on, **fields)

    def faults(self) -> list[dict[str, Any]]:
        return list(self.call("GET", "/faults")["items"])

    def clear_faults(self) -> None:
        self.call("DELETE", "/faults")

    def advance(self, seconds: float, **fields: Any) -> dict[str, Any]:
        return self.call("POST", "/clock", advance_seconds=seconds, **fields)

    def set_clock(self, now: float | str) -> dict[str, Any]:
        return self.call("POST", "/clock", now=now)

    def settings(self, **values: Any) -> dict[str, Any]:
        return self.call("POST", "/settings", **values)

    def calls(self, path: str = "", since: float = 0) -> list[dict[str, Any]]:
        return list(self.call("GET", "/calls", path=path, since=since)["items"])

    def last_call(self) -> int:
        """The id of the newest call; give it to `calls(since=…)` later."""
        return int(self.call("GET", "/calls", path="/nothing")["last"])

    def notifies(self, out_trade_no: str | None = None) -> list[dict[str, Any]]:
        wanted = {} if out_trade_no is None else {"out_trade_no": out_trade_no}
        return list(self.call("GET", "/notifies", **wanted)["items"])

    def forge(self, out_trade_no: str, kind: str, count: int = 1, **fields: Any) -> dict[str, Any]:
        path = f"/notifies/{quote(out_trade_no, safe='')}/forge"
        return self.call("POST", path, kind=kind, count=count, **fields)

    def forge_mix(
        self, out_trade_no: str, mix: dict[str, int], concurrency: int = 64, **fields: Any
    ) -> dict[str, Any]:
        """`mix` says how many of each kind, all at once."""
        parts = [{"kind": kind, "count": count} for kind, count in mix.items()]
        path = f"/notifies/{quote(out_trade_no, safe='')}/forge"
        return self.call("POST", path, mix=parts, concurrency=concurrency, **fields)

    def state(self, **wanted: Any) -> dict[str, Any]:
        return self.call("GET", "/state", **wanted)

    def reset(self, **fields: Any) -> None:
        self.call("POST", "/reset", **fields)


class RunningSandbox:
    """A sandbox in a process of its own; a context manager that ends it."""

    def __init__(
        self,
        keys: Path,
        *,
        target: str = "http://127.0.0.1:8000",
        port: int = 0,
        clock_file: Path | None = None,
        seed: int | None = None,
    ) -> None:
        self.keys = keys
        command = [sys.executable, "-m", "wechat_sandbox", "--port", str(port)]
        command += ["--target", target, "--keys", str(keys)]
        if clock_file is not None:
            command += ["--clock-file", str(clock_file)]
        if seed is not None:
            command += ["--seed", str(seed)]
        root = str(Path(__file__).resolve().parent.parent)
        self._process = subprocess.Popen(  # noqa: S603 - our own module, fixed words
            command,
            stdout=subprocess.PIPE,
            text=True,
            cwd=root,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        self.base_url = _ready_address(self._process)
        self.client = SandboxClient(self.base_url)

    @property
    def environment(self) -> dict[str, str]:
        """The KPAY_WECHAT_* settings that point the product here."""
        return read_environment(self.keys)

    def stop(self) -> int:
        self._process.terminate()
        try:
            status = self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            status = self._process.wait(10)
        if self._process.stdout is not None:
            self._process.stdout.close()
        return status

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


def read_environment(keys: Path) -> dict[str, str]:
    """`sandbox.env` as a dict."""
    values = {}
    for line in (keys / "sandbox.env").read_text().splitlines():
        name, _, value = line.partition("=")
        values[name] = value.strip('"')
    return values


def _ready_address(process: subprocess.Popen[str]) -> str:
    """The address of the ready line; the process is ended when none comes in time."""
    lines: queue.Queue[str] = queue.Queue()
    stream = process.stdout
    if stream is None:
        raise RuntimeError("the sandbox has no output")
    threading.Thread(target=_first_line, args=(stream, lines), daemon=True).start()
    try:
        line = lines.get(timeout=_START_SECONDS)
    except queue.Empty:
        line = ""
    if not line.startswith(_READY):
        process.kill()
        process.wait(10)
        raise RuntimeError(f"the sandbox did not start: {line!r}")
    return line.removeprefix(_READY).strip()


def _first_line(stream: IO[str], lines: queue.Queue[str]) -> None:
    lines.put(stream.readline())
