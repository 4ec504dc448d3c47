import django.core.validators
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="Row",
            fields=[
                (
                    "id",
                    models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID"),
                ),
                ("thing", models.CharField(max_length=60)),
                (
                    "amount",
                    models.PositiveIntegerField(
                        default=1, validators=[django.core.validators.MaxValueValidator(999)]
                    ),
                ),
                ("who", models.CharField(blank=True, max_length=40)),
                ("is_packed", models.BooleanField(default=False, verbose_name="packed")),
            ],
            options={
                "ordering": ["id"],
            },
        ),
    ]
