"""Bills as files: the platform's form, its sums, and whatever else a file may be."""

import gzip
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wechat.errors import WeChatBillWrong
from wechat.pay_bills import FundRow, TradeRow, read_bill
from wechat.pay_bills.reading import sha1_of

TRADE_HEAD = (
    "交易时间,公众账号ID,商户号,特约商户号,设备号,微信订单号,商户订单号,用户标识,交易类型,交易状态,"
    "付款银行,货币种类,应结订单金额,代金券金额,微信退款单号,商户退款单号,退款金额,充值券退款金额,"
    "退款类型,退款状态,商品名称,商户数据包,手续费,费率,订单金额,申请退款金额,费率备注"
)
PAID = (
    "`2026-11-24 20:00:00,`wx1,`1900000001,`0,`,`4200000001,`no-1,`oA,`JSAPI,`SUCCESS,`OTHERS,`CNY,"
    "`95.00,`5.00,`0,`0,`0.00,`0.00,`,`,`《课程》,上册, 2026,`k=1,`0.57000,`0.60%,`100.00,`0.00,`"
)
BACK = (
    "`2026-11-24 21:30:00,`wx1,`1900000001,`0,`,`4200000001,`no-1,`oA,`JSAPI,`REFUND,`OTHERS,`CNY,"
    "`0.00,`0.00,`5030000001,`r-1,`9.50,`0.50,`ORIGINAL,`PROCESSING,`《课程》,`k=1,`-0.05712,`0.60%,"
    "`0.00,`10.00,`"
)
TRADE_SUMS = (
    "总交易单数,应结订单总金额,退款总金额,充值券退款总金额,手续费总金额,订单总金额,申请退款总金额"
)
TRADE_END = "`2,`95.00,`9.50,`0.50,`0.51288,`100.00,`10.00"
FUND_HEAD = (
    "记账时间,微信支付业务单号,资金流水单号,业务名称,业务类型,收支类型,收支金额(元),账户结余(元),"
    "资金变更提交申请人,备注,业务凭证号"
)
FUND = [
    "`2026-11-24 20:00:00,`4200000001,`flow-1,`交易,`交易,`收入,`100.00,`1100.00,"
    "`1900000001,`,`no-1",
    "`2026-11-24 20:00:01,`4200000001,`flow-2,`扣除交易手续费,`扣除交易手续费,`支出,`0.60,`1099.40,"
    "`1900000001,`,`no-1",
]
FUND_SUMS = "资金流水总笔数,收入笔数,收入金额,支出笔数,支出金额"
FUND_END = "`2,`1,`100.00,`1,`0.60"


def file_of(*lines, end="\r\n", bom=True):
    return (("\ufeff" if bom else "") + end.join([*lines, ""])).encode()


TRADE = file_of(TRADE_HEAD, PAID, BACK, TRADE_SUMS, TRADE_END)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(("end", "bom"), [("\r\n", True), ("\n", False)])
def test_a_days_payments_and_refunds_are_read(packed, end, bom):
    content = file_of(TRADE_HEAD, PAID, BACK, TRADE_SUMS, TRADE_END, end=end, bom=bom)

    bill = read_bill(gzip.compress(content) if packed else content, TradeRow)
    paid, back = bill

    assert bill.count == 2
    assert paid.at == datetime(2026, 11, 24, 12, tzinfo=UTC)
    assert (paid.out_trade_no, paid.transaction_id, paid.openid) == ("no-1", "4200000001", "oA")
    assert (paid.order_fen, paid.settled_fen, paid.coupon_fen) == (10000, 9500, 500)
    assert (paid.refund_id, paid.out_refund_no, paid.is_refund) == ("", "", False)
    assert (paid.fee_fen, paid.fee_exact_fen, paid.rate) == (57, Decimal("57.000"), "0.60%")
    assert (paid.trade_type, paid.currency, paid.attach) == ("JSAPI", "CNY", "k=1")
    assert back.is_refund
    assert (back.out_refund_no, back.refund_id, back.refund_status) == (
        "r-1", "5030000001", "PROCESSING",
    )  # fmt: skip
    assert (back.refund_fen, back.refund_coupon_fen, back.refund_asked_fen) == (950, 50, 1000)
    assert (back.fee_fen, back.fee_exact_fen) == (-6, Decimal("-5.712"))
    assert list(bill) == [paid, back]  # as often as one likes


def test_an_account_is_read_movement_by_movement():
    bill = read_bill(file_of(FUND_HEAD, *FUND, FUND_SUMS, FUND_END), FundRow)
    income, expense = bill

    assert (income.is_income, income.amount_fen, income.balance_fen) == (True, 10000, 110000)
    assert (expense.is_income, expense.amount_fen, expense.balance_fen) == (False, 60, 109940)
    assert (expense.business_type, expense.flow_id) == ("扣除交易手续费", "flow-2")
    assert (expense.voucher_no, expense.business_id) == ("no-1", "4200000001")


