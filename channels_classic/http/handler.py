"""``AsgiHandler``: a request through Django's views, and its response as messages (specification, section 9)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from contextvars import ContextVar
from typing import Any

from django.conf import settings
from django.core.exceptions import BadRequest, SuspiciousOperation
from django.core.handlers.base import BaseHandler
from django.core.signals import request_started
from django.http import FileResponse, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import clear_script_prefix, set_script_prefix

from channels_classic import old_forms
from channels_classic.exceptions import RequestAborted, RequestTimeout, ResponseLater
from channels_classic.http.replies import END, Reply
from channels_classic.http.request import AsgiRequest
from channels_classic.http.streaming import iterate
from channels_classic.message import Message

logger = logging.getLogger("django.request")


_is_at_root: ContextVar[bool] = ContextVar("is_at_root", default=False)
"""Whether no script prefix is set in this context. Then a request at the root need not set it, which would take a
twentieth of the time of a short page."""


def begin_at_root() -> None:
    """Note that requests whose contexts are copies of this one begin without a script prefix."""
    clear_script_prefix()
    _is_at_root.set(True)


class Answer:
    """The answer of a view.

    Arguments:
        replies: its messages.
        response: the response that they are made from.
        close: called when they have been sent, or are no longer needed.
        streams: whether the messages are made while they are sent; by default, whether the response is streaming.
    """

    def __init__(
        self,
        replies: Iterator[Reply],
        response: HttpResponseBase,
        close: Callable[[], None] = lambda: None,
        streams: bool | None = None,
    ) -> None:
        self.replies = replies
        self.streams = response.streaming if streams is None else streams
        """Whether the next message may take long, because its part has yet to be made."""
        self._response = response
        self._close = close

    @property
    def is_event_stream(self) -> bool:
        """Whether the answer may end after any part, because its client will reconnect."""
        media_type: str = self._response.headers.get("Content-Type", "").partition(";")[0]
        return media_type.strip().lower() == "text/event-stream"

    def close(self) -> None:
        """Close the response, even if it was not sent completely."""
        try:
            if (close := getattr(self.replies, "close", None)) is not None:  # it is a generator
                close()
        finally:
            self._close()


class AsgiHandler(BaseHandler):
    """Runs requests through Django's middleware and views, and yields the messages of their answers.

    Make one and keep it: it loads all middleware when it is made.
    """

    request_class = AsgiRequest

    chunk_size = 512 * 1024
    """The most bytes of content in one message: half of what a channel layer accepts."""

    def __init__(self) -> None:
        super().__init__()
        self.load_middleware()

    def __call__(self, message: Message) -> Generator[Reply, None, None]:
        """Answer ``message``, an ``http.request``.

        The messages are yielded as the response is made. There are none if the client has left, or if the view has
        raised ``ResponseLater`` because other code will answer.
        """
        answer = self.answer(message)
        if answer is not None:
            with closing(answer):
                yield from answer.replies

    def answer(self, message: Message) -> Answer | None:
        """Run the view for ``message``, an ``http.request``.

        Returns:
            Its answer, which the caller has to close; ``None`` if there is nothing to send, as above.
        """
        try:
            request = self.request_class(message)
        except RequestAborted:
            return None
        except RequestTimeout as error:
            return self.refuse(message, 408, error)
        except (BadRequest, SuspiciousOperation) as error:
            return self.refuse(message, 400, error)
        if request.script_name or not _is_at_root.get():
            _is_at_root.set(False)
            set_script_prefix(request.script_name)
        if request_started.receivers:
            request_started.send(sender=self.__class__, message=message, environ=request.META)
        try:
            response: Any = self.get_response(request)
        except BaseException:
            request.close()
            raise
        response._handler_class = self.__class__
        if request.response_later:
            response.close()
            return None
        if isinstance(response, FileResponse):
            response.block_size = self.chunk_size
        if request.method == "HEAD" and response.streaming:
            # An answer to HEAD is complete with its head (RFC 9110, section 9.3.2). A stream need not even begin.
            return Answer(iter([{**self._head(response), **END}]), response, response.close, streams=False)
        return Answer(self.encode_response(response), response, response.close)

    def refuse(self, message: Message, status: int, error: Exception) -> Answer:
        """The answer to a message from which no request could be made."""
        response = HttpResponse(status=status, content_type="text/plain; charset=utf-8")
        text = f"{response.reason_phrase} ({status})"
        response.content = f"{text}\n{error}" if settings.DEBUG else text
        logger.warning("%s: %s: %s", text, message.get("path"), error, extra={"status_code": status})
        return Answer(self.encode_response(response), response)

    def _get_response(self, request: AsgiRequest) -> HttpResponseBase:
        try:
            response: HttpResponseBase = super()._get_response(request)  # type: ignore[misc]
        except ResponseLater:
            # Outer middleware always gets a response; it would see an exception as a 500. So it gets this
            # response, which is not sent; no cache keeps one with status 202.
            request.response_later = True
            return HttpResponse(status=202)
        return response

    def process_exception_by_middleware(self, exception: Exception, request: HttpRequest) -> Any:
        """Do as Django, but do not turn ``ResponseLater`` into an error response."""
        if isinstance(exception, ResponseLater):
            return None
        return super().process_exception_by_middleware(exception, request)

    @classmethod
    def encode_response(cls, response: HttpResponseBase) -> Iterator[Reply]:
        """The messages of an answer (specification, section 4).

        Arguments:
            response: any response of Django. A streaming one is read as its messages are taken, so that each part
                can be sent before the next one is made. The caller has to close it.
        """
        if response.streaming:
            return cls._in_parts(response, cls._stream(response))
        content: bytes = response.content  # type: ignore[attr-defined]
        if len(content) > cls.chunk_size:
            return cls._in_parts(response, cls.chunk_bytes(content))
        # Most answers are one message, which needs no generators.
        message = cls._head(response)
        message["content"] = content
        message["more_content"] = False
        return iter((message,))

    @classmethod
    def _in_parts(cls, response: HttpResponseBase, chunks: Iterator[tuple[bytes, bool]]) -> Iterator[Reply]:
        message = cls._head(response)
        for chunk, is_last in chunks:
            message["content"] = chunk
            message["more_content"] = not is_last
            yield message
            message = {}

    @staticmethod
    def _head(response: HttpResponseBase) -> Reply:
        headers = encode_headers(response, as_written=old_forms.accepted)
        return {"status": response.status_code, "headers": headers}

    @classmethod
    def _stream(cls, response: Any) -> Iterator[tuple[bytes, bool]]:
        for part in iterate(response) if response.is_async else response:
            # No part waits until it is known whether it is the last one: an empty part ends the stream.
            for chunk, _ in cls.chunk_bytes(part):
                yield chunk, False
        yield b"", True

    @classmethod
    def chunk_bytes(cls, content: bytes) -> Iterator[tuple[bytes, bool]]:
        """``content`` in chunks that fit into a message, at least one, each with a flag for the last one."""
        size = cls.chunk_size
        end = len(content)
        if end <= size:
            yield content, True
            return
        for start in range(0, end, size):
            yield content[start : start + size], start + size >= end


def encode_headers(response: HttpResponseBase, as_written: bool = False) -> list[Any]:
    """The header list of a response: names in lower case, and a header of its own for each cookie.

    Arguments:
        as_written: return tuples, with the names as the response has them, like Channels 1.
    """
    if as_written:
        cookies = [("Set-Cookie", cookie.OutputString()) for cookie in response.cookies.values()]
        return [(name.encode("ascii"), value.encode("latin-1")) for name, value in [*response.items(), *cookies]]
    # ``response.items()`` takes three times as long, as it looks up each header again.
    headers = [
        [name.lower().encode("ascii"), value.encode("latin-1")] for name, value in response.headers._store.values()
    ]
    for cookie in response.cookies.values():
        headers.append([b"set-cookie", cookie.OutputString().encode()])
    return headers
