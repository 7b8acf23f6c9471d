"""Bills as a merchant fetches them: columns, amounts, days, hashes, links (D7, G15)."""

import json
from datetime import UTC, date, datetime, timedelta, timezone

import pytest
import requests

from tests.sandbox.bills import ask, fen, fetch, parsed

BEIJING = timezone(timedelta(hours=8))
TRADE_ALL = [
    "交易时间", "公众账号ID", "商户号", "特约商户号", "设备号", "微信订单号", "商户订单号",
    "用户标识", "交易类型", "交易状态", "付款银行", "货币种类", "应结订单金额", "代金券金额",
    "微信退款单号", "商户退款单号", "退款金额", "充值券退款金额", "退款类型", "退款状态",
    "商品名称", "商户数据包", "手续费", "费率", "订单金额", "申请退款金额", "费率备注",
]  # fmt: skip
FLOW = [
    "记账时间", "微信支付业务单号", "资金流水单号", "业务名称", "业务类型", "收支类型",
    "收支金额(元)", "账户结余(元)", "资金变更提交申请人", "备注", "业务凭证号",
]  # fmt: skip


def at_ten(day):
    """10:00 in Beijing on the day after."""
    return f"{date.fromisoformat(day) + timedelta(days=1)}T10:00:00+08:00"


@pytest.fixture
def yesterday(platform):
    """The day before this one in Beijing, its bill ready."""
    day = (datetime.now(BEIJING) - timedelta(days=1)).date().isoformat()
    platform.set_clock(at_ten(day))
    return day


@pytest.fixture
def seed(platform, yesterday):
    def put(*rows, day=yesterday):
        platform.seed_bill(day, list(rows))

    return put


def row(n, fen_, **more):
    number = f"K{n:07d}"
    return {"out_trade_no": number, "transaction_id": f"4200{n:024d}", "amount_fen": fen_, **more}


def test_a_trade_bill_shows_payment_and_refund_in_27_columns(platform, sdk, seed, yesterday, env):
    seed(
        row(
            1,
            9900,
            openid="oLiLei",
            attach="a,b",
            success_at=f"{yesterday}T08:30:05+08:00",
            refunds=[
                {
                    "out_refund_no": "R1",
                    "refund_id": "50300001",
                    "amount_fen": 1000,
                    "created_at": f"{yesterday}T20:00:00+08:00",
                }
            ],
        )
    )

    header, rows, summary = parsed(fetch(sdk, yesterday))

    assert header == TRADE_ALL
    # 0.6 % of 99.00 is 0.594, of 10.00 is 0.06: rounded to the fen.
    assert [list(r.values()) for r in rows] == [
        [
            f"{yesterday} 08:30:05", env["KPAY_WECHAT_MP_APPID"], env["KPAY_WECHAT_MCHID"], "0",
            "", "4200000000000000000000000001", "K0000001", "oLiLei", "JSAPI", "SUCCESS",
            "OTHERS", "CNY", "99.00", "0.00", "0", "0", "0.00", "0.00", "", "", "课程", "a,b",
            "0.59000", "0.60%", "99.00", "0.00", "",
        ],
        [
            f"{yesterday} 20:00:00", env["KPAY_WECHAT_MP_APPID"], env["KPAY_WECHAT_MCHID"], "0",
            "", "4200000000000000000000000001", "K0000001", "oLiLei", "JSAPI", "REFUND",
            "OTHERS", "CNY", "0.00", "0.00", "50300001", "R1", "10.00", "0.00", "ORIGINAL",
            "SUCCESS", "课程", "a,b", "-0.06000", "0.60%", "0.00", "10.00", "",
        ],
    ]  # fmt: skip
    assert summary == {
        "总交易单数": "2",
        "应结订单总金额": "99.00",
        "退款总金额": "10.00",
        "充值券退款总金额": "0.00",
        "手续费总金额": "0.53000",
        "订单总金额": "99.00",
        "申请退款总金额": "10.00",
    }


