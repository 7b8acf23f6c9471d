-- Views of contract section 8 whose tables do not exist yet: empty, not absent. Run after the
-- apps' own audit.sql; a part that arrives brings its view and takes it out of here.

CREATE VIEW audit.subscriptions AS
SELECT NULL::text AS id, NULL::text AS user_id, NULL::text AS plan_id, NULL::text AS status,
       NULL::text AS contract_id WHERE false;

CREATE VIEW audit.periods AS
SELECT NULL::text AS id, NULL::text AS subscription_id, NULL::text AS user_id,
       NULL::text AS plan_id, NULL::timestamptz AS starts_at, NULL::timestamptz AS ends_at,
       NULL::text AS source_ref, NULL::timestamptz AS voided_at WHERE false;

CREATE VIEW audit.deductions AS
SELECT NULL::text AS out_trade_no, NULL::text AS subscription_id, NULL::bigint AS amount_fen,
       NULL::bigint AS noticed_fen, NULL::timestamptz AS noticed_at,
       NULL::timestamptz AS requested_at, NULL::text AS status WHERE false;

CREATE VIEW audit.payouts AS
SELECT NULL::text AS out_bill_no, NULL::text AS creator_id, NULL::bigint AS amount_fen,
       NULL::text AS status WHERE false;

CREATE VIEW audit.erasures AS
SELECT NULL::text AS user_id, NULL::timestamptz AS requested_at, NULL::timestamptz AS done_at
WHERE false;
