"""An event of the audit trail may be deleted once its retention is over and a mark of it is written, not before.

The clock is the database's. The mark is signed by a key that the database does not hold: whoever writes a false
one can delete what is past its retention, and `verify_audit` names it.
"""

from django.db import migrations, models

REFUSE = """
CREATE FUNCTION audit_kept(kind text) RETURNS interval LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE WHEN kind ~ '^(ehealth|platform):' THEN interval '10 years' ELSE interval '2 years' END
$$;
CREATE FUNCTION refuse_early_audit_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'DELETE' THEN
    IF OLD.at < now() - audit_kept(OLD.kind)
       AND EXISTS (SELECT FROM accounts_auditpruned WHERE event = OLD.id) THEN
      RETURN OLD;
    END IF;
  END IF;
  RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
END $$;
DROP TRIGGER audit_append_only ON accounts_auditevent;
CREATE TRIGGER audit_append_only BEFORE UPDATE OR DELETE ON accounts_auditevent
  FOR EACH ROW EXECUTE FUNCTION refuse_early_audit_change();
CREATE TRIGGER audit_pruned_append_only BEFORE UPDATE OR DELETE ON accounts_auditpruned
  FOR EACH ROW EXECUTE FUNCTION refuse_audit_change();
CREATE TRIGGER audit_pruned_untruncated BEFORE TRUNCATE ON accounts_auditpruned
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_change();
"""
ALLOW = """
DROP TRIGGER audit_pruned_untruncated ON accounts_auditpruned;
DROP TRIGGER audit_pruned_append_only ON accounts_auditpruned;
DROP TRIGGER audit_append_only ON accounts_auditevent;
CREATE TRIGGER audit_append_only BEFORE UPDATE OR DELETE ON accounts_auditevent
  FOR EACH ROW EXECUTE FUNCTION refuse_audit_change();
DROP FUNCTION refuse_early_audit_change();
DROP FUNCTION audit_kept(text);
"""


class Migration(migrations.Migration):
    dependencies = [("accounts", "0011_audit_untruncated")]
    operations = [
        migrations.CreateModel(
            name="AuditPruned",
            fields=[
                ("event", models.BigIntegerField(primary_key=True, serialize=False)),
                ("key_name", models.CharField(max_length=32)),
                ("code", models.BinaryField()),
            ],
        ),
        migrations.RunSQL(REFUSE, ALLOW),
    ]
