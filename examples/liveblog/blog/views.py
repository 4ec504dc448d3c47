from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render

from .consumers import HISTORY_LENGTH
from .models import MAX_TEXT_LENGTH, Blog, Post


def blogs(request: HttpRequest) -> HttpResponse:
    return render(request, "blog/blogs.html", {"blogs": Blog.objects.order_by("title")})


def blog(request: HttpRequest, slug: str) -> HttpResponse:
    found = get_object_or_404(Blog, slug=slug)
    posts = Post.objects.seen_by(request.user).filter(blog=found)[:HISTORY_LENGTH]
    context = {"blog": found, "posts": posts, "max_text_length": MAX_TEXT_LENGTH}
    return render(request, "blog/blog.html", context)
