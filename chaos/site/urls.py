"""The URLs of the site: one page."""

from django.http import HttpRequest, HttpResponse
from django.urls import path


def page(request: HttpRequest) -> HttpResponse:
    """Answer like any page."""
    return HttpResponse("Hello.")


urlpatterns = [path("", page)]
