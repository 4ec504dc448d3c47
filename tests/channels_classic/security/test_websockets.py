"""The origins that may connect."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels_classic.exceptions import DenyConnection
from channels_classic.layers import InMemoryChannelLayer
from channels_classic.message import Message
from channels_classic.security.websockets import BaseOriginValidator, allowed_hosts_only
from worker.consume import name_of

LAYER = InMemoryChannelLayer()


def connect(*origins: bytes | str) -> Message:
    headers = [[b"host", b"example.com"]]
    headers += [[b"origin", origin.encode() if isinstance(origin, str) else origin] for origin in origins]
    return Message(
        {"reply_channel": "interface.abc!one", "path": "/", "headers": headers}, "websocket.connect", LAYER
    )


@allowed_hosts_only
def consumer(message: Message, **kwargs: Any) -> Any:
    """Accepts allowed origins."""
    return kwargs or "let in"


@pytest.fixture(autouse=True)
def allowed(settings: Any) -> None:
    settings.ALLOWED_HOSTS = ["example.com", ".example.org", "[2001:db8::1]", "192.0.2.1"]


@pytest.mark.parametrize(
    "origin",
    [
        "http://example.com",
        "https://example.com",
        "https://example.com:8443",
        "HTTPS://EXAMPLE.COM",
        "https://example.com.",
        "https://example.org",
        "https://sub.example.org:1234",
        "http://[2001:db8::1]",
        "http://[2001:db8::1]:8000",
        "http://192.0.2.1:8000",
    ],
)
def test_allowed_origins(origin: str) -> None:
    assert consumer(connect(origin)) == "let in"


@pytest.mark.parametrize(
    "origins",
    [
        [],
        [""],
        ["null"],
        ["https://"],
        ["https://evil.example"],
        ["https://example.com.evil.example"],
        ["https://evilexample.com"],
        ["https://sub.example.com"],
        ["https://example.com@evil.example"],
        ["https://evil.example#example.com"],
        ["https://evil.example/example.com"],
        ["https://user@example.com"],
        ["https://example.com:port"],
        ["https://[example.com"],
        ["https://192.0.2.10"],
        ["//example.com"],
        ["example.com"],
        ["file://example.com"],
        ["chrome-extension://example.com"],
        ["javascript://example.com"],
        [b"https://ex\xc3\xa4mple.com"],
        [b"https://example.com\xff"],
        ["https://example.com", "https://example.com"],
        ["https://example.com", "https://evil.example"],
    ],
)
def test_denied_origins(origins: list[Any]) -> None:
    with pytest.raises(DenyConnection) as caught:
        consumer(connect(*origins))
    assert "denied for its origin" in str(caught.value)


@given(st.binary(max_size=60))
def test_nothing_else_happens_for_any_bytes(origin: bytes) -> None:
    with pytest.raises(DenyConnection):
        consumer(connect(origin))


def test_a_star_lets_all_real_origins_in(settings: Any) -> None:
    settings.ALLOWED_HOSTS = ["*"]
    assert consumer(connect("https://anything.example")) == "let in"
    for origin in ("null", "", "file:///etc/passwd", "chrome-extension://abcdef"):
        with pytest.raises(DenyConnection):
            consumer(connect(origin))


@pytest.mark.parametrize("host", ["localhost", "localhost:8000", "sub.localhost", "127.0.0.1:8000", "[::1]:8000"])
def test_in_development_this_machine_is_let_in(settings: Any, host: str) -> None:
    settings.ALLOWED_HOSTS = []
    with pytest.raises(DenyConnection):
        consumer(connect(f"http://{host}"))
    settings.DEBUG = True
    assert consumer(connect(f"http://{host}")) == "let in"
    with pytest.raises(DenyConnection):
        consumer(connect("http://evil.example"))
    settings.ALLOWED_HOSTS = ["example.com"]
    with pytest.raises(DenyConnection):
        consumer(connect(f"http://{host}"))


def test_messages_without_headers_are_denied() -> None:
    with pytest.raises(DenyConnection):
        consumer(Message({"reply_channel": "interface.abc!one"}, "websocket.receive", LAYER))


def test_methods_keywords_and_names() -> None:
    class Consumer:
        @allowed_hosts_only
        def connect(self, message: Message, **kwargs: Any) -> Any:
            return self, kwargs

    one, two = Consumer(), Consumer()
    assert one.connect(connect("https://example.com"), room="a") == (one, {"room": "a"})
    assert two.connect(message=connect("https://example.com")) == (two, {})
    with pytest.raises(DenyConnection):
        one.connect(connect("https://evil.example"))
    assert consumer(connect("https://example.com"), room="a") == {"room": "a"}
    assert (consumer.__name__, consumer.__doc__) == ("consumer", "Accepts allowed origins.")
    assert name_of(consumer).endswith("test_websockets.consumer")


def test_a_validator_that_looks_at_another_header() -> None:
    class Version(BaseOriginValidator):
        def get_origin(self, message: Message) -> str:
            return self.get_header(message, b"x-version")[0].decode()

        def validate_origin(self, message: Message, origin: str) -> bool:
            return origin == "2"

    @Version
    def connect(message: Message) -> str:
        return "welcome"

    headers = [[b"host", b"x"], [b"x-version", b"2"], [b"x-version", b"3"]]
    message = Message({"headers": headers}, "websocket.connect", InMemoryChannelLayer())
    assert connect(message) == "welcome"
    with pytest.raises(KeyError, match="no header b'x-version'"):
        connect(Message({"headers": []}, "websocket.connect", InMemoryChannelLayer()))


def test_a_validator_of_one_s_own() -> None:
    class OnlyTheApp(BaseOriginValidator):
        def validate_origin(self, message: Message, origin: str) -> bool:
            return origin == "app://ours" and message["path"] == "/"

    decorated = OnlyTheApp(lambda message: "let in")
    assert decorated(connect("app://ours")) == "let in"
    for origins in (["app://theirs"], []):
        with pytest.raises(DenyConnection):
            decorated(connect(*origins))


def test_a_validator_without_validate_origin() -> None:
    class Silent(BaseOriginValidator):
        pass

    with pytest.raises(NotImplementedError, match="Silent has to define validate_origin"):
        Silent(lambda message: None)(connect("https://example.com"))