def test_the_success_bill_has_no_refund_columns_and_the_refund_bill_two_more(sdk, seed, yesterday):
    seed(row(1, 100, refunds=[{"out_refund_no": "R1", "amount_fen": 100, "status": "PROCESSING"}]))

    success = parsed(fetch(sdk, yesterday, variant="SUCCESS"))
    refund = parsed(fetch(sdk, yesterday, variant="REFUND"))

    refunds = set(TRADE_ALL[14:20]) | {"申请退款金额"}
    assert success[0] == [name for name in TRADE_ALL if name not in refunds]
    assert [r["商户订单号"] for r in success[1]] == ["K0000001"]
    assert refund[0] == [*TRADE_ALL[:14], "退款申请时间", "退款成功时间", *TRADE_ALL[14:]]
    [only] = refund[1]
    assert (only["商户退款单号"], only["退款状态"], only["退款成功时间"]) == (
        "R1",
        "PROCESSING",
        "",
    )


def test_the_fund_flow_runs_a_balance_over_income_fee_and_refund(sdk, seed, yesterday, env):
    seed(
        row(
            1,
            9900,
            success_at=f"{yesterday}T08:00:00+08:00",
            refunds=[
                {
                    "out_refund_no": "R1",
                    "refund_id": "50300001",
                    "amount_fen": 1000,
                    "created_at": f"{yesterday}T09:00:00+08:00",
                }
            ],
        )
    )

    header, rows, summary = parsed(fetch(sdk, yesterday, "fundflow"))

    assert header == FLOW
    # The account holds 10 000.00 before its first order.
    moves = [(r["业务类型"], r["收支类型"], r["收支金额(元)"], r["账户结余(元)"]) for r in rows]
    assert moves == [
        ("交易", "收入", "99.00", "10099.00"),
        ("扣除交易手续费", "支出", "0.59", "10098.41"),
        ("退款", "支出", "9.94", "10088.47"),
    ]
    assert [r["业务凭证号"] for r in rows] == ["K0000001", "K0000001", "R1"]
    assert rows[2]["微信支付业务单号"] == "50300001"
    assert rows[2]["备注"] == "退款总金额10.00元;含手续费0.06元"
    assert rows[2]["资金变更提交申请人"] == f"{env['KPAY_WECHAT_MCHID']}API"
    assert list(summary.values()) == ["3", "1", "99.00", "2", "10.53"]


def test_a_day_opens_with_the_balance_that_the_day_before_left(platform, sdk, yesterday):
    before = (date.fromisoformat(yesterday) - timedelta(days=1)).isoformat()
    platform.settings(opening_balance_fen=0, fee_rate_percent=1.0)
    platform.seed_bill(before, [row(1, 10000)])
    platform.seed_bill(yesterday, [row(2, 500)])

    rows = parsed(fetch(sdk, yesterday, "fundflow"))[1]

    assert [r["账户结余(元)"] for r in rows] == ["104.00", "103.95"]


def test_a_closed_refund_comes_back_into_the_account(sdk, seed, yesterday):
    seed(row(1, 100, refunds=[{"out_refund_no": "R1", "amount_fen": 100, "status": "CLOSED"}]))

    rows = parsed(fetch(sdk, yesterday, "fundflow"))[1]

    signs = [(r["业务类型"], r["收支类型"], r["收支金额(元)"]) for r in rows]
    assert signs[-2:] == [("退款", "支出", "0.99"), ("退款", "收入", "0.99")]


def test_gzip_changes_the_bytes_sent_and_not_the_hash(sdk, seed, yesterday):
    seed(row(1, 100))

    plain, packed = ask(sdk, yesterday)[1], ask(sdk, yesterday, tar_type="GZIP")[1]

    assert plain["hash_value"] == packed["hash_value"]
    assert fetch(sdk, yesterday, tar_type="GZIP") == fetch(sdk, yesterday)
    assert sdk.download_bill(packed["download_url"])[1][:2] == b"\x1f\x8b"
    status, reply = ask(sdk, yesterday, tar_type="ZIP")
    assert (status, reply["code"]) == (400, "PARAM_ERROR")


def test_a_bill_may_start_with_a_byte_order_mark(platform, sdk, seed, yesterday):
    seed(row(1, 100))
    platform.settings(bill_bom=True)

    assert fetch(sdk, yesterday).startswith("\ufeff交易时间,")


def test_the_file_comes_from_the_same_host_signed_for_and_unsigned_itself(
    sdk, seed, yesterday, running, signed
):
    seed(row(1, 100))
    url = ask(sdk, yesterday)[1]["download_url"]

    unsigned_for = requests.get(url, headers={"Accept": "*/*"}, timeout=5)
    fetched = signed("GET", url.removeprefix(running.base_url))

    assert url.startswith(running.base_url + "/")
    assert (unsigned_for.status_code, unsigned_for.json()["code"]) == (401, "SIGN_ERROR")
    assert fetched.content.startswith("交易时间,".encode())
    assert not [name for name in fetched.headers if name.lower().startswith("wechatpay")]


