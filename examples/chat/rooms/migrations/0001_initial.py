from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="Presence",
            fields=[
                (
                    "id",
                    models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID"),
                ),
                ("room", models.CharField(db_index=True, max_length=50)),
                ("reply_channel", models.CharField(max_length=100, unique=True)),
                ("name", models.CharField(max_length=30)),
                ("since", models.DateTimeField(auto_now_add=True)),
                ("seen", models.DateTimeField(db_index=True)),
            ],
            options={
                "verbose_name_plural": "presence",
            },
        ),
        migrations.CreateModel(
            name="Message",
            fields=[
                (
                    "id",
                    models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID"),
                ),
                ("room", models.CharField(max_length=50)),
                ("author", models.CharField(max_length=30)),
                ("text", models.TextField()),
                ("created", models.DateTimeField(auto_now_add=True)),
            ],
            options={
                "indexes": [models.Index(fields=["room", "id"], name="message_history")],
            },
        ),
    ]
