"""The clients that see a post, and the users that may write it."""

from typing import Any

from channels_classic.binding.websockets import WebsocketBinding

from .models import Blog, Post


def readers(slug: str) -> str:
    return f"blog-{slug}-readers"


def writers(slug: str) -> str:
    return f"blog-{slug}-writers"


class PostBinding(WebsocketBinding):
    model = Post
    stream = "posts"
    fields = ["text", "is_draft", "created"]

    @classmethod
    def group_names(cls, instance: Post) -> list[str]:
        # A draft that is published moves into the group of readers, who see it created then.
        slug = instance.blog.slug
        return [writers(slug)] if instance.is_draft else [writers(slug), readers(slug)]

    def has_permission(self, user: Any, action: str, pk: Any) -> bool:
        # self.kwargs come from the route, so each page writes in its own blog.
        on_page = action == "create" or Post.objects.filter(pk=pk, blog__slug=self.kwargs["slug"]).exists()
        return user.is_staff and on_page

    def new_instance(self) -> Post:
        return Post(blog=Blog.objects.get(slug=self.kwargs["slug"]))
