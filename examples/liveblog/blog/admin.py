from django.contrib import admin

from .models import Blog, Post


@admin.register(Blog)
class BlogAdmin(admin.ModelAdmin):
    list_display = ["title", "slug"]
    prepopulated_fields = {"slug": ["title"]}


@admin.register(Post)
class PostAdmin(admin.ModelAdmin):
    list_display = ["text", "blog", "is_draft", "created"]
    list_filter = ["blog", "is_draft"]
    search_fields = ["text"]
