"""A client that gets changes of books."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from channels_classic.binding.websockets import WebsocketBinding
from channels_classic.generic.websockets import WebsocketDemultiplexer
from channels_classic.test import WSClient, apply_routes
from tests.channels_classic.binding.library.models import Book


def bind(**attrs: Any) -> type[WebsocketBinding]:
    """Make a binding of books with these attributes. By default its group is that of the shelf, if there is
    one."""

    class BookBinding(WebsocketBinding):
        model = attrs.get("model", Book)
        stream = "books"
        fields = attrs.get("fields", ["title", "pages"]) if "exclude" not in attrs else None

        @classmethod
        def group_names(cls, instance: Any) -> Iterable[str]:
            return [] if instance.shelf_id is None else [f"shelf-{instance.shelf_id}"]

        def has_permission(self, user: Any, action: str, pk: Any) -> bool:
            return True

        locals().update({name: value for name, value in attrs.items() if name not in ("model", "fields")})

    return BookBinding


class Reader(WSClient):
    """A client that is in some groups."""

    def __init__(self, *groups: str) -> None:
        super().__init__()
        for group in groups:
            self.join_group(group)

    def told(self) -> list[Any]:
        """The payloads that have come since the last call, each as action, key and data."""
        payloads = []
        while (frame := self.receive()) is not None:
            payload = frame["payload"]
            payloads.append((payload["action"], payload["pk"], payload["data"]))
        return payloads

    def actions(self) -> list[str]:
        return [action for action, _, _ in self.told()]

    def ask(self, binding: type[WebsocketBinding], **payload: Any) -> Any:
        """Send a request. Returns the answer; ``None`` for success."""
        consumers = {"books": binding.consumer}
        with apply_routes([WebsocketDemultiplexer.as_route({"consumers": consumers, "http_user": True})]):
            self.send_and_consume("websocket.receive", text={"stream": "books", "payload": payload})
        answer = self.receive()
        return answer and answer["payload"]
