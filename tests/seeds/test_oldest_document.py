"""Consumers that a decorator registers: the dialect of the first weeks."""

from __future__ import annotations

from collections.abc import Callable

from tests.project import Project

CONSUMERS = """\
    from channels import Channel
    from django.http import HttpResponse

    @Channel.consumer("django.wsgi.request")
    def http_consumer(response_channel, path, **kwargs):
        response = HttpResponse("Hello world! You asked for %s" % path)
        Channel(response_channel).send(response.channel_encode())
"""


def test_a_consumer_for_every_request(project: Callable[..., Project]) -> None:
    """No routing names it, and there is no setting for a channel layer yet."""
    with project({"myapp/consumers.py": CONSUMERS}, settings="").served() as site:
        response = site.http.get("/some/path/?with=query")
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("text/html")
        assert response.text == "Hello world! You asked for /some/path/"


# What comes in its place; with this the document ends.
TO_BE_WRITTEN = "# todo"


def test_without_it_django_has_its_page_again(project: Callable[..., Project]) -> None:
    with project({"myapp/consumers.py": TO_BE_WRITTEN}, settings="").served() as site:
        assert "The site" in site.http.get("/").text


REQUESTS_TOO = """\
    from channels import Channel
    from django.core.handlers.base import BaseHandler
    from django.http import HttpRequest, HttpResponse

    @Channel.consumer("django.wsgi.request")
    def http_consumer(**kwargs):
        request = HttpRequest.channel_decode(kwargs)
        response = HttpResponse("%s %s %s" % (request.method, request.path, request.POST.get("field")), status=201)
        response.set_cookie("seen", "yes")
        Channel(request.response_channel).send(response.channel_encode())
"""


def test_both_ways_for_requests_and_responses(project: Callable[..., Project]) -> None:
    """The document only mentions them: requests have the two methods as well."""
    with project({"myapp/consumers.py": REQUESTS_TOO}, settings="").served() as site:
        response = site.http.post("/form/", data={"field": "välue"})
        assert (response.status_code, response.text) == (201, "POST /form/ välue")
        assert response.cookies["seen"] == "yes"
