"""One page."""

from django.http import HttpRequest, HttpResponse
from django.urls import path


def page(request: HttpRequest) -> HttpResponse:
    """Answer like a page of any site."""
    return HttpResponse("Hello.")


urlpatterns = [path("", page)]
