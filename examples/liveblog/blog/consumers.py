"""One socket for each page of a blog, with two streams: the present posts, and each change."""

from collections.abc import Callable
from typing import Any

from channels_classic.exceptions import DenyConnection
from channels_classic.generic.websockets import JsonWebsocketConsumer, WebsocketDemultiplexer
from channels_classic.message import Message
from channels_classic.security.websockets import allowed_hosts_only

from .bindings import PostBinding, readers, writers
from .models import Blog, Post

HISTORY_LENGTH = 100


class History(JsonWebsocketConsumer):
    """Sends the present posts in the form of changes."""

    def connect(self, message: Message, multiplexer: Any = None, slug: str = "", **kwargs: Any) -> None:
        posts = Post.objects.seen_by(message.user).filter(blog__slug=slug)[:HISTORY_LENGTH]
        binding = PostBinding()
        multiplexer.send([binding.serialize(post, "create") for post in posts])


class BlogSocket(WebsocketDemultiplexer):
    http_user = True
    strict_ordering = True
    consumers = {"posts": PostBinding.consumer, "history": History}

    def get_handler(self, message: Message, **kwargs: Any) -> Callable[..., Any]:
        handler = super().get_handler(message, **kwargs)
        # A browser sends the user's cookies for a page of any site, so only this site's pages may connect.
        return allowed_hosts_only(handler) if message.channel.name == "websocket.connect" else handler

    def connection_groups(self, **kwargs: Any) -> list[str]:
        # The socket joins these before the history is read, so that it misses no change in between.
        slug = kwargs["slug"]
        return [writers(slug) if self.message.user.is_staff else readers(slug)]

    def connect(self, message: Message, **kwargs: Any) -> None:
        if not Blog.objects.filter(slug=kwargs["slug"]).exists():
            raise DenyConnection
        super().connect(message, **kwargs)
