"""``AsgiRequest``: an ``http.request`` message as a Django request (specification, sections 4 and 9)."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from io import BytesIO
from tempfile import SpooledTemporaryFile
from typing import IO, TYPE_CHECKING, Any

from django.conf import settings
from django.core.exceptions import BadRequest
from django.http import HttpRequest, QueryDict, parse_cookie
from django.utils.functional import cached_property

from channels_classic.exceptions import RequestAborted, RequestTimeout, ResponseLater
from channels_classic.layers import BaseChannelLayer
from channels_classic.message import Message

HEADER_NAMES_KEPT = 1000
"""The number of header names that are remembered with their key in ``META``.

Real clients send a few dozen. The limits stop clients that make up names from filling the memory.
"""

LONGEST_NAME_KEPT = 100
"""Bytes; a longer header name is not remembered."""

SLOWEST_BODY = 500
"""Bytes per second; a body that is slower on average is given up, however steadily it arrives."""


class AsgiRequest(HttpRequest):
    """A Django request made of an ``http.request`` message (specification, section 9).

    Attributes that a view may never use (``GET``, ``COOKIES``, a file with the body) are made when they are first
    used. But a body that comes over a body channel is received at once and completely: its parts expire in the
    channel layer, so they cannot wait there until a view reads them.

    Arguments:
        message: in the form of section 4. A message of ``websocket.connect`` works too, if you add a ``method``.

    Raises:
        BadRequest: the message lacks a key, a value has the wrong form, or the body is longer than the client
            said.
        SuspiciousOperation: it exceeds a setting such as ``DATA_UPLOAD_MAX_NUMBER_FIELDS``.
        RequestTimeout: the body did not arrive in time, or is shorter than the client said.
        RequestAborted: the client left before its body was complete.
    """

    body_receive_timeout: float = 60
    """Seconds from one part of a body to the next one. For each second that the whole body takes beyond this,
    ``SLOWEST_BODY`` bytes have to arrive.
    """

    if TYPE_CHECKING:  # other attributes of HttpRequest, which the type stubs do not know
        _encoding: str | None
        _files: Any

        def _set_content_type_params(self, meta: dict[str, Any]) -> None: ...

    response_later = False
    """Whether the view raised ``ResponseLater``."""

    ResponseLater = ResponseLater
    """Raise it in a view if other code answers: ``raise AsgiRequest.ResponseLater``."""

    def __init__(self, message: Message) -> None:
        content = message.content
        self.message = message
        self.reply_channel = message.reply_channel
        self.resolver_match = None
        self._read_started = False
        self._post_parse_error = False
        try:
            self._read_start_line(content)
            self._read_headers(content)
        except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
            raise BadRequest(f"This is not an http.request message: {type(error).__name__}: {error}") from error
        if body_channel := content.get("body_channel"):
            self._stream = self._receive_body(body_channel)

    def _read_start_line(self, content: dict[str, Any]) -> None:
        path = content["path"]
        if not path.startswith("/"):
            path = f"/{path}"
        if not path.isascii():
            path.encode()  # A path that is not UTF-8 would fail later, in a view that makes a URL of it again.
        root_path = content.get("root_path") or ""
        if root_path or settings.FORCE_SCRIPT_NAME is not None:
            script_name, path_info = split_path(path, root_path)
        else:
            script_name, path_info = "", path
        self.method = content["method"].upper()
        self.script_name = script_name
        self.path_info = path_info
        self.path = script_name.rstrip("/") + path_info if script_name else path_info
        client = content.get("client")
        server = content.get("server") or ("unknown", 0)
        self.META = {
            "REQUEST_METHOD": self.method,
            "SCRIPT_NAME": script_name,
            "PATH_INFO": path_info,
            "QUERY_STRING": content.get("query_string", b"").decode("latin-1"),
            "SERVER_PROTOCOL": f"HTTP/{content.get('http_version', '1.1')}",
            "SERVER_NAME": server[0],
            "SERVER_PORT": str(server[1]),
            "wsgi.url_scheme": content.get("scheme") or "http",
            "wsgi.multithread": True,
            "wsgi.multiprocess": True,
        }
        if client:
            self.META["REMOTE_ADDR"] = self.META["REMOTE_HOST"] = client[0]
            self.META["REMOTE_PORT"] = client[1]

    def _read_headers(self, content: dict[str, Any]) -> None:
        meta = self.META
        add_headers(meta, content.get("headers", ()))
        if "CONTENT_LENGTH" in meta:
            check_content_length(meta["CONTENT_LENGTH"])
        elif (body := content.get("body")) and not content.get("body_channel"):
            self._set_content_length(len(body))
        if "CONTENT_TYPE" in meta:
            self._set_content_type_params(meta)
        else:
            self.content_type = ""
            self.content_params = {}

    def _set_content_length(self, size: int) -> None:
        """The length of the body. A client that sends chunks does not know it, but Django needs it for forms."""
        self.META["CONTENT_LENGTH"] = str(size)

    def _receive_body(self, channel: str) -> IO[bytes]:
        """The whole body: in memory up to Django's limit for uploads, in a temporary file beyond that."""
        body = SpooledTemporaryFile(  # noqa: SIM115
            max_size=settings.FILE_UPLOAD_MAX_MEMORY_SIZE, dir=settings.FILE_UPLOAD_TEMP_DIR
        )
        try:
            body.write(self.message.content.get("body") or b"")
            for part in receive_body(self.message.channel_layer, channel, self.body_receive_timeout):
                body.write(part)
            size = body.tell()
            length = self.META.get("CONTENT_LENGTH")
            if length is None:
                self._set_content_length(size)
            elif size < int(length):
                raise RequestTimeout(
                    f"Of a body of {length} bytes {size} were left: parts of it expired in the channel layer."
                )
            elif size > int(length):
                raise BadRequest(f"A body of {length} bytes was announced, but {size} came over {channel}.")
            body.seek(0)
        except BaseException:
            body.close()
            raise
        return body

    @cached_property
    def _stream(self) -> IO[bytes]:  # type: ignore[override]
        return BytesIO(self.message.content.get("body") or b"")

    @cached_property
    def GET(self) -> QueryDict:  # type: ignore[override]  # noqa: N802
        """The query string, parsed."""
        return QueryDict(self.META["QUERY_STRING"].encode("latin-1"), encoding=self._encoding)

    @cached_property
    def COOKIES(self) -> dict[str, str]:  # type: ignore[override]  # noqa: N802
        """The cookies; bytes that are not UTF-8 are replaced."""
        cookies = self.META.get("HTTP_COOKIE", "").encode("latin-1").decode(errors="replace")
        return parse_cookie(cookies)

    @property  # type: ignore[override]
    def POST(self) -> QueryDict:  # noqa: N802
        """The fields of the form in the body."""
        if not hasattr(self, "_post"):
            self._load_post_and_files()
        return self._post

    @POST.setter
    def POST(self, fields: QueryDict) -> None:  # noqa: N802
        self._post = fields

    @property
    def FILES(self) -> Any:  # type: ignore[override]  # noqa: N802
        """The files of the form in the body."""
        if not hasattr(self, "_files"):
            self._load_post_and_files()
        return self._files

    def _get_scheme(self) -> str:
        return str(self.META["wsgi.url_scheme"])

    def close(self) -> None:
        """Close the uploaded files and the body."""
        super().close()
        if "_stream" in self.__dict__:
            self._stream.close()


