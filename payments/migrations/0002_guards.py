"""What constraints on one row can't say: journals balance, evidence is append-only.

`SET LOCAL kpay.purge = 'on'` opens evidence for redaction, purge and the flush of test databases.
"""

from django.db import migrations

FORWARD = """
CREATE FUNCTION payments_journal_balanced() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    checked bigint;
    sides bigint;
    total numeric;
BEGIN
    IF TG_TABLE_NAME = 'payments_journal' THEN
        checked := NEW.id;
    ELSIF TG_OP = 'DELETE' THEN
        checked := OLD.journal_id;
    ELSE
        checked := NEW.journal_id;
    END IF;
    PERFORM 1 FROM payments_journal WHERE id = checked;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    SELECT count(*), coalesce(sum(amount_fen), 0) INTO sides, total
        FROM payments_entry WHERE journal_id = checked;
    IF sides < 2 OR total <> 0 THEN
        RAISE EXCEPTION 'journal % has % entries that sum to %', checked, sides, total
            USING ERRCODE = 'check_violation', CONSTRAINT = TG_NAME;
    END IF;
    RETURN NULL;
END $$;

CREATE CONSTRAINT TRIGGER journal_balanced AFTER INSERT ON payments_journal
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION payments_journal_balanced();
CREATE CONSTRAINT TRIGGER entry_balanced AFTER INSERT OR UPDATE OR DELETE ON payments_entry
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION payments_journal_balanced();

CREATE FUNCTION payments_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF current_setting('kpay.purge', true) IS DISTINCT FROM 'on' THEN
        RAISE EXCEPTION '% is append-only: % refused', TG_TABLE_NAME, TG_OP
            USING ERRCODE = 'restrict_violation', CONSTRAINT = TG_NAME;
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER journal_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON payments_journal
    FOR EACH STATEMENT EXECUTE FUNCTION payments_append_only();
CREATE TRIGGER entry_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON payments_entry
    FOR EACH STATEMENT EXECUTE FUNCTION payments_append_only();
CREATE TRIGGER platform_event_append_only
    BEFORE UPDATE OR DELETE OR TRUNCATE ON payments_platformevent
    FOR EACH STATEMENT EXECUTE FUNCTION payments_append_only();
"""

BACKWARD = """
DROP TRIGGER platform_event_append_only ON payments_platformevent;
DROP TRIGGER entry_append_only ON payments_entry;
DROP TRIGGER journal_append_only ON payments_journal;
DROP FUNCTION payments_append_only();
DROP TRIGGER entry_balanced ON payments_entry;
DROP TRIGGER journal_balanced ON payments_journal;
DROP FUNCTION payments_journal_balanced();
"""


class Migration(migrations.Migration):
    dependencies = [("payments", "0001_initial")]
    operations = [migrations.RunSQL(FORWARD, BACKWARD)]
