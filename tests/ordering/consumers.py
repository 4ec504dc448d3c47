"""Consumers that record in Redis, by socket, when they begin and when they end."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager

import redis

from channels_classic.message import Message
from channels_classic.sessions import channel_session, enforce_ordering

RECORD = redis.Redis.from_url(os.environ["LOAD_REDIS"], decode_responses=True)
LONGEST = float(os.environ.get("LOAD_SECONDS", "0.002"))


@contextmanager
def recorded(message: Message) -> Iterator[None]:
    """Record one value at the beginning and one at the end. The list of the socket shows what ran, when, and how
    often."""
    name = f"load:{message.reply_channel}"
    RECORD.rpush(name, f"begin {message['order']}")
    yield
    time.sleep(random.random() * LONGEST)
    RECORD.rpush(name, f"end {message['order']}")


@enforce_ordering
@channel_session
def connect(message: Message) -> None:
    with recorded(message):
        message.channel_session["count"] = 0


@channel_session
@enforce_ordering
def receive(message: Message) -> None:
    with recorded(message):
        if message["text"] == "hang":
            RECORD.rpush("load:hangs", os.getpid())
            time.sleep(1000)
        message.channel_session["count"] += 1
        text = f"{message['text']} {message['order']} {message.channel_session['count']}"
        message.reply_channel.send({"text": text})  # type: ignore[union-attr]


@enforce_ordering
def disconnect(message: Message) -> None:
    with recorded(message):
        RECORD.rpush("load:counts", message.channel_session["count"])
