-- What outsiders may read of points and coupons, under stable names. Every id is text.

CREATE VIEW audit.points AS
SELECT user_id::text AS user_id, balance
FROM incentives_pointswallet;

CREATE VIEW audit.point_entries AS
SELECT id::text AS id, user_id::text AS user_id, lot_id::text AS lot_id, delta,
       kind::text AS kind, ref::text AS ref
FROM incentives_pointentry;

CREATE VIEW audit.point_lots AS
SELECT id::text AS id, user_id::text AS user_id, granted, remaining, expires_at
FROM incentives_pointlot;

CREATE VIEW audit.coupon_templates AS
SELECT id::text AS id, budget_count, budget_fen, per_user
FROM incentives_coupontemplate;

CREATE VIEW audit.coupons AS
SELECT id::text AS id, template_id::text AS template_id, user_id::text AS user_id,
       status::text AS status, NULLIF(order_no, '')::text AS order_no, value_fen
FROM incentives_coupon;