def test_a_link_lives_five_minutes(platform, sdk, seed, yesterday):
    seed(row(1, 100))
    url = ask(sdk, yesterday)[1]["download_url"]

    platform.advance(290)
    early = sdk.download_bill(url)[0]
    platform.advance(20)
    late = sdk.download_bill(url)

    assert early == 200
    assert late[0] == 400
    assert json.loads(late[1])["code"] == "INVALID_REQUEST"
    assert sdk.download_bill(url + "x")[0] == 400


def test_before_ten_the_bill_of_yesterday_is_being_made(platform, sdk, seed, yesterday):
    seed(row(1, 100))
    platform.set_clock(at_ten(yesterday).replace("T10:00:00", "T09:59:57"))

    status, reply = ask(sdk, yesterday)
    assert (status, reply["code"]) == (400, "STATEMENT_CREATING")
    assert ask(sdk, yesterday, "fundflow")[1]["code"] == "STATEMENT_CREATING"

    platform.set_clock(at_ten(yesterday))
    assert ask(sdk, yesterday)[0] == 200


def test_a_day_without_trade_has_no_statement(sdk, seed, yesterday):
    assert ask(sdk, yesterday) == (
        400,
        {"code": "NO_STATEMENT_EXIST", "message": "账单文件不存在，请检查该日是否有交易"},
    )
    seed(row(1, 100))
    assert ask(sdk, yesterday)[0] == 200
    assert ask(sdk, yesterday, variant="REFUND")[1]["code"] == "NO_STATEMENT_EXIST"
    assert ask(sdk, yesterday, "fundflow", "OPERATION")[1]["code"] == "NO_STATEMENT_EXIST"


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("bill_date=", "PARAM_ERROR"),
        ("bill_date=20260101", "PARAM_ERROR"),
        ("bill_date=2026-02-30", "PARAM_ERROR"),
        ("bill_date=2026-2-3", "PARAM_ERROR"),
        ("bill_date=2020-01-01", "INVALID_REQUEST"),
        ("bill_date=2099-01-01", "INVALID_REQUEST"),
        ("bill_date=2026-01-01&bill_type=ALLES", "PARAM_ERROR"),
    ],
)
def test_dates_that_have_no_bill_are_refused(platform, sdk, query, code):
    status, text = sdk._core.request(f"/v3/bill/tradebill?{query}")

    assert (status, json.loads(text)["code"]) == (400, code)


def test_three_months_back_and_no_day_further(platform, sdk):
    platform.set_clock("2027-05-31T12:00:00+08:00")
    platform.seed_bill("2027-02-28", [row(1, 100)])
    platform.seed_bill("2027-02-27", [row(2, 100)])

    assert ask(sdk, "2027-02-28")[0] == 200
    assert ask(sdk, "2027-02-27")[1]["code"] == "INVALID_REQUEST"
    assert ask(sdk, "2027-05-31")[1]["code"] == "INVALID_REQUEST"
    assert ask(sdk, "2027-05-30")[1]["code"] == "NO_STATEMENT_EXIST"


def test_days_begin_and_end_at_midnight_in_beijing(platform, sdk, yesterday):
    midnight = datetime.combine(date.fromisoformat(yesterday), datetime.min.time(), BEIJING)
    before = (midnight - timedelta(days=1)).date().isoformat()
    as_utc = [moment.astimezone(UTC) for moment in (midnight - timedelta(seconds=1), midnight)]
    platform.seed_bill(before, [row(1, 100, success_at=as_utc[0].isoformat())])
    platform.seed_bill(yesterday, [row(2, 200, success_at=as_utc[1].isoformat())])

    first, second = parsed(fetch(sdk, before))[1], parsed(fetch(sdk, yesterday))[1]

    assert [(r["商户订单号"], r["交易时间"]) for r in first] == [("K0000001", f"{before} 23:59:59")]
    assert [(r["商户订单号"], r["交易时间"]) for r in second] == [
        ("K0000002", f"{yesterday} 00:00:00")
    ]