class MetaKeys(dict[bytes, str]):
    """The key in ``META`` for each header name, made when the name first occurs.

    It is empty for a name with an underscore, which could be mistaken for the same name with a hyphen.
    """

    def __missing__(self, name: bytes) -> str:
        key = name.decode("latin-1").upper().replace("-", "_")
        if b"_" in name:
            key = ""
        elif key not in ("CONTENT_TYPE", "CONTENT_LENGTH"):
            key = f"HTTP_{key}"
        if len(self) < HEADER_NAMES_KEPT and len(name) <= LONGEST_NAME_KEPT:
            self[name] = key
        return key


meta_keys = MetaKeys()


def add_headers(meta: dict[str, Any], headers: Iterable[Sequence[bytes]]) -> None:
    """Put a header list into ``meta``. Headers that occur more than once are joined as HTTP defines it."""
    repeated: dict[str, list[str]] = {}
    for name, value in headers:
        key = meta_keys[name]
        if not key:
            continue
        text = value.decode("latin-1")
        # Joined once, at the end, because repeated concatenation takes quadratic time.
        if key in repeated:
            repeated[key].append(text)
        elif key in meta:
            repeated[key] = [meta[key], text]
        else:
            meta[key] = text
    for key, texts in repeated.items():
        meta[key] = ("; " if key == "HTTP_COOKIE" else ",").join(texts)


def check_content_length(length: str) -> None:
    """Check that a Content-Length is a number.

    Raises:
        ValueError: it is not, or the header was sent twice, so that nobody knows which one is right.
    """
    if not (length.isascii() and length.isdigit()):
        raise ValueError(f"Content-Length has to be a number, not {length!r}.")


def split_path(path: str, root_path: str) -> tuple[str, str]:
    """The script name and the path below it.

    Arguments:
        root_path: where the server mounts the application; ``FORCE_SCRIPT_NAME`` overrides it. If ``path`` begins
            with it, that part is removed.
    """
    forced: str | None = settings.FORCE_SCRIPT_NAME
    script_name = root_path if forced is None else forced
    for prefix in (root_path.rstrip("/"), script_name.rstrip("/")):
        if prefix and f"{path}/".startswith(f"{prefix}/"):
            return script_name, path[len(prefix) :] or "/"
    return script_name, path


def receive_body(channel_layer: BaseChannelLayer, channel: str, timeout: float) -> Iterator[bytes]:
    """The parts of a body, as they come over a body channel (specification, sections 4 and 9).

    Arguments:
        timeout: seconds from one part to the next. The whole body may take as long, plus the time that its bytes
            take at ``SLOWEST_BODY``.

    Raises:
        RequestTimeout: the time was not enough.
        RequestAborted: the client left.
    """
    started = last = time.monotonic()
    size = 0
    while True:
        now = time.monotonic()
        late = now - last >= timeout or now - started >= timeout + size / SLOWEST_BODY
        _, part = channel_layer.receive([channel], block=not late)
        if part is not None:
            if part.get("closed"):
                raise RequestAborted("The client went away before the body of its request was complete.")
            content = part.get("content") or b""
            if content:
                size += len(content)
                last = time.monotonic()
            yield content
            if not part.get("more_content"):
                return
        if late:
            raise RequestTimeout(f"The body of a request made no progress within {timeout} seconds.")
