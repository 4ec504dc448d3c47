"""Makes the table of delayed messages, with the name that it had in Channels 1, unless it exists already."""

from django.db import migrations, models


class Migration(migrations.Migration):
    """Makes the table of delayed messages."""

    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="DelayedMessage",
            fields=[
                ("id", models.AutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("due_date", models.DateTimeField(db_index=True)),
                ("channel_name", models.CharField(max_length=512)),
                ("content", models.TextField()),
            ],
        ),
    ]
