from accounts.views import LogOut, SignUp
from django.contrib import admin
from django.contrib.auth.views import LoginView
from django.urls import path
from rooms import views

urlpatterns = [
    path("", views.lobby, name="lobby"),
    path("rooms/", views.open_private_room, name="open_private_room"),
    path("rooms/<slug:room>/members/", views.members, name="members"),
    path("rooms/<path:room>/", views.room, name="room"),
    path("signup/", SignUp.as_view(), name="signup"),
    path("login/", LoginView.as_view(template_name="accounts/login.html"), name="login"),
    path("logout/", LogOut.as_view(), name="logout"),
    path("admin/", admin.site.urls),
]
