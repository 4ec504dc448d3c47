from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.contrib.staticfiles import finders
from django.http import HttpRequest, HttpResponse
from django.urls import path

from channels_classic.handler import ViewConsumer
from channels_classic.layers import InMemoryChannelLayer
from channels_classic.staticfiles import StaticFilesConsumer
from tests.http_messages import http_request, replies

# The database is for the signals of a request: Django looks then whether its connections are any good.
pytestmark = [pytest.mark.urls(__name__), pytest.mark.django_db]


def page(request: HttpRequest) -> HttpResponse:
    return HttpResponse("a page")


urlpatterns = [path("page/", page), path("static/page/", page)]


def refusing_middleware(get_response: Any) -> Any:
    def middleware(request: HttpRequest) -> HttpResponse:
        return HttpResponse("not for you", status=403)

    return middleware


@pytest.fixture(autouse=True)
def _static_files(settings: Any, tmp_path: Path) -> Any:
    settings.STATICFILES_DIRS = [tmp_path]
    (tmp_path / "style.css").write_bytes(b"body {}")
    (tmp_path / "two words.txt").write_bytes(b"spaced out")
    (tmp_path / "large.bin").write_bytes(b"x" * 600_000)
    finders.get_finder.cache_clear()
    yield
    finders.get_finder.cache_clear()


def answer(path_: str, **content: Any) -> list[dict[str, Any]]:
    layer = InMemoryChannelLayer()
    StaticFilesConsumer()(http_request(path_, layer=layer, **content))
    return replies(layer)


def content_of(messages: list[dict[str, Any]]) -> bytes:
    return b"".join(message["content"] for message in messages)


def test_a_static_file() -> None:
    messages = answer("/static/style.css")

    assert messages[0]["status"] == 200
    assert dict(map(tuple, messages[0]["headers"]))[b"content-type"] == b"text/css"
    assert content_of(messages) == b"body {}"
    assert messages[-1]["more_content"] is False


def test_a_large_file_comes_in_large_pieces() -> None:
    messages = answer("/static/large.bin")

    assert [len(message["content"]) for message in messages] == [512 * 1024, 600_000 - 512 * 1024, 0]


def test_a_file_with_a_space_in_its_name() -> None:
    assert content_of(answer("/static/two words.txt")) == b"spaced out"


def test_a_file_that_the_browser_has_already() -> None:
    (modified,) = [value for name, value in answer("/static/style.css")[0]["headers"] if name == b"last-modified"]
    (reply,) = answer("/static/style.css", headers=[(b"if-modified-since", modified)])

    assert (reply["status"], reply["content"]) == (304, b"")


@pytest.mark.parametrize("debug", [True, False])
def test_a_file_that_is_not_there(settings: Any, debug: bool) -> None:
    settings.DEBUG = debug
    (reply,) = answer("/static/missing.css")

    assert reply["status"] == 404
    assert (b"missing.css" in reply["content"]) is debug


def test_files_outside_of_the_static_files_are_not_served(tmp_path: Path) -> None:
    (tmp_path.parent / "secret.txt").write_text("secret")
    for path_ in ("/static/../secret.txt", "/static/%2e%2e/secret.txt", "/static//etc/passwd"):
        (reply,) = answer(path_)
        assert reply["status"] in (400, 404)


def test_everything_else_is_for_views() -> None:
    (reply,) = answer("/page/")
    assert reply["content"] == b"a page"
    (reply,) = answer("/no-such-page/")
    assert reply["status"] == 404


def test_static_files_do_not_pass_through_the_middleware(settings: Any) -> None:
    settings.MIDDLEWARE = [f"{__name__}.refusing_middleware"]

    assert content_of(answer("/static/style.css")) == b"body {}"
    assert content_of(answer("/page/")) == b"not for you"


def test_static_files_on_another_host_are_left_to_it(settings: Any) -> None:
    settings.STATIC_URL = "https://cdn.example.com/static/"

    assert content_of(answer("/static/page/")) == b"a page"
    assert answer("/static/style.css")[0]["status"] == 404


def test_static_files_beside_an_application_below_a_script_name(settings: Any) -> None:
    settings.FORCE_SCRIPT_NAME = "/app"
    assert content_of(answer("/static/style.css")) == b"body {}"
    assert content_of(answer("/app/page/")) == b"a page"

    settings.FORCE_SCRIPT_NAME = None
    settings.STATIC_URL = "/app/static/"
    assert content_of(answer("/app/static/style.css", root_path="/app")) == b"body {}"


def test_it_is_a_view_consumer() -> None:
    assert issubclass(StaticFilesConsumer, ViewConsumer)
