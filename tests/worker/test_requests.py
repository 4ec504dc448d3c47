"""What Django does around each request, in a process where consumers run all views."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.core.cache import caches
from django.core.cache.backends.dummy import DummyCache
from django.core.signals import request_finished, request_started
from django.http import HttpRequest, HttpResponse
from django.urls import get_script_prefix, get_urlconf, path

from channels_classic.http.consumer import ViewConsumer
from channels_classic.routing import route
from tests.http_messages import http_request
from tests.worker.conftest import REPLY, StartWorkers, layer_with, receive
from worker.requests import not_around_requests

closed: list[str] = []


class Connected(DummyCache):
    """A cache that has a connection to close, as those of Memcached have."""

    def close(self, **kwargs: Any) -> None:
        closed.append("cache")


@pytest.fixture(autouse=True)
def _process_of_workers() -> Iterator[None]:
    """Each test may change the receivers of the process."""
    signals = (request_started, request_finished)
    before = [list(signal.receivers) for signal in signals]
    closed.clear()
    yield
    for signal, receivers in zip(signals, before, strict=True):
        signal.receivers = receivers
        signal.sender_receivers_cache.clear()


def view(request: HttpRequest) -> HttpResponse:
    caches["default"].get("something")
    return HttpResponse()


def prefix(request: HttpRequest) -> HttpResponse:
    return HttpResponse(get_script_prefix())


urlpatterns = [path("", view), path("prefix", prefix)]


def serve(start_workers: StartWorkers, requests: int = 1) -> None:
    """Answer requests as a process of workers does, all in one thread."""
    not_around_requests()
    layer = layer_with([route("http.request", ViewConsumer())])
    start_workers(layer)
    for _ in range(requests):
        layer.send("http.request", {**http_request().content, "reply_channel": REPLY})
        assert receive(layer)["status"] == 200


@pytest.mark.parametrize(
    ("backend", "closes"),
    [
        (f"{__name__}.Connected", ["cache"]),
        ("django.core.cache.backends.locmem.LocMemCache", []),
        ("django.core.cache.backends.dummy.DummyCache", []),
    ],
)
def test_a_cache_is_closed_after_each_request_if_it_has_something_to_close(
    start_workers: StartWorkers, settings: Any, backend: str, closes: list[str]
) -> None:
    settings.ROOT_URLCONF = __name__
    settings.CACHES = {"default": {"BACKEND": backend}}
    serve(start_workers)
    assert closed == closes


def test_a_cache_that_cannot_be_made_stops_nobody(settings: Any) -> None:
    settings.CACHES = {
        "default": {"BACKEND": f"{__name__}.Connected"},
        "broken": {"BACKEND": "nowhere.Cache"},
        "empty": {},
    }
    not_around_requests()
    request_finished.send(sender=None)


def test_receivers_of_the_project_are_called_as_ever(start_workers: StartWorkers, settings: Any) -> None:
    settings.ROOT_URLCONF = __name__

    def note(**kwargs: Any) -> None:
        closed.append("noted")

    request_started.connect(note)
    request_finished.connect(note)
    serve(start_workers)
    assert closed == ["noted", "noted"]


def test_the_urlconf_of_a_request_ends_with_it(start_workers: StartWorkers, settings: Any) -> None:
    settings.ROOT_URLCONF = "nowhere.urls"
    settings.MIDDLEWARE = [f"{__name__}.own_urlconf"]
    serve(start_workers, requests=2)


def test_the_script_prefix_of_a_request_ends_with_it(start_workers: StartWorkers, settings: Any) -> None:
    settings.ROOT_URLCONF = __name__
    layer = layer_with([route("http.request", ViewConsumer())])
    start_workers(layer)
    for root_path, prefix in [("", b"/"), ("/app", b"/app/"), ("", b"/"), ("/other", b"/other/"), ("", b"/")]:
        request = http_request(f"{root_path}/prefix", root_path=root_path)
        layer.send("http.request", {**request.content, "reply_channel": REPLY})
        assert receive(layer)["content"] == prefix


def own_urlconf(get_response: Any) -> Any:
    def middleware(request: HttpRequest) -> HttpResponse:
        assert get_urlconf() == "nowhere.urls"  # of the settings, and not of the request before
        request.urlconf = __name__
        response: HttpResponse = get_response(request)
        return response

    return middleware
