"""Invariants of points and coupons (`P01` to `C02`)."""

from django.db.backends.utils import CursorWrapper
from django.utils.translation import gettext_lazy as _

from kernel.audit import Found, invariant, rows_of


@invariant("P01", _("积分：余额 = 流水之和 = 批次剩余之和，且均不为负"))
def points_add_up(cursor: CursorWrapper) -> Found:
    """Per user over all three tables, and per lot against its own entries."""
    return rows_of(
        cursor,
        """
        WITH entries AS (
            SELECT user_id, sum(delta) AS total FROM incentives_pointentry GROUP BY user_id
        ), lots AS (
            SELECT user_id, sum(remaining) AS total FROM incentives_pointlot GROUP BY user_id
        ), users AS (
            SELECT user_id FROM incentives_pointswallet
            UNION SELECT user_id FROM entries UNION SELECT user_id FROM lots
        )
        SELECT users.user_id, NULL::bigint AS lot_id, wallet.balance,
               COALESCE(entries.total, 0)::bigint AS entries,
               COALESCE(lots.total, 0)::bigint AS lots
        FROM users
        LEFT JOIN incentives_pointswallet wallet USING (user_id)
        LEFT JOIN entries USING (user_id)
        LEFT JOIN lots USING (user_id)
        WHERE COALESCE(wallet.balance, 0) <> COALESCE(entries.total, 0)
           OR COALESCE(wallet.balance, 0) <> COALESCE(lots.total, 0)
           OR wallet.balance < 0 OR wallet.shortfall < 0
        UNION ALL
        SELECT lot.user_id, lot.id, lot.remaining, COALESCE(sum(entry.delta), 0)::bigint,
               lot.granted
        FROM incentives_pointlot lot
        LEFT JOIN incentives_pointentry entry ON entry.lot_id = lot.id
        GROUP BY lot.id
        HAVING lot.remaining < 0 OR lot.remaining > lot.granted
            OR lot.remaining <> COALESCE(sum(entry.delta), 0)
            OR bool_or(entry.user_id <> lot.user_id)
        """,
        "SELECT count(*) FROM incentives_pointswallet",
    )


@invariant("P02", _("积分：同一用户、类型、业务单号与批次只有一条流水"))
def one_entry_per_fact(cursor: CursorWrapper) -> Found:
    return rows_of(
        cursor,
        """
        SELECT user_id, kind, ref, lot_id, count(*) AS entries
        FROM incentives_pointentry
        GROUP BY user_id, kind, ref, lot_id HAVING count(*) > 1
        """,
        "SELECT count(*) FROM incentives_pointentry",
    )


@invariant("P03", _("积分：订单存续期间只扣一次，订单终止后只退一次"))
def orders_hold_their_points(cursor: CursorWrapper) -> Found:
    """What an order holds by its entries, against what its status says it should hold.

    A dead order holds nothing, a pending or paid one exactly its points; of a refunded order some
    or all have come back, never more than it took.
    """
    return rows_of(
        cursor,
        """
        WITH held AS (
            SELECT order_no, user_id, -sum(delta) AS points
            FROM incentives_pointentry
            WHERE kind IN ('spend', 'spend_return') AND order_no <> ''
            GROUP BY order_no, user_id
        )
        SELECT COALESCE(ord.no, held.order_no) AS order_no, ord.status, ord.points_used,
               COALESCE(held.points, 0)::bigint AS held, held.user_id
        FROM payments_order ord
        FULL JOIN held ON held.order_no = ord.no
        WHERE (ord.points_used > 0 OR held.order_no IS NOT NULL) AND (
            ord.no IS NULL
            OR (held.user_id IS NOT NULL AND held.user_id <> ord.user_id)
            OR CASE
                WHEN ord.status IN ('pending', 'paid')
                    THEN COALESCE(held.points, 0) <> ord.points_used
                WHEN ord.status IN ('cancelled', 'closed') THEN COALESCE(held.points, 0) <> 0
                ELSE COALESCE(held.points, 0) NOT BETWEEN 0 AND ord.points_used
            END
        )
        """,
        "SELECT count(*) FROM payments_order WHERE points_used > 0",
    )


@invariant("C01", _("优惠券：张数预算、金额预算与每人限领从不超出"))
def budgets_hold(cursor: CursorWrapper) -> Found:
    """By the counters and by the coupons themselves."""
    return rows_of(
        cursor,
        """
        WITH made AS (
            SELECT template_id, count(*) AS coupons, sum(value_fen) AS fen
            FROM incentives_coupon GROUP BY template_id
        )
        SELECT template.id AS template_id, NULL::bigint AS user_id,
               COALESCE(made.coupons, 0) AS coupons, template.claimed_count AS counted,
               template.budget_count AS allowed
        FROM incentives_coupontemplate template
        LEFT JOIN made ON made.template_id = template.id
        WHERE template.claimed_count > template.budget_count
           OR template.claimed_fen > template.budget_fen
           OR COALESCE(made.coupons, 0) <> template.claimed_count
           OR COALESCE(made.fen, 0) <> template.claimed_fen
        UNION ALL
        SELECT coupon.template_id, coupon.user_id, count(*), counter.claimed, counter.allowed
        FROM incentives_coupon coupon
        LEFT JOIN incentives_templateuser counter
            ON counter.template_id = coupon.template_id AND counter.user_id = coupon.user_id
        GROUP BY coupon.template_id, coupon.user_id, counter.claimed, counter.allowed
        HAVING count(*) IS DISTINCT FROM counter.claimed OR counter.claimed > counter.allowed
        """,
        "SELECT count(*) FROM incentives_coupontemplate",
    )


@invariant("C02", _("优惠券：要么可用，要么被一个待支付订单占用，要么被一个已支付订单使用"))
def coupons_have_one_holder(cursor: CursorWrapper) -> Found:
    return rows_of(
        cursor,
        """
        SELECT coupon.id, coupon.status, coupon.order_no, ord.status AS order_status
        FROM incentives_coupon coupon
        LEFT JOIN payments_order ord ON ord.no = coupon.order_no
        WHERE (coupon.status = 'reserved'
               AND (ord.no IS NULL OR ord.coupon_id IS DISTINCT FROM coupon.id
                    OR ord.user_id <> coupon.user_id OR ord.status <> 'pending'))
           OR (coupon.status = 'redeemed'
               AND (ord.no IS NULL OR ord.coupon_id IS DISTINCT FROM coupon.id
                    OR ord.user_id <> coupon.user_id
                    OR ord.status NOT IN ('paid', 'partially_refunded', 'refunded')))
           OR (coupon.status NOT IN ('reserved', 'redeemed') AND coupon.order_no <> '')
           OR (coupon.status IN ('reserved', 'redeemed') AND coupon.order_no = '')
           OR coupon.order_no IN (
               SELECT order_no FROM incentives_coupon WHERE order_no <> ''
               GROUP BY order_no HAVING count(*) > 1)
        UNION ALL
        SELECT coupon.id, coupon.status, ord.no, ord.status
        FROM payments_order ord
        LEFT JOIN incentives_coupon coupon ON coupon.id = ord.coupon_id
        WHERE ord.coupon_id IS NOT NULL
          AND ord.status IN ('pending', 'paid', 'partially_refunded')
          AND coupon.order_no IS DISTINCT FROM ord.no
        """,
        "SELECT count(*) FROM incentives_coupon",
    )
