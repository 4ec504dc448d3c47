"""The address of a client behind proxies: only headers of trusted proxies count."""

from __future__ import annotations

import ipaddress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interface_server.transport.proxy import TrustedProxies, forwarded, parse_address

PEER = ("10.0.0.1", 1234)


def scope_of(
    *headers: tuple[bytes, bytes], client: tuple[str, int] | None = PEER, kind: str = "http"
) -> dict[str, Any]:
    return {"type": kind, "scheme": "http" if kind == "http" else "ws", "client": client, "headers": list(headers)}


def client_by(trusted: str, *values: str, client: tuple[str, int] | None = PEER) -> Any:
    """The client's host, given one header line X-Forwarded-For for each of ``values``."""
    scope = scope_of(*((b"x-forwarded-for", value.encode("latin-1")) for value in values), client=client)
    forwarded(scope, TrustedProxies(trusted))
    return scope["client"] and scope["client"][0]


@pytest.mark.parametrize(
    ("trusted", "values", "host"),
    [
        ("10.0.0.1", ["203.0.113.7"], "203.0.113.7"),
        ("10.0.0.0/8", ["6.6.6.6, 203.0.113.7, 10.9.9.9"], "203.0.113.7"),
        ("10.0.0.0/8", ["6.6.6.6", "203.0.113.7", "10.9.9.9"], "203.0.113.7"),
        ("*", ["6.6.6.6, 203.0.113.7"], "203.0.113.7"),
        ("*, 203.0.113.0/24", ["6.6.6.6, 198.51.100.1, 203.0.113.7"], "198.51.100.1"),
        ("10.0.0.0/8", ["10.1.1.1, 10.2.2.2"], "10.1.1.1"),
        ("192.0.2.1", ["203.0.113.7"], "10.0.0.1"),
        ("", ["203.0.113.7"], "10.0.0.1"),
        ("unix", ["203.0.113.7"], "10.0.0.1"),
        ("*", [], "10.0.0.1"),
        ("*", [" , ,"], "10.0.0.1"),
        ("*", ["6.6.6.6, unknown"], "10.0.0.1"),
        ("*, 10.0.0.0/8", ["6.6.6.6, <script>, 10.2.2.2"], "10.2.2.2"),
        ("*", ["6.6.6.6, [2001:db8::1]:443"], "2001:db8::1"),
        ("*", ["203.0.113.7:443"], "203.0.113.7"),
        ("*", ["::ffff:203.0.113.7"], "203.0.113.7"),
        ("*", ["fe80::1%evil\x1b"], "10.0.0.1"),
    ],
)
def test_the_rightmost_address_that_no_trusted_proxy_has(trusted: str, values: list[str], host: str) -> None:
    assert client_by(trusted, *values) == host


def test_a_chain_without_end_is_not_followed() -> None:
    assert client_by("10.0.0.0/8", "203.0.113.7," + "10.0.0.2," * 90 + "10.0.0.3") == "203.0.113.7"
    assert client_by("10.0.0.0/8", "203.0.113.7," + "10.0.0.2," * 10_000 + "10.0.0.3") == "10.0.0.2"


@pytest.mark.parametrize(("trusted", "host"), [("unix", "203.0.113.7"), ("*", "203.0.113.7"), ("127.0.0.1", None)])
def test_a_unix_socket_has_a_name_to_be_trusted_by(trusted: str, host: str | None) -> None:
    assert client_by(trusted, "6.6.6.6, 203.0.113.7", client=None) == host


def test_a_peer_on_a_socket_for_both_families() -> None:
    assert client_by("10.0.0.1", "203.0.113.7", client=("::ffff:10.0.0.1", 1)) == "203.0.113.7"


@pytest.mark.parametrize("name", ["10.0.0.0/99", "10.0.0.1/8", "proxy", "1.2.3", "uniq"])
def test_an_invalid_name(name: str) -> None:
    with pytest.raises(ValueError, match="should be an address, a network such as 10.0.0.0/8, 'unix' or"):
        TrustedProxies(f"127.0.0.1, {name}")


@pytest.mark.parametrize(
    ("kind", "value", "scheme"),
    [
        ("http", b"https", "https"),
        ("websocket", b"https", "wss"),
        ("http", b"http, https", "https"),
        ("http", b"wss", "https"),
        ("http", b"gopher", "http"),
        ("http", b"", "http"),
    ],
)
def test_the_scheme(kind: str, value: bytes, scheme: str) -> None:
    scope = scope_of((b"x-forwarded-proto", value), kind=kind)
    forwarded(scope, TrustedProxies("10.0.0.1"))
    assert scope["scheme"] == scheme


def test_without_trusted_proxies_headers_are_ignored() -> None:
    scope = scope_of((b"x-forwarded-for", b"6.6.6.6"), (b"x-forwarded-proto", b"https"))
    forwarded(scope, None)
    assert (scope["client"], scope["scheme"]) == (PEER, "http")


addresses = st.ip_addresses().filter(lambda address: not (address.version == 6 and address.ipv4_mapped)).map(str)


@given(st.lists(st.text(st.characters(max_codepoint=255, exclude_characters=","))), addresses, st.booleans())
def test_headers_of_a_client_change_nothing(forged: list[str], truth: str, is_one_line: bool) -> None:
    """A client's own header is left of what the proxy appends."""
    written = [", ".join([*forged, truth])] if is_one_line else [*forged, truth]
    for client in (PEER, None):
        assert client_by("*", *written, client=client) == str(ipaddress.ip_address(truth))


@given(st.lists(st.binary()), st.lists(st.binary()))
def test_any_bytes_give_an_address_or_leave_the_peer(chain: list[bytes], schemes: list[bytes]) -> None:
    headers = [(b"x-forwarded-for", value) for value in chain] + [(b"x-forwarded-proto", s) for s in schemes]
    scope = scope_of(*headers)
    forwarded(scope, TrustedProxies("*"))
    host, port = scope["client"]
    ipaddress.ip_address(host)
    assert 0 <= port < 65536
    assert scope["scheme"] in ("http", "https")


@given(addresses, st.integers(0, 65535))
def test_ports_and_brackets(address: str, port: int) -> None:
    parsed = ipaddress.ip_address(address)
    bracketed = f"[{address}]" if parsed.version == 6 else address
    assert parse_address(address) == (parsed, 0)
    assert parse_address(bracketed) == (parsed, 0)
    assert parse_address(f"{bracketed}:{port}") == (parsed, port)


@given(st.text())
def test_no_text_raises(text: str) -> None:
    parse_address(text)
