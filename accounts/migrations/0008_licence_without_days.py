"""A licence may have no valid day. Those that began with days used up elsewhere are to be asked for; those
shortened begin with their own account.
"""

from django.db import migrations, models

REPAIR = """
UPDATE accounts_licence l
SET starts_on = c.day,
    ends_on = CASE WHEN l.ends_on >= c.day THEN l.ends_on END,
    state = CASE WHEN l.ends_on >= c.day OR l.state IN ('requested', 'invoiced') THEN l.state
            ELSE 'to_request' END
FROM (SELECT id, uuid, (created_at AT TIME ZONE 'Europe/Brussels')::date AS day FROM accounts_user) c
WHERE c.id = l.user_id AND l.state <> 'active' AND l.starts_on < c.day
  AND EXISTS (SELECT FROM accounts_auditevent e
              WHERE e.subject = c.uuid AND e.kind = 'account:licence:shortened')
"""


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0007_audit_chain'),
    ]

    operations = [
        migrations.AlterField(
            model_name='licence',
            name='ends_on',
            field=models.DateField(help_text='last valid day; null: none', null=True),
        ),
        migrations.AlterField(
            model_name='licence',
            name='state',
            field=models.CharField(choices=[('to_request', 'À demander'), ('provisional', 'Provisoire'), ('requested', 'Demandée'), ('invoiced', 'Facturée'), ('active', 'Active'), ('expired', 'Expirée')], default='provisional', max_length=12),
        ),
        migrations.RunSQL(REPAIR, migrations.RunSQL.noop),
        migrations.AddConstraint(
            model_name='licence',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('ends_on__isnull', False), models.Q(('state', 'to_request'), _negated=True)), models.Q(('ends_on', None), ('state__in', ['to_request', 'requested', 'invoiced'])), _connector='OR'), name='licence_without_days_is_asked_for'),
        ),
    ]
