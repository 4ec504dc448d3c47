from typing import Any

from django.db import migrations


def add_blog(apps: Any, schema_editor: Any) -> None:
    apps.get_model("blog", "Blog").objects.create(slug="today", title="What happens today")


class Migration(migrations.Migration):
    dependencies = [("blog", "0001_initial")]
    operations = [migrations.RunPython(add_blog, migrations.RunPython.noop)]
