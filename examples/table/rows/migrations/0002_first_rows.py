from typing import Any

from django.db import migrations


def add_rows(apps: Any, schema_editor: Any) -> None:
    row = apps.get_model("rows", "Row")
    for thing, amount in (("Bread", 2), ("Cheese", 1), ("Apples", 12)):
        row.objects.create(thing=thing, amount=amount)


class Migration(migrations.Migration):
    dependencies = [("rows", "0001_initial")]
    operations = [migrations.RunPython(add_rows, migrations.RunPython.noop)]
