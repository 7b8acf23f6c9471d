"""A reader of bills that shares nothing with their writer."""

import gzip
import hashlib
import json
from decimal import Decimal


def ask(sdk, day, kind="trade", variant=None, tar_type=None):
    """The call for a bill: status and JSON, with the parameters a merchant sends."""
    extra = f"&tar_type={tar_type}" if tar_type else ""
    if kind == "trade":
        path = f"/v3/bill/tradebill?bill_date={day}&bill_type={variant or 'ALL'}{extra}"
    else:
        path = f"/v3/bill/fundflowbill?bill_date={day}&account_type={variant or 'BASIC'}{extra}"
    status, text = sdk._core.request(path)
    return status, json.loads(text)


def fetch(sdk, day, kind="trade", variant=None, tar_type=None):
    """The bill's text, with its hash checked."""
    status, reply = ask(sdk, day, kind, variant, tar_type)
    assert status == 200, reply
    assert reply["hash_type"] == "SHA1"
    status, content = sdk.download_bill(reply["download_url"])
    assert status == 200, content
    content = gzip.decompress(content) if tar_type else content
    assert hashlib.sha1(content).hexdigest() == reply["hash_value"]  # noqa: S324
    return content.decode("utf-8")


def parsed(text):
    """(header, rows as dicts, summary as dict); every value must carry its backtick."""
    assert text.endswith("\r\n")
    lines = text.removesuffix("\r\n").split("\r\n")
    header = lines[0].split(",")
    rows = [dict(zip(header, cells(line), strict=True)) for line in lines[1:-2]]
    return header, rows, dict(zip(lines[-2].split(","), cells(lines[-1]), strict=True))


def cells(line):
    assert line.startswith("`")
    return line[1:].split(",`")


def fen(yuan):
    value = Decimal(yuan) * 100
    assert value == value.to_integral_value()
    return int(value)
