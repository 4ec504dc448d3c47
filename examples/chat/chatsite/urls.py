from django.contrib import admin
from django.urls import path
from rooms import views

urlpatterns = [
    path("", views.lobby, name="lobby"),
    path("rooms/<path:room>/", views.room, name="room"),
    path("admin/", admin.site.urls),
]
