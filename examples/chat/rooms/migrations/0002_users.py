import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

import rooms.models


class Migration(migrations.Migration):
    dependencies = [
        ("rooms", "0001_initial"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddField("message", "guest", models.BooleanField(db_default=True)),
        migrations.AlterField("message", "author", models.CharField(max_length=150)),
        migrations.AddField(
            "presence",
            "user",
            models.ForeignKey(settings.AUTH_USER_MODEL, django.db.models.deletion.CASCADE, null=True),
        ),
        migrations.AlterField("presence", "name", models.CharField(max_length=150)),
        migrations.CreateModel(
            name="PrivateRoom",
            fields=[
                (
                    "id",
                    models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID"),
                ),
                (
                    "key",
                    models.CharField(default=rooms.models.new_key, editable=False, max_length=50, unique=True),
                ),
                ("name", models.CharField(max_length=50)),
                (
                    "owner",
                    models.ForeignKey(
                        settings.AUTH_USER_MODEL, django.db.models.deletion.CASCADE, related_name="owned_rooms"
                    ),
                ),
                ("members", models.ManyToManyField(settings.AUTH_USER_MODEL, related_name="private_rooms")),
            ],
        ),
    ]
