"""Bills (D7): made once a day, handed out as a link that lives five minutes."""

from __future__ import annotations

import gzip
import hashlib
import re
import secrets
from datetime import date, datetime

from wechat_sandbox.billbook import Bill, Frozen, Ticket
from wechat_sandbox.clock import BEIJING
from wechat_sandbox.pay import checks
from wechat_sandbox.pay.bill_entries import day_book
from wechat_sandbox.pay.bill_files import TRADE_COLUMNS, Table, flow_table, trade_table
from wechat_sandbox.sandbox import Sandbox
from wechat_sandbox.wire import Json, PayError, Reply, Request, json_reply

DOWNLOAD_PATH = "/v3/billdownload/file"
ACCOUNTS = ("BASIC", "OPERATION", "FEES")
READY_HOUR = 10  # of the next day, in Beijing
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_MONTHS_BACK = 3
_TICKETS_KEPT = 256
_BOM = "\ufeff"


def trade_bill(sandbox: Sandbox, request: Request) -> Reply:
    """GET /v3/bill/tradebill?bill_date=&bill_type=&tar_type="""
    bill_type = _choice(request, "bill_type", tuple(TRADE_COLUMNS), "ALL")
    return _offer(sandbox, request, "trade", bill_type)


def fundflow_bill(sandbox: Sandbox, request: Request) -> Reply:
    """GET /v3/bill/fundflowbill?bill_date=&account_type=&tar_type="""
    account = _choice(request, "account_type", ACCOUNTS, "BASIC")
    return _offer(sandbox, request, "fundflow", account)


def download(sandbox: Sandbox, request: Request) -> Reply:
    """GET /v3/billdownload/file?token= : the file; its bytes carry no signature."""
    with sandbox.lock:
        ticket = sandbox.state.bill_tickets.get(request.query.get("token", ""))
        if ticket is None or ticket.until <= sandbox.clock.now():
            raise PayError(400, "INVALID_REQUEST", "账单下载链接不存在或已过期，请重新申请账单")
    if ticket.gzip:
        content_type, body = "application/x-gzip", gzip.compress(ticket.content, 6, mtime=0)
    else:
        content_type, body = "text/plain;charset=utf-8", ticket.content
    return Reply(200, body, {"Content-Type": content_type}, unsigned=True)


def expire(sandbox: Sandbox, token: str) -> None:
    """The link is over, as if its five minutes had passed."""
    with sandbox.lock:
        ticket = sandbox.state.bill_tickets.get(token)
        if ticket is not None:
            ticket.until = 0.0


def corrupted(reply: Reply, how: str) -> Reply:
    """Another file than the hash says: one digit differs; cut: half of it; reset: cut off."""
    if reply.status != 200 or not reply.unsigned:
        return reply
    half = len(reply.body) // 2
    if how == "reset":
        reply.cut_after = half
    elif how == "cut":
        reply.body = reply.body[:half]
    elif reply.headers["Content-Type"] == "application/x-gzip":
        reply.body = gzip.compress(_one_digit_off(gzip.decompress(reply.body)), 6, mtime=0)
    else:
        reply.body = _one_digit_off(reply.body)
    return reply


def table(sandbox: Sandbox, day: date, kind: str, variant: str, frozen: Frozen) -> Table:
    """A bill with the differences planted in it. `variant`: the bill type or the account."""
    rate = sandbox.state.settings.fee_rate_percent
    entries = bill_of(sandbox, day).planted[kind].applied(frozen.entries)
    if kind == "trade":
        mchid = sandbox.identity.mchid
        return trade_table(entries, bill_type=variant, mchid=mchid, rate_percent=rate)
    return flow_table(entries, account=variant, opening=frozen.opening, rate_percent=rate)


def bill_of(sandbox: Sandbox, day: date) -> Bill:
    return sandbox.state.bills.setdefault(day.isoformat(), Bill())


