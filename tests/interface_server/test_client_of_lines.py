"""What the interface server has to say about a client has the id that its lines in the access log have."""

from __future__ import annotations

import logging
from collections.abc import Callable

import pytest

from channels_classic.log_context import ClientFilter, client_id
from tests.interface_server.hosted import DEADLINE, Hosted, eventually


def a_second_answer(hosted: Hosted) -> str:
    answer = hosted.get()
    client: str = hosted.receive("http.request")["reply_channel"]
    hosted.send(client, status=200, content=b"")
    answer.result(DEADLINE)
    hosted.send(client, status=200, content=b"")
    return client


def an_invalid_answer(hosted: Hosted) -> str:
    hosted.get()
    client: str = hosted.receive("http.request")["reply_channel"]
    hosted.send(client, status="good")
    return client


def an_answer_that_is_cut(hosted: Hosted) -> str:
    hosted.get()
    client: str = hosted.receive("http.request")["reply_channel"]
    hosted.send(client, status=200, content=b"x", more_content=True)
    hosted.send(client, status=200, content=b"x", more_content=True)
    return client


def a_message_that_a_socket_cannot_take(hosted: Hosted) -> str:
    _, client = hosted.open()
    hosted.send(client, text="x", bytes=b"x")
    return client


@pytest.mark.parametrize(
    ("happens", "text"),
    [
        (a_second_answer, "A second answer"),
        (an_invalid_answer, "is invalid"),
        (an_answer_that_is_cut, "was cut"),
        (a_message_that_a_socket_cannot_take, "was ignored"),
    ],
)
def test_the_id(caplog: pytest.LogCaptureFixture, happens: Callable[[Hosted], str], text: str) -> None:
    caplog.handler.addFilter(ClientFilter())
    with caplog.at_level(logging.WARNING, "django.channels"), Hosted() as hosted:
        client = happens(hosted)
        (record,) = eventually(lambda: [record for record in caplog.records if text in record.getMessage()])
    assert vars(record)["client"] == client_id(client)
