-- What outside auditors read of the outbox (contract section 8). Ids are text.

CREATE VIEW audit.outbox AS
SELECT o.id::text AS id, o.kind::text AS kind, o.key::text AS key, o.state::text AS state,
       o.attempts, o.due_at
FROM kernel_outboxrow o;
