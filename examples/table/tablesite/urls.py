from django.contrib import admin
from django.urls import path
from rows import views

urlpatterns = [
    path("", views.table, name="table"),
    path("admin/", admin.site.urls),
]
