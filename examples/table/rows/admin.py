from django.contrib import admin

from .models import Row


@admin.register(Row)
class RowAdmin(admin.ModelAdmin):
    list_display = ["thing", "amount", "who", "is_packed"]
    list_editable = ["amount", "who", "is_packed"]
