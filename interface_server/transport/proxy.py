"""The address and the scheme of a client behind a proxy, from X-Forwarded-For and X-Forwarded-Proto.

Anyone can send these headers. Each proxy appends the address of its peer to X-Forwarded-For, so only the right end
of the list, as far as trusted proxies have written it, can be trusted.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from interface_server.asgi_types import Scope

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
Headers = Iterable[tuple[bytes, bytes]]

ANY_PEER = "*"
"""The name that trusts every peer of a connection, but no other address in X-Forwarded-For."""

UNIX = "unix"
"""The name that trusts a peer that connects by a unix socket, which has no address."""

MOST_PROXIES = 100
"""How many addresses of X-Forwarded-For are looked at. To parse those that fit into a head takes half a second."""

SCHEMES = frozenset({b"http", b"https", b"ws", b"wss"})


class TrustedProxies:
    """The proxies whose X-Forwarded headers are used.

    Arguments:
        names: addresses, networks such as ``10.0.0.0/8``, ``unix`` and ``*``, separated by commas.

    Raises:
        ValueError: one of the names is not valid; the text says which.
    """

    def __init__(self, names: str) -> None:
        self._any_peer = False
        self._unix = False
        self._networks: list[ipaddress.IPv4Network | ipaddress.IPv6Network] = []
        for name in filter(None, (name.strip() for name in names.split(","))):
            if name == ANY_PEER:
                self._any_peer = True
            elif name == UNIX:
                self._unix = True
            else:
                try:
                    self._networks.append(ipaddress.ip_network(name))
                except ValueError as error:
                    raise ValueError(
                        f"{name!r} should be an address, a network such as 10.0.0.0/8, {UNIX!r} or {ANY_PEER!r}"
                        f" ({error})"
                    ) from None

    def trusts_peer(self, client: tuple[str, int] | None) -> bool:
        """Whether the peer of a connection is trusted. ``client`` is ``None`` for a unix socket."""
        if self._any_peer:
            return True
        if client is None:
            return self._unix
        address = parse_address(client[0])
        return address is not None and self.trusts_address(address[0])

    def trusts_address(self, address: IPAddress) -> bool:
        """Whether an address in X-Forwarded-For belongs to a trusted proxy."""
        return any(address in network for network in self._networks)


def forwarded(scope: Scope, trusted: TrustedProxies | None) -> None:
    """Set ``client`` and ``scheme`` in ``scope`` to the values of trusted proxies.

    Text that is not an address is ignored, and raises no error. Then the last known proxy stays the client.

    Arguments:
        scope: the scope of a request or a WebSocket, with the peer of the connection as ``client``.
        trusted: the trusted proxies; ``None`` for none.
    """
    if trusted is None or not trusted.trusts_peer(scope.get("client")):
        return
    chain: list[bytes] = []
    for name, value in scope["headers"]:
        if name == b"x-forwarded-for":
            chain += value.split(b",")
        elif name == b"x-forwarded-proto":
            scheme = value.rpartition(b",")[2].strip().lower()
            if scheme in SCHEMES:
                is_secure = scheme in (b"https", b"wss")
                plain = "ws" if scope["type"] == "websocket" else "http"
                scope["scheme"] = plain + "s" * is_secure
    for entry in reversed(chain[-MOST_PROXIES:]):
        text = entry.strip().decode("latin-1")
        if not text:
            continue
        parsed = parse_address(text)
        if parsed is None:
            break
        address, port = parsed
        scope["client"] = (str(address), port)
        if not trusted.trusts_address(address):
            break


def parse_address(text: str) -> tuple[IPAddress, int] | None:
    """Parse an address with an optional port: ``192.0.2.1:80``, ``2001:db8::1`` or ``[2001:db8::1]:80``.

    Returns:
        The address and the port (0 if there is none); ``None`` for any other text. An IPv4 address inside an IPv6
        address is returned as IPv4.
    """
    host, port = text, ""
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            return None
        port = rest[1:]
    elif text.count(":") == 1:
        host, _, port = text.partition(":")
    if "%" in host:  # a zone may be any text, and has a meaning only on the machine that wrote it
        return None
    try:
        address: IPAddress = ipaddress.ip_address(host)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    is_port = port.isascii() and port.isdigit() and len(port) <= 5 and int(port) < 2**16
    return address, int(port) if is_port else 0
