"""X03: what the platform's bill shows equals our payments and refunds.

Checked over the stored bills of days that are done. A person's word on a difference counts; one
that is still open does not agree, whoever knows of it.
"""

from django.db.backends.utils import CursorWrapper
from django.utils.translation import gettext_lazy as _

from kernel import audit

# A refund's state is frozen in the bill: ours may have gone on since (`bill_rules`).
_GROWN = """
CASE
    WHEN b.status = 'SUCCESS' THEN r.status = 'succeeded'
    WHEN b.status = 'PROCESSING'
    THEN r.status IN ('requested', 'processing', 'abnormal', 'closed', 'succeeded')
    WHEN b.status IN ('ABNORMAL', 'FAIL', 'CHANGE')
    THEN r.status IN ('abnormal', 'closed', 'succeeded')
    WHEN b.status IN ('CLOSED', 'REFUNDCLOSE') THEN r.status = 'closed'
    ELSE false END
"""
_OFFENDING = f"""
WITH done AS (
    SELECT id, channel, date,
           (date::timestamp AT TIME ZONE 'Asia/Shanghai') AS starts,
           ((date + 1)::timestamp AT TIME ZONE 'Asia/Shanghai') AS ends
    FROM payments_reconciliation WHERE status = 'done'
), differing AS (
    SELECT d.id, b.kind AS subject, b.number, b.amount_fen AS bill_fen, b.status AS bill_status,
           p.amount_fen AS our_fen, p.status AS our_status
    FROM done d
    JOIN payments_billrow b ON b.reconciliation_id = d.id AND b.kind = 'payment'
    LEFT JOIN payments_payment p ON p.out_trade_no = b.number
    WHERE CASE WHEN b.status = 'SUCCESS'
               THEN p.id IS NULL OR p.status <> 'succeeded' OR p.amount_fen <> b.amount_fen
               ELSE p.id IS NULL OR p.status = 'succeeded' END
    UNION ALL
    SELECT d.id, b.kind, b.number, b.amount_fen, b.status, r.amount_fen, r.status
    FROM done d
    JOIN payments_billrow b ON b.reconciliation_id = d.id AND b.kind = 'refund'
    LEFT JOIN payments_refund r ON r.out_refund_no = b.number
    WHERE r.id IS NULL OR r.amount_fen <> b.amount_fen OR NOT {_GROWN}
    UNION ALL
    SELECT d.id, 'payment', p.out_trade_no, NULL, '', p.amount_fen, p.status
    FROM done d
    JOIN payments_payment p ON p.status = 'succeeded'
         AND p.success_at >= d.starts AND p.success_at < d.ends
         AND (p.channel = 'virtual') = (d.channel = 'virtual')
    WHERE NOT EXISTS (SELECT 1 FROM payments_billrow b
                      JOIN payments_reconciliation c ON c.id = b.reconciliation_id
                      WHERE b.number = p.out_trade_no AND b.kind = 'payment'
                        AND c.channel = d.channel)
    UNION ALL
    SELECT o.reconciliation_id, o.subject, o.number, o.theirs_fen, o.theirs_status, o.ours_fen,
           o.ours_status
    FROM payments_discrepancy o JOIN done d ON d.id = o.reconciliation_id
    WHERE o.state = 'open' AND (o.subject = 'fund'
                                OR o.subject = 'refund' AND o.kind = 'ours_only')
)
SELECT c.date, c.channel, x.subject, x.number, x.bill_fen, x.bill_status, x.our_fen, x.our_status
FROM differing x JOIN payments_reconciliation c ON c.id = x.id
WHERE NOT EXISTS (SELECT 1 FROM payments_discrepancy w
                  WHERE w.reconciliation_id = x.id AND w.subject = x.subject
                    AND w.number = x.number AND w.state = 'closed')
"""  # noqa: S608  (our own texts)
_LOOKED_AT = """
SELECT count(*) FROM payments_billrow b JOIN payments_reconciliation c ON c.id = b.reconciliation_id
WHERE c.status = 'done'
"""


@audit.invariant("X03", _("平台账单与我们的支付和退款一致"))
def bills_agree(cursor: CursorWrapper) -> audit.Found:
    return audit.rows_of(cursor, _OFFENDING, _LOOKED_AT)


audit.pending(
    "due_jobs",
    """SELECT count(*) FROM payments_reconciliation
       WHERE status IN ('due', 'fetched', 'matched') AND next_try_at <= %(now)s""",
)
