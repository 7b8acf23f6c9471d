"""Bills of WeChat Pay (`wechat.md` D7): asked for, compared with their hash, read row by row."""

from wechat.pay_bills.fetching import fetch_bill
from wechat.pay_bills.reading import Bill, read_bill
from wechat.pay_bills.rows import FundRow, TradeRow

__all__ = ["Bill", "FundRow", "TradeRow", "fetch_bill", "read_bill"]
