"""Static files in development (specification, section 9)."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlparse

from django.apps import apps
from django.conf import settings
from django.contrib.staticfiles.handlers import StaticFilesHandlerMixin
from django.contrib.staticfiles.views import serve
from django.core.handlers.exception import convert_exception_to_response

from channels_classic.http.consumer import ViewConsumer
from channels_classic.http.handler import AsgiHandler
from channels_classic.http.request import AsgiRequest


class StaticFilesHandler(StaticFilesHandlerMixin, AsgiHandler):
    """Serves the files of the staticfiles app under ``STATIC_URL``, and all other paths with views.

    As with Django's own ``runserver``, static files do not pass through the middleware, and a ``STATIC_URL``
    on another host is left alone.
    """

    def __init__(self) -> None:
        self.base_url = urlparse(self.get_base_url())
        super().__init__()

    def load_middleware(self, is_async: bool = False) -> None:
        """Load the middleware. The mixin would not, because it leaves the views to another handler."""
        AsgiHandler.load_middleware(self, is_async)

    def get_response(self, request: AsgiRequest) -> Any:  # type: ignore[override]
        """The file, an error page if it does not exist, or the response of a view."""
        # The full path, including the script name, because STATIC_URL includes it too.
        if not self._should_handle(request.message["path"]):
            return AsgiHandler.get_response(self, request)
        response: Any = convert_exception_to_response(self.serve)(request)  # type: ignore[arg-type]
        response._resource_closers.append(request.close)
        return response

    def serve(self, request: AsgiRequest) -> Any:  # type: ignore[override]
        """The file, with or without ``DEBUG``: a project that uses this handler has decided to serve files."""
        return serve(request, self.file_path(request.message["path"]), insecure=True)


class StaticFilesConsumer(ViewConsumer):
    """The consumer for ``http.request`` in development: Django's views, and static files."""

    handler_class = StaticFilesHandler


def default_http_consumer(insecure: bool = False, use_static_handler: bool = True) -> ViewConsumer:
    """The consumer for an ``http.request`` without a route: views, and with ``DEBUG`` static files too.

    Arguments:
        insecure: serve static files without ``DEBUG`` as well.
        use_static_handler: ``False`` for no static files at all.
    """
    static_files = use_static_handler and apps.is_installed("django.contrib.staticfiles")
    return StaticFilesConsumer() if static_files and (settings.DEBUG or insecure) else ViewConsumer()
