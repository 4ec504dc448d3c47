"""What to do when a server cannot be connected to: texts for people."""

from __future__ import annotations

import re
from typing import NamedTuple

LONGEST = 200
"""Characters of an error's own text. Redis explains some of its errors in whole paragraphs."""


class _Advice(NamedTuple):
    sign: str
    """A regular expression that is found in the error."""

    text: str
    """What the error means, and what to do. ``{error}`` is the error itself."""


ADVICE = (
    _Advice(
        "HELLO must be called with the client already authenticated|Authentication required|NOAUTH",
        "it wants a password, and hosts has none. Write redis://:PASSWORD@HOST:PORT there.",
    ),
    _Advice(
        "invalid username-password|invalid password|WRONGPASS|without any password configured",
        "{error}. Check user and password in hosts.",
    ),
    _Advice(
        "DB index is out of range|invalid DB index",
        "it has no database of this number. Correct the number in hosts; a Redis has 0 to 15, unless its setting "
        "databases is another.",
    ),
    _Advice(
        "max number of clients",
        "it has as many clients as its setting maxclients allows. Raise that, or find out who needs so many.",
    ),
    _Advice(
        "protected mode",
        "it is in protected mode, and so it takes only clients on its own machine. Give it a password. Or, if "
        "nobody else can reach it, set protected-mode to no.",
    ),
    _Advice(
        "WRONG_VERSION_NUMBER|RECORD_LAYER_FAILURE|UNKNOWN_PROTOCOL|HTTP_REQUEST",
        "it does not speak TLS. Write redis:// in place of rediss:// in hosts, or take the port of its TLS.",
    ),
    _Advice(
        "CERTIFICATE_VERIFY_FAILED",
        "its certificate is not trusted: {error}. If a CA of your own has signed it, name its file in "
        "connection_kwargs, as in {{'ssl_ca_certs': 'ca.pem'}}.",
    ),
    _Advice(
        "TLSV1|SSLV3|CERTIFICATE_REQUIRED",
        "it refuses this TLS: {error}. It may want a certificate, as ssl_certfile and ssl_keyfile in "
        "connection_kwargs.",
    ),
    _Advice(
        "Protocol error|Protocol Error",
        "what answers there is not Redis, or it wants TLS. Check the port in hosts, or write rediss://.",
    ),
    _Advice(
        "Connection closed|Connection reset|Broken pipe|UNEXPECTED_EOF|EOF occurred",
        "it closes the connection. Is it Redis? If it wants TLS, write rediss:// in hosts.",
    ),
    _Advice("Connection refused|No such file or directory", "{error}. Is it running, and there?"),
    _Advice(
        "Name or service not known|nodename nor servname|name resolution|No address associated",
        "there is no such host. Check its name in hosts.",
    ),
    _Advice("[Tt]imeout|timed out", "it does not answer. Is it Redis, and do both sides use TLS, or neither?"),
)
"""The first whose sign is found counts."""

_OF_REDIS_PY = re.compile(r"^Error(?: -?\d+)? (?:connecting to|while reading from) \S+(?: :|\.) ?")
"""What redis-py puts before the error. It repeats the address."""

_OF_SSL = re.compile(r"\[SSL: \w+\] (?:certificate verify failed: )?| \(_ssl\.c:\d+\)")


def why(error: BaseException) -> str:
    """Why a server could not be connected to, and what to do."""
    text = _OF_REDIS_PY.sub("", str(error)) or type(error).__name__
    plain = " ".join(_OF_SSL.sub("", text).split())
    short = (plain if len(plain) <= LONGEST else f"{plain[:LONGEST]}…").rstrip(".")
    for sign, advice in ADVICE:
        if re.search(sign, text):
            return advice.format(error=short)
    return f"{short}."
