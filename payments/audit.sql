-- What outside auditors read (contract section 8). Ids are text. Run after every migrate.

CREATE VIEW audit.orders AS
SELECT o.no::text AS order_no, o.user_id::text AS user_id, o.status::text AS status, o.created_at,
       o.paid_at, o.total_fen, o.discount_fen, o.points_used, o.points_value_fen, o.payable_fen,
       o.refunded_fen, o.coupon_id::text AS coupon_id
FROM payments_order o;

CREATE VIEW audit.order_lines AS
SELECT o.no::text AS order_no, l.line_no, l.product_id::text AS product_id, l.scope::text AS scope,
       l.payable_fen, l.refunded_fen
FROM payments_orderline l JOIN payments_order o ON o.id = l.order_id;

CREATE VIEW audit.payments AS
SELECT p.out_trade_no::text AS out_trade_no, o.no::text AS order_no, p.channel::text AS channel,
       p.status::text AS status, p.amount_fen, p.transaction_id::text AS transaction_id,
       p.success_at
FROM payments_payment p JOIN payments_order o ON o.id = p.order_id;

CREATE VIEW audit.refunds AS
SELECT r.out_refund_no::text AS out_refund_no, p.out_trade_no::text AS out_trade_no,
       o.no::text AS order_no, r.status::text AS status, r.amount_fen, r.cause::text AS cause
FROM payments_refund r
JOIN payments_payment p ON p.id = r.payment_id
JOIN payments_order o ON o.id = r.order_id;

CREATE VIEW audit.entitlements AS
SELECT e.id::text AS id, e.user_id::text AS user_id, e.scope::text AS scope,
       e.source::text AS source, e.source_ref::text AS source_ref, e.valid_from, e.valid_until,
       e.revoked_at
FROM payments_entitlement e;

CREATE VIEW audit.journals AS
SELECT j.id::text AS id, j.kind::text AS kind, j.ref::text AS ref, j.posted_at
FROM payments_journal j;

CREATE VIEW audit.entries AS
SELECT e.journal_id::text AS journal_id, e.account::text AS account, e.amount_fen
FROM payments_entry e;

CREATE VIEW audit.accounts AS
SELECT a.code::text AS account, a.balance_fen, a.may_be_negative
FROM payments_ledgeraccount a;

CREATE VIEW audit.events AS
SELECT e.source::text AS source, e.event_id::text AS event_id, h.kind::text AS kind,
       h.business_key::text AS business_key, coalesce(h.state, 'received')::text AS state,
       coalesce(h.attempts, 0)::integer AS attempts, e.received_at, h.done_at
FROM payments_platformevent e LEFT JOIN payments_eventhandling h ON h.event_id = e.id;

CREATE VIEW audit.effects AS
SELECT f.kind::text AS kind, f.business_key::text AS business_key, f.ref::text AS ref
FROM payments_effect f;
