from django.apps import AppConfig


class RowsConfig(AppConfig):
    name = "rows"

    def ready(self) -> None:
        from . import bindings  # noqa: F401, a binding works where it has been imported: in each process
