from django.contrib import admin

from .models import Message, Presence


@admin.register(Message)
class MessageAdmin(admin.ModelAdmin):
    list_display = ["room", "author", "text", "created"]
    list_filter = ["room"]
    search_fields = ["author", "text"]
    date_hierarchy = "created"


@admin.register(Presence)
class PresenceAdmin(admin.ModelAdmin):
    list_display = ["room", "name", "since", "seen"]
    list_filter = ["room"]
