"""Lines of bills as typed values. Yuan in the file, fen here, no float in between."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import ClassVar, Protocol, Self

from kernel import clock
from wechat.errors import WeChatBillWrong

_AMOUNT = re.compile(r"(-?)([0-9]{1,13})(?:\.([0-9]{1,8}))?")
_MOMENT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}")
_CENT = Decimal(1)


class Row(Protocol):
    """One line of a bill, and what its file's last line must say of all of them."""

    needed: ClassVar[frozenset[str]]
    counted: ClassVar[str]
    summed: ClassVar[frozenset[str]]

    @classmethod
    def parse(cls, line: Mapping[str, str]) -> Self:
        """From cells by column. Raises `WeChatBillWrong`."""
        ...

    def sums(self) -> Mapping[str, int | Decimal]:
        """What this row adds to columns of the summary: fen, or pieces."""
        ...


@dataclass(frozen=True)
class TradeRow:
    """A payment, or a refund: then the columns of the refund are filled and the state is REFUND.

    `at` is the payment's success or the refund's acceptance. `refund_status` is that of the hour
    in which the bill was made. The fee has five decimals of a yuan: `fee_exact_fen` keeps them,
    `fee_fen` is rounded; fees that came back are negative.
    """

    needed: ClassVar[frozenset[str]] = frozenset(
        {
            "交易时间", "公众账号ID", "商户号", "微信订单号", "商户订单号", "用户标识", "交易类型",
            "交易状态", "货币种类", "应结订单金额", "代金券金额", "微信退款单号", "商户退款单号",
            "退款金额", "充值券退款金额", "退款类型", "退款状态", "商户数据包", "手续费", "费率",
            "订单金额", "申请退款金额",
        }
    )  # fmt: skip
    counted: ClassVar[str] = "总交易单数"
    summed: ClassVar[frozenset[str]] = frozenset(
        {
            "应结订单总金额", "退款总金额", "充值券退款总金额", "手续费总金额", "订单总金额",
            "申请退款总金额",
        }
    )  # fmt: skip

    at: datetime
    appid: str
    mchid: str
    transaction_id: str
    out_trade_no: str
    openid: str
    trade_type: str
    trade_state: str
    currency: str
    settled_fen: int
    coupon_fen: int
    order_fen: int
    refund_id: str
    out_refund_no: str
    refund_fen: int
    refund_coupon_fen: int
    refund_asked_fen: int
    refund_type: str
    refund_status: str
    attach: str
    fee_exact_fen: Decimal
    fee_fen: int
    rate: str

    @property
    def is_refund(self) -> bool:
        return self.trade_state == "REFUND"

    @classmethod
    def parse(cls, line: Mapping[str, str]) -> Self:
        fee = exact_fen_of(line["手续费"])
        return cls(
            at=shop_moment(line["交易时间"]),
            appid=line["公众账号ID"],
            mchid=line["商户号"],
            transaction_id=line["微信订单号"],
            out_trade_no=line["商户订单号"],
            openid=line["用户标识"],
            trade_type=line["交易类型"],
            trade_state=line["交易状态"],
            currency=line["货币种类"],
            settled_fen=fen_of(line["应结订单金额"]),
            coupon_fen=fen_of(line["代金券金额"]),
            order_fen=fen_of(line["订单金额"]),
            refund_id=_number(line["微信退款单号"]),
            out_refund_no=_number(line["商户退款单号"]),
            refund_fen=fen_of(line["退款金额"]),
            refund_coupon_fen=fen_of(line["充值券退款金额"]),
            refund_asked_fen=fen_of(line["申请退款金额"]),
            refund_type=line["退款类型"],
            refund_status=line["退款状态"],
            attach=line["商户数据包"],
            fee_exact_fen=fee,
            fee_fen=int(fee.quantize(_CENT, ROUND_HALF_UP)),
            rate=line["费率"],
        )

    def sums(self) -> Mapping[str, int | Decimal]:
        return {
            "应结订单总金额": self.settled_fen,
            "退款总金额": self.refund_fen,
            "充值券退款总金额": self.refund_coupon_fen,
            "手续费总金额": self.fee_exact_fen,
            "订单总金额": self.order_fen,
            "申请退款总金额": self.refund_asked_fen,
        }


@dataclass(frozen=True)
class FundRow:
    """A movement of the account; `voucher_no` is the business's number, ours for our orders."""

    needed: ClassVar[frozenset[str]] = frozenset(
        {
            "记账时间", "微信支付业务单号", "资金流水单号", "业务名称", "业务类型", "收支类型",
            "收支金额(元)", "账户结余(元)", "资金变更提交申请人", "备注", "业务凭证号",
        }
    )  # fmt: skip
    counted: ClassVar[str] = "资金流水总笔数"
    summed: ClassVar[frozenset[str]] = frozenset({"收入笔数", "收入金额", "支出笔数", "支出金额"})

    at: datetime
    business_id: str
    flow_id: str
    business_name: str
    business_type: str
    is_income: bool
    amount_fen: int
    balance_fen: int
    applicant: str
    remark: str
    voucher_no: str

    @classmethod
    def parse(cls, line: Mapping[str, str]) -> Self:
        way = line["收支类型"]
        if way not in {"收入", "支出"}:
            raise WeChatBillWrong(said="neither income nor expense")
        return cls(
            at=shop_moment(line["记账时间"]),
            business_id=line["微信支付业务单号"],
            flow_id=line["资金流水单号"],
            business_name=line["业务名称"],
            business_type=line["业务类型"],
            is_income=way == "收入",
            amount_fen=fen_of(line["收支金额(元)"]),
            balance_fen=fen_of(line["账户结余(元)"]),
            applicant=line["资金变更提交申请人"],
            remark=line["备注"],
            voucher_no=line["业务凭证号"],
        )

    def sums(self) -> Mapping[str, int | Decimal]:
        way = "收入" if self.is_income else "支出"
        return {f"{way}笔数": 1, f"{way}金额": self.amount_fen}


def exact_fen_of(text: str) -> Decimal:
    """Yuan → fen with all the decimals; nothing is 0. Raises `WeChatBillWrong`."""
    if not text:
        return Decimal(0)
    if not _AMOUNT.fullmatch(text):
        raise WeChatBillWrong(said="not an amount")
    return Decimal(text).scaleb(2)


def fen_of(text: str) -> int:
    """Yuan → fen, by integers alone. Raises `WeChatBillWrong` for a part of a fen."""
    if text in {"", "0", "0.00"}:
        return 0
    found = _AMOUNT.fullmatch(text)
    if found is None:
        raise WeChatBillWrong(said="not an amount")
    sign, yuan, decimals = found.groups(default="")
    cents, rest = decimals[:2].ljust(2, "0"), decimals[2:]
    if rest.strip("0"):
        raise WeChatBillWrong(said="a part of a fen")
    fen = int(yuan) * 100 + int(cents)
    return -fen if sign else fen


def shop_moment(text: str) -> datetime:
    """`2026-11-24 20:00:00` of Beijing → aware time. Raises `WeChatBillWrong`."""
    if not _MOMENT.fullmatch(text):
        raise WeChatBillWrong(said="not a time")
    try:
        return datetime.fromisoformat(text).replace(tzinfo=clock.SHOP_ZONE)
    except ValueError as error:
        raise WeChatBillWrong(said="not a time") from error


def _number(text: str) -> str:
    """A refund's number; the file says 0 where there is none."""
    return "" if text == "0" else text
