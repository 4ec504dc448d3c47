"""A stand-in for workers over Redis, which answers all messages of the interface server under test."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Callable
from typing import Any

from channels_classic.layers import ChannelFull, RedisChannelLayer
from tests.project import DEADLINE

Content = dict[str, Any]

CHANNELS = ["http.request", "http.disconnect", "websocket.connect", "websocket.receive", "websocket.disconnect"]
STOP = "backend.stop"
WAIT = 60.0  # seconds in one call to the layer


class Backend:
    """Answers a request with what it was, echoes frames, and remembers what came.

    Of requests, ``/body/`` is answered with size and digest of its body, ``/big/`` with 3 MB, ``/later/`` when
    ``go`` is set, ``/silent/`` never. Sockets are accepted, but that of ``/reject/`` is not, and that of
    ``/silent/`` gets no answer at all. The frame ``close 4001`` closes its socket with that code.
    """

    def __init__(self, url: str, **options: Any) -> None:
        self.layer = RedisChannelLayer(hosts=[url], **options)
        self.received: list[tuple[str, Content]] = []
        self.go = threading.Event()
        self._stopping = False
        self._threads = [threading.Thread(target=self._run)]

    def __enter__(self) -> Backend:
        self._threads[0].start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._stopping = True
        self.go.set()
        self.layer.send(STOP, {})
        for thread in self._threads:
            thread.join(DEADLINE)
        self.layer.close()

    def wait_for(self, channel: str, condition: Callable[[Content], object] = lambda content: True) -> Content:
        """The first message on ``channel`` for which ``condition`` holds."""
        deadline = time.monotonic() + DEADLINE
        while time.monotonic() < deadline:
            for name, content in list(self.received):
                if name == channel and condition(content):
                    return content
            time.sleep(0.01)
        raise AssertionError(f"nothing of that kind came on {channel}, but {self.received}")

    def _run(self) -> None:
        while not self._stopping:
            for received in self.layer.receive_batch([*CHANNELS, STOP], 10, WAIT):
                content = received.content
                self.received.append((received.channel, content))
                if received.channel == "http.request":
                    thread = threading.Thread(target=self._answer, args=[content])
                    self._threads.append(thread)
                    thread.start()
                elif received.channel == "websocket.connect" and content["path"] != "/silent/":
                    self.send(content, {"accept": content["path"] != "/reject/"})
                elif received.channel == "websocket.receive":
                    self._echo(content)

    def _echo(self, content: Content) -> None:
        word, _, code = content.get("text", "").partition(" ")
        if word == "close":
            self.send(content, {"close": int(code)})
        else:
            self.send(content, {key: content[key] for key in ("text", "bytes") if key in content})

    def _answer(self, content: Content) -> None:
        path = content["path"]
        if path == "/body/":
            body = self._body(content)
            self._respond(content, f"{len(body)} {hashlib.sha256(body).hexdigest()}".encode())
        elif path == "/big/":
            self.send(content, {"status": 200, "content": b"x" * 2**19, "more_content": True})
            for number in range(1, 6):
                self.send(content, {"content": b"x" * 2**19, "more_content": number < 5})
        elif path == "/later/":
            self.go.wait(DEADLINE)
            self._respond(content, b"at last")
        elif path != "/silent/":
            names = ("method", "path", "query_string", "root_path", "scheme", "client", "http_version")
            shown = {name: content.get(name) for name in names}
            shown["headers"] = [[name.decode(), value.decode("latin-1")] for name, value in content["headers"]]
            self._respond(content, json.dumps(shown, default=bytes.decode).encode())

    def _body(self, content: Content) -> bytes:
        body: bytes = content["body"]
        more = bool(content.get("body_channel"))
        while more:
            for received in self.layer.receive_batch([content["body_channel"]], 1, WAIT):
                body += received.content["content"]
                more = received.content["more_content"]
        return body

    def _respond(self, content: Content, answer: bytes) -> None:
        headers = [(b"content-type", b"text/plain"), (b"content-length", str(len(answer)).encode())]
        self.send(content, {"status": 200, "headers": headers, "content": answer})

    def send(self, content: Content, answer: Content) -> None:
        """Send to the client of ``content`` when there is room."""
        deadline = time.monotonic() + DEADLINE
        while time.monotonic() < deadline:
            try:
                return self.layer.send(content["reply_channel"], answer)
            except ChannelFull:
                time.sleep(0.01)
