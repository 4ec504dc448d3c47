"""Static files in development, for ``runserver`` (specification, section 9)."""

from __future__ import annotations

from urllib.parse import urlparse

from django.contrib.staticfiles.handlers import StaticFilesHandlerMixin
from django.contrib.staticfiles.views import serve
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from channels_classic.handler import AsgiHandler, ViewConsumer

__all__ = ["StaticFilesConsumer", "StaticFilesHandler"]


class StaticFilesHandler(StaticFilesHandlerMixin, AsgiHandler):
    """Serves what is under ``STATIC_URL`` from where the staticfiles app finds it, and the rest by views.

    As with Django's own ``runserver``, static files do not pass through the middleware, and a ``STATIC_URL``
    on another host is left alone.
    """

    def __init__(self) -> None:
        self.base_url = urlparse(self.get_base_url())
        super().__init__()

    def load_middleware(self, is_async: bool = False) -> None:
        """Load it: the mixin would not, as it leaves everything else to another handler."""
        AsgiHandler.load_middleware(self, is_async)

    def get_response(self, request: HttpRequest) -> HttpResponseBase:
        """The file, a page that says it is not there, or what a view makes."""
        if not self._should_handle(request.message["path"]):
            return AsgiHandler.get_response(self, request)
        response = super().get_response(request)
        response._resource_closers.append(request.close)
        return response

    def serve(self, request: HttpRequest) -> HttpResponseBase:
        """The file, for any value of ``DEBUG``: whoever uses this handler has decided to serve files.

        The path counts as the client sent it, and not below a script name, since ``STATIC_URL`` does so too.
        """
        return serve(request, self.file_path(request.message["path"]), insecure=True)


class StaticFilesConsumer(ViewConsumer):
    """The consumer for ``http.request`` in development: Django's views, and static files."""

    handler_class = StaticFilesHandler
