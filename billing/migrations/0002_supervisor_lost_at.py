from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("billing", "0001_initial"),
    ]

    operations = [
        migrations.AddField(
            model_name="financialsettings",
            name="supervisor_lost_at",
            field=models.DateTimeField(null=True),
        ),
    ]
