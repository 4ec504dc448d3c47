from django.contrib import admin

from .models import Message, Presence, PrivateRoom


@admin.register(PrivateRoom)
class PrivateRoomAdmin(admin.ModelAdmin):
    list_display = ["name", "owner", "key"]
    search_fields = ["name", "owner__username"]
    autocomplete_fields = ["owner", "members"]


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
