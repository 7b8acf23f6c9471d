"""Bills as text (D7): columns in the platform's order, a backtick before every value."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from wechat_sandbox.billbook import Entry
from wechat_sandbox.clock import BEIJING
from wechat_sandbox.pay.bill_entries import fee_fen
from wechat_sandbox.wire import Json

_ORDER = (
    "交易时间", "公众账号ID", "商户号", "特约商户号", "设备号", "微信订单号", "商户订单号",
    "用户标识", "交易类型", "交易状态", "付款银行", "货币种类", "应结订单金额", "代金券金额",
)  # fmt: skip
_REFUND = (
    "微信退款单号", "商户退款单号", "退款金额", "充值券退款金额", "退款类型", "退款状态",
)  # fmt: skip
_GOODS = ("商品名称", "商户数据包", "手续费", "费率", "订单金额")
TRADE_COLUMNS = {
    "ALL": (*_ORDER, *_REFUND, *_GOODS, "申请退款金额", "费率备注"),
    "SUCCESS": (*_ORDER, *_GOODS, "费率备注"),
    "REFUND": (
        *_ORDER, "退款申请时间", "退款成功时间", *_REFUND, *_GOODS, "申请退款金额", "费率备注",
    ),
}  # fmt: skip
TRADE_SUMMARY = (
    "总交易单数", "应结订单总金额", "退款总金额", "充值券退款总金额", "手续费总金额",
    "订单总金额", "申请退款总金额",
)  # fmt: skip
FLOW_COLUMNS = (
    "记账时间", "微信支付业务单号", "资金流水单号", "业务名称", "业务类型", "收支类型",
    "收支金额(元)", "账户结余(元)", "资金变更提交申请人", "备注", "业务凭证号",
)  # fmt: skip
FLOW_SUMMARY = ("资金流水总笔数", "收入笔数", "收入金额", "支出笔数", "支出金额")
_KINDS = {"ALL": {"payment", "refund"}, "SUCCESS": {"payment"}, "REFUND": {"refund"}}


@dataclass(frozen=True)
class Table:
    """A bill before it is text."""

    columns: Sequence[str]
    rows: list[tuple[str, ...]]
    summary_columns: Sequence[str]
    summary: tuple[str, ...]

    def text(self) -> str:
        """Lines end with CR LF. A comma inside a value stays: only ",`" parts two values."""
        lines = [",".join(self.columns)]
        lines += [_line(row) for row in self.rows]
        lines += [",".join(self.summary_columns), _line(self.summary)]
        return "\r\n".join(lines) + "\r\n"

    def view(self) -> Json:
        return {
            "rows": [dict(zip(self.columns, row, strict=True)) for row in self.rows],
            "summary": dict(zip(self.summary_columns, self.summary, strict=True)),
        }


def trade_table(
    entries: Iterable[Entry], *, bill_type: str, mchid: str, rate_percent: float
) -> Table:
    """One of the three trade bills: ALL, SUCCESS or REFUND."""
    columns = TRADE_COLUMNS[bill_type]
    shown = [entry for entry in entries if entry.kind in _KINDS[bill_type]]
    fees = [_fee(entry, rate_percent) for entry in shown]
    rows = []
    for entry, fee in zip(shown, fees, strict=True):
        values = _trade_values(entry, mchid) | {
            "手续费": f"{_yuan(fee)}000",
            "费率": f"{rate_percent:.2f}%",
        }
        rows.append(tuple(values[column] for column in columns))
    summary = (
        str(len(shown)),
        _yuan(sum(entry.settlement for entry in shown)),
        _yuan(sum(entry.refund_settlement for entry in shown)),
        _yuan(sum(entry.voucher_refund for entry in shown)),
        f"{_yuan(sum(fees))}000",
        _yuan(sum(entry.total for entry in shown)),
        _yuan(sum(entry.refund for entry in shown)),
    )
    return Table(columns, rows, TRADE_SUMMARY, summary)


def flow_table(
    entries: Iterable[Entry], *, account: str, opening: int, rate_percent: float
) -> Table:
    """The fund flow of one account, with the balance after each movement."""
    balance = opening if account == "BASIC" else 0
    rows = []
    counts, sums = {True: 0, False: 0}, {True: 0, False: 0}
    for entry in entries:
        if entry.account != account:
            continue
        for name, income, fen, note in _movements(entry, rate_percent):
            balance += fen if income else -fen
            counts[income] += 1
            sums[income] += fen
            rows.append(_flow_row(entry, name, income, fen, balance, note))
    summary = (
        str(len(rows)),
        str(counts[True]),
        _yuan(sums[True]),
        str(counts[False]),
        _yuan(sums[False]),
    )
    return Table(FLOW_COLUMNS, rows, FLOW_SUMMARY, summary)


def _movements(entry: Entry, rate: float) -> list[tuple[str, bool, int, str]]:
    """Name, income or not, fen, and note of each movement that an entry causes."""
    if entry.kind == "flow":
        return [(entry.name, entry.income, entry.settlement, "")]
    if entry.kind == "payment":
        fee = fee_fen(entry.settlement, rate)
        moves = [("交易", True, entry.settlement, ""), ("扣除交易手续费", False, fee, "")]
        return [move for move in moves if move[2]]
    fee = fee_fen(entry.refund_settlement, rate)
    note = f"退款总金额{_yuan(entry.refund_settlement)}元;含手续费{_yuan(fee)}元"
    return [("退款", entry.kind == "returned", entry.refund_settlement - fee, note)]


def _flow_row(
    entry: Entry, name: str, income: bool, fen: int, balance: int, note: str
) -> tuple[str, ...]:
    return (
        _moment(entry.at),
        entry.refund_id or entry.transaction_id,
        entry.transaction_id,
        name,
        name,
        "收入" if income else "支出",
        _yuan(fen),
        _yuan(balance),
        entry.applicant,
        note,
        entry.out_refund_no or entry.out_trade_no,
    )


def _trade_values(entry: Entry, mchid: str) -> dict[str, str]:
    refund = entry.kind == "refund"
    return {
        "交易时间": _moment(entry.at),
        "公众账号ID": entry.appid,
        "商户号": mchid,
        "特约商户号": "0",
        "设备号": "",
        "微信订单号": entry.transaction_id,
        "商户订单号": entry.out_trade_no,
        "用户标识": entry.openid,
        "交易类型": entry.trade_type,
        "交易状态": "REFUND" if refund else entry.status,
        "付款银行": "OTHERS",
        "货币种类": "CNY",
        "应结订单金额": _yuan(entry.settlement),
        "代金券金额": _yuan(entry.voucher),
        "退款申请时间": _moment(entry.at),
        "退款成功时间": _moment(entry.success_at) if entry.success_at else "",
        "微信退款单号": entry.refund_id if refund else "0",
        "商户退款单号": entry.out_refund_no if refund else "0",
        "退款金额": _yuan(entry.refund_settlement),
        "充值券退款金额": _yuan(entry.voucher_refund),
        "退款类型": "ORIGINAL" if refund else "",
        "退款状态": entry.status if refund else "",
        "商品名称": entry.description,
        "商户数据包": entry.attach,
        "订单金额": _yuan(entry.total),
        "申请退款金额": _yuan(entry.refund),
        "费率备注": "",
    }


def _fee(entry: Entry, rate: float) -> int:
    """Taken from a payment, given back with a refund."""
    if entry.kind == "payment":
        return fee_fen(entry.settlement, rate)
    return -fee_fen(entry.refund_settlement, rate)


def _yuan(fen: int) -> str:
    """Two decimals, by integers alone."""
    sign = "-" if fen < 0 else ""
    return f"{sign}{abs(fen) // 100}.{abs(fen) % 100:02d}"


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at, BEIJING).strftime("%Y-%m-%d %H:%M:%S")


def _line(values: Sequence[str]) -> str:
    """Line breaks and their like become blanks."""
    line = ",".join([f"`{value}" for value in values])
    return line if line.isprintable() else "".join(c if c.isprintable() else " " for c in line)
