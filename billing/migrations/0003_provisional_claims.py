"""The doctors there are have had their 45 days: their numbers are claimed, the oldest licence first."""

from django.db import migrations

CLAIM = """
INSERT INTO accounts_provisionalclaim (number, licence_id, starts_on, ends_on)
SELECT DISTINCT ON (number) number, licence_id, starts_on, starts_on + 45
FROM (
    SELECT l.id AS licence_id, l.starts_on, unnest(ARRAY[p.ssin, left(p.nihii, 8)]) AS number
    FROM accounts_licence l JOIN practitioners_practitioner p ON p.user_id = l.user_id
) AS known
WHERE number <> ''
ORDER BY number, starts_on, licence_id
ON CONFLICT (number) DO NOTHING
"""


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0004_licences"),
        ("practitioners", "0001_initial"),
        ("billing", "0002_supervisor_lost_at"),
    ]

    operations = [migrations.RunSQL(CLAIM, migrations.RunSQL.noop)]
