"""A table for everybody who knows its address: all clients see each row, and may change it."""

from typing import Any

from channels_classic.binding.websockets import WebsocketBinding

from .models import MOST_ROWS, Row

GROUP = "table"


class RowBinding(WebsocketBinding):
    model = Row
    stream = "rows"
    fields = ["thing", "amount", "who", "is_packed"]

    @classmethod
    def group_names(cls, instance: Row) -> list[str]:
        return [GROUP]

    def has_permission(self, user: Any, action: str, pk: Any) -> bool:
        # Everybody may add rows, so their number is bounded.
        return action != "create" or Row.objects.count() < MOST_ROWS
