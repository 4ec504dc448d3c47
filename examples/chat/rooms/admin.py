from typing import Any

from django.contrib import admin

from .models import Message, Presence, PrivateRoom


@admin.register(PrivateRoom)
class PrivateRoomAdmin(admin.ModelAdmin):
    list_display = ["name", "owner", "key"]
    search_fields = ["name", "owner__username"]
    autocomplete_fields = ["owner", "members"]

    def save_related(self, request: Any, form: Any, formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)
        form.instance.members.add(form.instance.owner)


@admin.register(Message)
class MessageAdmin(admin.ModelAdmin):
    list_display = ["room", "author", "guest", "text", "created"]
    list_filter = ["guest", "room"]
    search_fields = ["author", "text"]
    date_hierarchy = "created"


@admin.register(Presence)
class PresenceAdmin(admin.ModelAdmin):
    list_display = ["room", "name", "user", "since", "seen"]
    list_filter = ["room"]