def test_what_was_paid_and_refunded_over_the_api_is_in_the_bill_of_its_day(
    platform, sdk, prepaid, receiver
):
    number = prepaid(total_fen=9900)
    platform.pay(number)
    platform.settings(hold_refunds=True)
    sdk.refund("R1", {"refund": 100, "total": 9900, "currency": "CNY"}, out_trade_no=number)
    order = json.loads(sdk.query(out_trade_no=number)[1])
    day = order["success_time"][:10]
    platform.set_clock(at_ten(day))

    payment, refund = parsed(fetch(sdk, day))[1]

    assert payment["微信订单号"] == order["transaction_id"]
    assert payment["交易时间"] == order["success_time"][:19].replace("T", " ")
    assert payment["用户标识"] == order["payer"]["openid"]
    assert fen(payment["订单金额"]) == 9900
    assert (refund["商户退款单号"], refund["退款状态"]) == ("R1", "PROCESSING")


def test_a_bill_is_made_once_and_then_stays_as_it_was(platform, sdk, seed, yesterday):
    seed(row(1, 100, refunds=[{"out_refund_no": "R1", "amount_fen": 40, "status": "PROCESSING"}]))
    first = fetch(sdk, yesterday)

    platform.settle_refund("R1")
    platform.seed_bill(yesterday, [row(2, 200)])

    assert json.loads(sdk.query_refund("R1")[1])["status"] == "SUCCESS"
    assert fetch(sdk, yesterday) == first
    assert len(parsed(fetch(sdk, yesterday, "fundflow"))[1]) == 3
    platform.forget_bill(yesterday)
    rows = parsed(fetch(sdk, yesterday))[1]
    assert [(r["商户订单号"], r["退款状态"]) for r in rows] == [
        ("K0000001", ""),
        ("K0000002", ""),
        ("K0000001", "SUCCESS"),
    ]


def test_coupons_lower_what_is_settled_only_when_the_merchant_gave_them(sdk, seed, yesterday):
    refund = {"amount_fen": 100}
    seed(
        row(1, 1000, payer_total_fen=900, refunds=[{"out_refund_no": "R1", **refund}]),
        row(
            2,
            1000,
            payer_total_fen=900,
            coupon_type="NOCASH",
            refunds=[{"out_refund_no": "R2", **refund}],
        ),
    )

    rows = parsed(fetch(sdk, yesterday))[1]

    columns = ("应结订单金额", "代金券金额", "退款金额", "充值券退款金额", "申请退款金额")
    by_number = {r["商户退款单号"] if r["退款状态"] else r["商户订单号"]: r for r in rows}
    assert {
        n: [by_number[n][c] for c in columns] for n in ("K0000001", "K0000002", "R1", "R2")
    } == {
        "K0000001": ["10.00", "1.00", "0.00", "0.00", "0.00"],
        "K0000002": ["9.00", "0.00", "0.00", "0.00", "0.00"],
        "R1": ["0.00", "0.00", "1.00", "0.10", "1.00"],
        "R2": ["0.00", "0.00", "0.90", "0.00", "1.00"],
    }


def test_commas_stay_and_line_breaks_become_blanks_inside_a_value(sdk, seed, yesterday):
    seed(row(1, 100, description="课程，上,下\n卷", attach='{"a":1,"b":2}'))

    [only] = parsed(fetch(sdk, yesterday))[1]

    assert (only["商品名称"], only["商户数据包"]) == ("课程，上,下 卷", '{"a":1,"b":2}')


def test_a_day_of_two_thousand_orders_adds_up(platform, sdk, seed, yesterday):
    seed(
        *[
            row(n, 100 + n, refunds=[{"out_refund_no": f"R{n}", "amount_fen": 1}] if n % 10 else [])
            for n in range(2000)
        ]
    )

    _, rows, summary = parsed(fetch(sdk, yesterday, tar_type="GZIP"))

    assert len(rows) == 3800
    assert summary["总交易单数"] == "3800"
    assert fen(summary["订单总金额"]) == sum(100 + n for n in range(2000))
    assert json.loads(sdk.query(out_trade_no="K0001999")[1])["amount"]["total"] == 2099
    assert json.loads(sdk.query(transaction_id=f"4200{1999:024d}")[1])["trade_state"] == "REFUND"
    assert json.loads(sdk.query_refund("R1999")[1])["status"] == "SUCCESS"
