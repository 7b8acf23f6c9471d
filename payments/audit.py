"""The invariants that payments answers for (`manage.py audit`, `invariants.md` section 1).

Each check is one statement that selects the offending rows, so it also finds what got past the
constraints. Everything is read in the audit's one snapshot. Large tables are aggregated first and
joined afterwards, so that each is read in one pass. A literal percent is written twice.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from django.db.backends.utils import CursorWrapper
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from kernel import audit
from payments.ledger import STORED

# Accounts that must have a row with their balance.
_STORED = ", ".join(f"'{prefix}%%'" for prefix in STORED)


@dataclass(frozen=True)
class Rule:
    title: str | Promise
    offending: str  # SELECT of rows that break the rule
    looked_at: str  # SELECT of how many rows were looked at


RULES: Mapping[str, Rule] = {
    "M01": Rule(
        _("每张凭证借贷相等，且至少两条分录"),
        """SELECT j.id, j.kind, j.ref, coalesce(e.sides, 0) AS sides, e.total
           FROM payments_journal j
           LEFT JOIN (SELECT journal_id, count(*) AS sides, sum(amount_fen) AS total
                      FROM payments_entry GROUP BY journal_id) e ON e.journal_id = j.id
           WHERE coalesce(e.sides, 0) < 2 OR e.total <> 0""",
        "SELECT count(*) FROM payments_journal",
    ),
    "M02": Rule(
        _("总账合计为零，分录必有凭证，证据表只增不改"),
        """SELECT 'ledger total' AS what, sum(amount_fen)::text AS value FROM payments_entry
           HAVING coalesce(sum(amount_fen), 0) <> 0
           UNION ALL
           SELECT CASE WHEN sum(entries) = 0 THEN 'empty journal' ELSE 'entry without journal' END,
                  journal_id::text
           FROM (SELECT id AS journal_id, 1 AS journals, 0 AS entries FROM payments_journal
                 UNION ALL SELECT journal_id, 0, 1 FROM payments_entry) AS sides
           GROUP BY journal_id HAVING sum(journals) = 0 OR sum(entries) = 0
           UNION ALL SELECT 'append-only trigger missing', w.name
           FROM (VALUES ('journal_append_only', 'payments_journal'),
                        ('entry_append_only', 'payments_entry'),
                        ('platform_event_append_only', 'payments_platformevent')) AS w(name, held)
           -- before each statement (2) that deletes (8), updates (16) or truncates (32)
           WHERE NOT EXISTS (SELECT 1 FROM pg_trigger t
                             WHERE t.tgname = w.name AND t.tgrelid = to_regclass(w.held)
                               AND t.tgenabled IN ('O', 'A') AND t.tgtype & 58 = 58)""",
        "SELECT count(*) FROM payments_entry",
    ),
    "M03": Rule(
        _("保存的余额等于其分录之和"),
        f"""WITH entries AS (
               SELECT account, sum(amount_fen) AS total FROM payments_entry GROUP BY account)
           SELECT a.code, a.balance_fen, coalesce(e.total, 0) AS entries_fen
           FROM payments_ledgeraccount a LEFT JOIN entries e ON e.account = a.code
           WHERE a.balance_fen <> coalesce(e.total, 0)
              OR (a.balance_fen < 0 AND NOT a.may_be_negative)
           UNION ALL
           SELECT e.account, NULL, e.total FROM entries e
           WHERE e.account LIKE ANY (ARRAY[{_STORED}])
             AND NOT EXISTS (SELECT 1 FROM payments_ledgeraccount a
                             WHERE a.code = e.account)""",  # noqa: S608  (our own texts)
        "SELECT count(*) FROM payments_ledgeraccount",
    ),
    "M04": Rule(
        _("一项业务事实只有一张凭证"),
        """SELECT kind, ref, count(*) AS journals FROM payments_journal
           GROUP BY kind, ref HAVING count(*) > 1""",
        "SELECT count(*) FROM payments_journal",
    ),
    "M05": Rule(
        _("到账与退款各有凭证，凭证各有其事"),
        """WITH booked AS (
               SELECT j.kind, j.ref, coalesce(e.fen, 0) AS fen
               FROM payments_journal j
               LEFT JOIN (SELECT journal_id, sum(amount_fen) AS fen FROM payments_entry
                          WHERE account LIKE 'cash:%%' GROUP BY journal_id) e
                    ON e.journal_id = j.id
               WHERE j.kind IN ('payment', 'refund', 'payout')),
           facts AS (
               SELECT 'payment' AS kind, out_trade_no AS ref, amount_fen::bigint AS fen
               FROM payments_payment WHERE status = 'succeeded'
               UNION ALL SELECT 'refund', out_refund_no, -amount_fen::bigint
               FROM payments_refund WHERE status = 'succeeded'
               UNION ALL SELECT 'payout', out_bill_no, -amount_fen::bigint
               FROM audit.payouts WHERE status = 'succeeded')
           SELECT coalesce(b.kind, f.kind) AS kind, coalesce(b.ref, f.ref) AS ref,
                  f.fen::text AS fact_fen, b.fen::text AS booked_fen
           FROM booked b FULL JOIN facts f ON f.kind = b.kind AND f.ref = b.ref
           WHERE b.fen IS DISTINCT FROM f.fen""",
        """SELECT (SELECT count(*) FROM payments_payment WHERE status = 'succeeded')
                + (SELECT count(*) FROM payments_refund WHERE status = 'succeeded')
                + (SELECT count(*) FROM audit.payouts WHERE status = 'succeeded')""",
    ),
    "O01": Rule(
        _("应付 = 总价 − 优惠 − 积分抵扣，且各行之和等于订单"),
        """SELECT o.no, o.total_fen, o.payable_fen, l.total_fen AS lines_total_fen,
                  l.payable_fen AS lines_payable_fen
           FROM payments_order o
           LEFT JOIN (SELECT order_id, sum(list_fen) AS total_fen,
                             sum(discount_fen) AS discount_fen, sum(points_value_fen)
                             AS points_value_fen, sum(payable_fen) AS payable_fen
                      FROM payments_orderline GROUP BY order_id) l ON l.order_id = o.id
           WHERE o.payable_fen <> o.total_fen - o.discount_fen - o.points_value_fen
              OR o.payable_fen < 0
              OR (o.total_fen, o.discount_fen, o.points_value_fen, o.payable_fen)
                 IS DISTINCT FROM
                 (l.total_fen, l.discount_fen, l.points_value_fen, l.payable_fen)""",
        "SELECT count(*) FROM payments_order",
    ),
    "O02": Rule(
        _("已支付订单恰有一笔等额的有效支付"),
        """SELECT o.no, o.status, o.payable_fen, coalesce(p.effective, 0) AS effective,
                  p.paid_fen::text AS paid_fen
           FROM payments_order o
           LEFT JOIN (SELECT order_id, count(*) AS effective, sum(amount_fen) AS paid_fen,
                             bool_and(status = 'succeeded') AS proven
                      FROM payments_payment WHERE effective GROUP BY order_id) p
                ON p.order_id = o.id
           WHERE CASE
               WHEN o.status IN ('paid', 'partially_refunded', 'refunded') AND o.payable_fen > 0
               THEN coalesce(p.effective, 0) <> 1 OR p.paid_fen <> o.payable_fen OR NOT p.proven
               ELSE p.effective > 0 END""",
        "SELECT count(*) FROM payments_order",
    ),
    "O03": Rule(
        _("未用于订单的款项全额退回一次，并注明原因"),
        """SELECT p.out_trade_no, p.amount_fen, count(r.id) AS refunds,
                  sum(r.amount_fen)::text AS refund_fen
           FROM payments_payment p
           LEFT JOIN payments_refund r ON r.payment_id = p.id
                AND r.status NOT IN ('closed', 'rejected')
                AND r.cause IN ('late_payment', 'duplicate_payment')
           WHERE p.status = 'succeeded' AND NOT p.effective
           GROUP BY p.id
           HAVING count(r.id) <> 1 OR sum(r.amount_fen) <> p.amount_fen""",
        """SELECT count(*) FROM payments_payment
           WHERE status = 'succeeded' AND NOT effective""",
    ),
    "O04": Rule(
        _("一个平台交易号只属于一笔支付"),
        """SELECT transaction_id, count(*) AS payments FROM payments_payment
           WHERE transaction_id IS NOT NULL GROUP BY transaction_id HAVING count(*) > 1""",
        "SELECT count(*) FROM payments_payment WHERE transaction_id IS NOT NULL",
    ),
    "R01": Rule(
        _("退款不超过支付，订单已退金额与退款一致"),
        """SELECT p.out_trade_no AS no, p.amount_fen, p.refunding_fen, p.refunded_fen
           FROM payments_payment p
           LEFT JOIN (SELECT payment_id,
                  sum(amount_fen) FILTER (WHERE status = 'succeeded') AS done,
                  sum(amount_fen) FILTER (
                      WHERE status IN ('requested', 'processing', 'abnormal')) AS under_way
                  FROM payments_refund GROUP BY payment_id) r ON r.payment_id = p.id
           WHERE p.refunding_fen + p.refunded_fen > p.amount_fen
              OR p.refunded_fen <> coalesce(r.done, 0)
              OR p.refunding_fen <> coalesce(r.under_way, 0)
           UNION ALL
           SELECT o.no, o.payable_fen, NULL, o.refunded_fen
           FROM payments_order o
           LEFT JOIN (SELECT order_id, sum(amount_fen) AS done FROM payments_refund
                      WHERE status = 'succeeded'
                        AND cause NOT IN ('late_payment', 'duplicate_payment')
                      GROUP BY order_id) r ON r.order_id = o.id
           LEFT JOIN (SELECT order_id, sum(refunded_fen) AS lines FROM payments_orderline
                      WHERE refunded_fen <> 0 GROUP BY order_id) l ON l.order_id = o.id
           WHERE o.refunded_fen <> coalesce(r.done, 0)
              OR o.refunded_fen <> coalesce(l.lines, 0)
           UNION ALL
           SELECT o.no || '/' || l.line_no, l.payable_fen, l.refunding_fen, l.refunded_fen
           FROM payments_orderline l
           JOIN payments_order o ON o.id = l.order_id
           LEFT JOIN (SELECT part.line_id,
                  sum(part.amount_fen) FILTER (WHERE r.status = 'succeeded') AS done,
                  sum(part.amount_fen) FILTER (
                      WHERE r.status IN ('requested', 'processing', 'abnormal')) AS under_way
                  FROM payments_refundline part
                  JOIN payments_refund r ON r.id = part.refund_id GROUP BY part.line_id) s
                ON s.line_id = l.id
           WHERE l.refunded_fen <> coalesce(s.done, 0)
              OR l.refunding_fen <> coalesce(s.under_way, 0)""",
        "SELECT (SELECT count(*) FROM payments_payment) + (SELECT count(*) FROM payments_order)",
    ),
    "R02": Rule(
        _("订单状态与退款一致"),
        """SELECT no, status, payable_fen, refunded_fen FROM payments_order
           WHERE CASE status
               WHEN 'refunded' THEN refunded_fen <> payable_fen
               WHEN 'partially_refunded'
               THEN refunded_fen = 0 OR refunded_fen >= payable_fen
               ELSE refunded_fen <> 0 END""",
        "SELECT count(*) FROM payments_order",
    ),
    "E01": Rule(
        _("已支付订单的每一行、每个权益恰有一条，随该行全额退款而收回"),
        """WITH rights AS (
               SELECT source_ref, user_id, scope, count(*) AS granted,
                      count(revoked_at) AS revoked
               FROM payments_entitlement WHERE source = 'order'
               GROUP BY source_ref, user_id, scope)
           SELECT o.no, l.line_no, l.scope, o.status, coalesce(e.granted, 0) AS entitlements,
                  coalesce(e.revoked, 0) AS revoked, l.payable_fen, l.refunded_fen
           FROM payments_order o
           JOIN payments_orderline l ON l.order_id = o.id AND l.scope <> ''
           LEFT JOIN rights e ON e.source_ref = o.no AND e.scope = l.scope
                AND e.user_id = o.user_id
           WHERE CASE
               WHEN o.status NOT IN ('paid', 'partially_refunded', 'refunded')
               THEN e.granted > 0
               WHEN o.status = 'refunded'
                    OR (l.payable_fen > 0 AND l.refunded_fen = l.payable_fen)
               THEN coalesce(e.granted, 0) <> 1 OR e.revoked <> 1
               ELSE coalesce(e.granted, 0) <> 1 OR e.revoked <> 0 END""",
        "SELECT count(*) FROM payments_orderline WHERE scope <> ''",
    ),
    "E02": Rule(
        _("每条权益都有来源"),
        """SELECT e.id, e.user_id, e.scope, e.source, e.source_ref
           FROM payments_entitlement e
           WHERE e.source = 'order' AND NOT EXISTS (
               SELECT 1 FROM payments_order o JOIN payments_orderline l ON l.order_id = o.id
               WHERE o.no = e.source_ref AND o.user_id = e.user_id AND l.scope = e.scope
                 AND o.paid_at IS NOT NULL)
           UNION ALL
           SELECT e.id, e.user_id, e.scope, e.source, e.source_ref
           FROM payments_entitlement e
           WHERE e.source = 'operator' AND btrim(e.reason) = ''
           UNION ALL
           SELECT e.id, e.user_id, e.scope, e.source, e.source_ref
           FROM payments_entitlement e
           WHERE e.source = 'subscription' AND NOT EXISTS (
               SELECT 1 FROM audit.periods p
               WHERE p.id = e.source_ref AND p.user_id = e.user_id::text)
           UNION ALL
           SELECT e.id, e.user_id, e.scope, e.source, e.source_ref
           FROM payments_entitlement e
           WHERE e.source NOT IN ('order', 'operator', 'subscription') AND NOT EXISTS (
               SELECT 1 FROM payments_effect f
               WHERE f.kind = e.source AND f.ref = e.source_ref)""",
        "SELECT count(*) FROM payments_entitlement",
    ),
    "X01": Rule(
        _("平台事件只存一次、每个业务键只生效一次，10 分钟内必有结果"),
        """SELECT 'stored twice' AS what, event_id AS ref FROM payments_platformevent
           GROUP BY source, event_id HAVING count(*) > 1
           UNION ALL SELECT 'two effects', kind || ' ' || business_key FROM payments_effect
           GROUP BY kind, business_key HAVING count(*) > 1
           UNION ALL SELECT 'unhandled', e.event_id FROM payments_platformevent e
           LEFT JOIN payments_eventhandling h ON h.event_id = e.id
           WHERE h.event_id IS NULL OR (h.state IN ('received', 'parked')
                 AND e.received_at < %(now)s - interval '10 minutes')
           UNION ALL SELECT 'no effect', h.kind || ' ' || h.business_key
           FROM payments_eventhandling h
           JOIN payments_platformevent e ON e.id = h.event_id
           WHERE h.state = 'done' AND e.event_type IN ('TRANSACTION.SUCCESS', 'REFUND.SUCCESS',
                                                      'xpay_goods_deliver_notify')
             AND NOT EXISTS (SELECT 1 FROM payments_effect f
                             WHERE f.kind = h.kind AND f.business_key = h.business_key)""",
        "SELECT count(*) FROM payments_platformevent",
    ),
    "T01": Rule(
        _("金额与积分列不用浮点数"),
        """SELECT table_name, column_name, data_type FROM information_schema.columns
           WHERE table_schema = 'public' AND column_name ~ '(_fen$|points|balance|amount|price)'
             AND data_type IN ('real', 'double precision', 'numeric', 'money')""",
        """SELECT count(*) FROM information_schema.columns
           WHERE table_schema = 'public'
             AND column_name ~ '(_fen$|points|balance|amount|price)'""",
    ),
}


def _register(id: str, rule: Rule) -> None:
    @audit.invariant(id, rule.title)
    def check(cursor: CursorWrapper) -> audit.Found:
        return audit.rows_of(cursor, rule.offending, rule.looked_at)


for _id, _rule in RULES.items():
    _register(_id, _rule)

audit.pending(
    "events",
    """SELECT count(*) FROM payments_eventhandling
       WHERE state IN ('received', 'parked') AND coalesce(due_at, %(now)s) <= %(now)s""",
)
audit.pending("dead", "SELECT count(*) FROM payments_eventhandling WHERE state = 'dead'")
audit.pending("due_jobs", "SELECT count(*) FROM payments_payment WHERE next_check_at <= %(now)s")
audit.pending("due_jobs", "SELECT count(*) FROM payments_refund WHERE next_check_at <= %(now)s")
audit.pending(
    "due_jobs",
    """SELECT count(*) FROM payments_order
       WHERE status = 'pending' AND next_sweep_at <= %(now)s""",
)
audit.pending(
    "due_jobs",
    "SELECT count(*) FROM payments_gift WHERE status = 'issued' AND next_sweep_at <= %(now)s",
)
audit.pending("due_jobs", "SELECT count(*) FROM payments_group WHERE next_sweep_at <= %(now)s")
audit.pending("due_jobs", "SELECT count(*) FROM payments_payment WHERE shipping_due_at <= %(now)s")
# We asked and had no answer: a number that the platform may or may not know. A prepared payment
# is an unpaid order, and of a refund under way the platform told us so: both are known.
audit.pending(
    "unknown_results",
    """SELECT count(*) FROM payments_payment
       WHERE status = 'created' AND next_check_at <= %(now)s""",
)
audit.pending(
    "unknown_results",
    """SELECT count(*) FROM payments_refund
       WHERE status = 'requested' AND checks > 0 AND next_check_at <= %(now)s""",
)