def test_columns_are_found_by_name_whatever_their_order():
    names = TRADE_HEAD.split(",")
    values = PAID.removeprefix("`").split(",`")
    head = ",".join(reversed(names)) + ",新列"
    line = "`" + ",`".join([*reversed(values), "x"])

    (paid,) = read_bill(
        file_of(head, line, TRADE_SUMS, "`1,`95.00,`0.00,`0.00,`0.57000,`100.00,`0.00"), TradeRow
    )

    assert (paid.out_trade_no, paid.order_fen) == ("no-1", 10000)


@pytest.mark.parametrize("fees", ["0.51288", "0.51"])
def test_the_sum_of_fees_may_be_told_with_two_decimals(fees):
    end = TRADE_END.replace("0.51288", fees)

    assert read_bill(file_of(TRADE_HEAD, PAID, BACK, TRADE_SUMS, end), TradeRow).count == 2


@pytest.mark.parametrize(
    "end",
    [
        TRADE_END.replace("`2", "`3"),
        TRADE_END.replace("95.00", "95.01"),
        TRADE_END.replace("9.50", "9.5001"),
        TRADE_END.replace("0.51288", "0.52"),
        TRADE_END.replace("`100.00", "`100.000001"),
        TRADE_END + ",`1",
        "",
    ],
)
def test_a_summary_that_does_not_agree_with_the_rows_is_wrong(end):
    with pytest.raises(WeChatBillWrong):
        read_bill(file_of(TRADE_HEAD, PAID, BACK, TRADE_SUMS, end), TradeRow)


def test_a_bill_that_lost_a_row_is_wrong():
    with pytest.raises(WeChatBillWrong):
        read_bill(file_of(TRADE_HEAD, PAID, TRADE_SUMS, TRADE_END), TradeRow)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x1f\x8b",
        b"\xff\xfe,\n",
        gzip.compress(TRADE, mtime=0)[:-9],
        gzip.compress(TRADE, mtime=0)[:60],
        b"x" * 100_000,
        file_of("<html>"),
        file_of(TRADE_HEAD),
        file_of(TRADE_HEAD, PAID),
        file_of(FUND_HEAD, *FUND, FUND_SUMS, FUND_END),
        file_of(TRADE_HEAD.replace("商户订单号,", ""), TRADE_SUMS, TRADE_END),
        file_of(TRADE_HEAD, PAID.replace("100.00", "100.001"), TRADE_SUMS, TRADE_END),
        file_of(TRADE_HEAD, PAID.replace("100.00", "1e2"), TRADE_SUMS, TRADE_END),
        file_of(TRADE_HEAD, PAID.replace("100.00", "１００"), TRADE_SUMS, TRADE_END),
        file_of(TRADE_HEAD, PAID.replace("20:00:00", "25:00:00"), TRADE_SUMS, TRADE_END),
        file_of(TRADE_HEAD, PAID.replace("《课程》", "《课,`程》"), TRADE_SUMS, TRADE_END),
        file_of(TRADE_HEAD, PAID, TRADE_SUMS.replace("总交易单数", "单数"), TRADE_END),
        file_of(TRADE_HEAD, PAID, BACK, TRADE_SUMS, TRADE_END, TRADE_END),
    ],
)
def test_a_file_that_is_no_bill_is_wrong(content):
    with pytest.raises(WeChatBillWrong):
        read_bill(content, TradeRow)


@given(st.binary(max_size=400))
def test_no_bytes_make_anything_but_a_refusal(content):
    with pytest.raises(WeChatBillWrong):
        read_bill(content, TradeRow)


def test_an_income_that_is_neither_in_nor_out_is_wrong():
    line = FUND[0].replace("收入", "其他")

    with pytest.raises(WeChatBillWrong):
        read_bill(file_of(FUND_HEAD, line, FUND_SUMS, "`1,`0,`0,`0,`0"), FundRow)


def test_the_hash_is_of_the_unpacked_file():
    # sha1("abc"), FIPS 180-2 appendix A.1
    right = "a9993e364706816aba3e25717850c26c9cd0d89d"

    assert sha1_of(b"abc") == right
    assert sha1_of(gzip.compress(b"abc")) == right
    assert sha1_of(gzip.compress(b"abc" * 99)[:-9]) == ""


def test_a_long_day_is_read_piece_by_piece():
    count = 3000  # some 700 KB: rows lie across the pieces that the file is unpacked in
    end = f"`{count},`{95 * count}.00,`0.00,`0.00,`{57 * count // 100}.00,`{100 * count}.00,`0.00"
    content = gzip.compress(file_of(TRADE_HEAD, *[PAID] * count, TRADE_SUMS, end))

    bill = read_bill(content, TradeRow)

    assert bill.count == count
    assert sum(row.order_fen for row in bill) == 10000 * count


def test_a_file_that_unpacks_without_end_is_stopped(monkeypatch):
    monkeypatch.setattr("wechat.pay_bills.reading._MAX_FILE", 1_000_000)

    assert sha1_of(gzip.compress(bytes(900_000))) != ""
    assert sha1_of(gzip.compress(bytes(3_000_000))) == ""