def readiness(sandbox: Sandbox, day: date) -> str:
    """too_early (the day is not over), creating, ready, or too_old."""
    now = datetime.fromtimestamp(sandbox.clock.now(), BEIJING)
    if day >= now.date():
        return "too_early"
    if (now.date() - day).days == 1 and now.hour < READY_HOUR:
        return "creating"
    return "too_old" if day < _months_before(now.date()) else "ready"


def _offer(sandbox: Sandbox, request: Request, kind: str, variant: str) -> Reply:
    """Freezes the day at the first call and answers with hash and link."""
    packed = _choice(request, "tar_type", ("GZIP",), "") == "GZIP"
    day = _asked_day(sandbox, request.query.get("bill_date", ""))
    with sandbox.lock:
        content = _file(sandbox, day, kind, variant)
        token = secrets.token_urlsafe(32)
        tickets = sandbox.state.bill_tickets
        until = sandbox.clock.now() + sandbox.state.settings.bill_url_seconds
        tickets[token] = Ticket(content, packed, until)
        while len(tickets) > _TICKETS_KEPT:
            del tickets[next(iter(tickets))]
    answer: Json = {
        "hash_type": "SHA1",
        "hash_value": hashlib.sha1(content, usedforsecurity=False).hexdigest(),
        "download_url": f"{sandbox.base_url}{DOWNLOAD_PATH}?token={token}",
    }
    return json_reply(answer)


def _file(sandbox: Sandbox, day: date, kind: str, variant: str) -> bytes:
    """The bill's bytes before compression; written once for each way of asking."""
    bill = bill_of(sandbox, day)
    frozen = bill.frozen or day_book(sandbox, day)
    settings = sandbox.state.settings
    key = (kind, variant, settings.bill_bom, settings.fee_rate_percent)
    if bill.frozen is None or key not in bill.files:
        made = table(sandbox, day, kind, variant, frozen)
        if not made.rows:
            raise PayError(400, "NO_STATEMENT_EXIST", "账单文件不存在，请检查该日是否有交易")
        bill.frozen = frozen
        bom = _BOM if settings.bill_bom else ""
        bill.files[key] = (bom + made.text()).encode("utf-8", "replace")
    return bill.files[key]


def _asked_day(sandbox: Sandbox, text: str) -> date:
    if not _DAY.fullmatch(text):
        raise checks.param_error("bill_date", "须为YYYY-MM-DD格式")
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise checks.param_error("bill_date", "不是存在的日期") from None
    state = readiness(sandbox, day)
    if state == "creating":
        raise PayError(400, "STATEMENT_CREATING", "账单正在生成中，请在上午10点后再试")
    if state == "too_early":
        raise PayError(400, "INVALID_REQUEST", "账单日期须早于今天")
    if state == "too_old":
        raise PayError(400, "INVALID_REQUEST", "仅支持下载最近三个月的账单")
    return day


def _months_before(today: date) -> date:
    """The same day three months earlier, or that month's last day."""
    months = today.year * 12 + today.month - 1 - _MONTHS_BACK
    for day in range(today.day, today.day - 4, -1):
        try:
            return date(months // 12, months % 12 + 1, day)
        except ValueError:
            continue
    raise AssertionError("every month has 28 days")


def _choice(request: Request, name: str, allowed: tuple[str, ...], default: str) -> str:
    value = request.query.get(name) or default
    if value != default and value not in allowed:
        raise checks.param_error(name, f"须为{'、'.join(allowed)}")
    return value


def _one_digit_off(content: bytes) -> bytes:
    """The first digit after the middle, one higher."""
    spoiled = bytearray(content)
    for place in range(len(spoiled) // 2, len(spoiled)):
        if chr(spoiled[place]).isdigit() and spoiled[place] < 128:
            spoiled[place] = ord("0") + (spoiled[place] - ord("0") + 1) % 10
            break
    return bytes(spoiled)
