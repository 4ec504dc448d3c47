"""Marks the messages that a delay server is sending, so that a killed one loses none."""

from django.db import migrations, models


class Migration(migrations.Migration):
    """Adds a column that servers of Channels 1 need not know."""

    dependencies = [("delay", "0001_initial")]

    operations = [
        migrations.AddField(
            model_name="delayedmessage",
            name="sending_since",
            field=models.DateTimeField(blank=True, db_index=True, editable=False, null=True),
        ),
    ]
