"""The audit trail and its chain refuse TRUNCATE too; a trigger for rows does not see it."""

from django.db import migrations

REFUSE = """
CREATE TRIGGER audit_untruncated BEFORE TRUNCATE ON accounts_auditevent
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_change();
CREATE TRIGGER audit_link_untruncated BEFORE TRUNCATE ON accounts_auditlink
  FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_change();
"""
ALLOW = """
DROP TRIGGER audit_untruncated ON accounts_auditevent;
DROP TRIGGER audit_link_untruncated ON accounts_auditlink;
"""


class Migration(migrations.Migration):
    dependencies = [("accounts", "0010_sessions_under_a_digest")]
    operations = [migrations.RunSQL(REFUSE, ALLOW)]
