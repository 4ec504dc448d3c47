"""One message: its consumer is found and run, and what it raises is dealt with (specification, section 7)."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import copy_context
from time import perf_counter
from typing import Any

from django.conf import settings

from channels_classic.counters import MOST_CONSUMERS, ConsumerCount, counters
from channels_classic.exceptions import ChannelSocketException, ConsumeLater, DenyConnection
from channels_classic.http.replies import SERVER_ERROR
from channels_classic.log import logger
from channels_classic.log_context import message_at_work
from channels_classic.message import Message
from channels_classic.pending import PendingSends
from channels_classic.routing import Consumer, Router
from channels_classic.signals import consumer_finished, consumer_started
from channels_classic.synchronous import check_finished

OnError = Callable[..., None]

_counts: dict[Consumer, ConsumerCount] = {}
"""By consumer, because to look one up by its name takes longer than to count."""


def log_error(error: BaseException, text: str, *args: object) -> None:
    """Log the mistake of a consumer, with its traceback."""
    logger.error(text, *args, exc_info=error)


def consume(
    message: Message,
    router: Router,
    retries: int,
    sender: Any,
    on_error: OnError = log_error,
    pending: PendingSends | None = None,
) -> PendingSends:
    """Run the consumer of ``message``, in a context of its own.

    Whatever the consumer raises is its own failure and nobody else's, ``SystemExit`` and ``CancelledError``
    included.

    Arguments:
        router: finds the consumer.
        retries: how often ``ConsumeLater`` may put the message back.
        sender: the sender of the signals around the consumer.
        on_error: called, as ``log_error`` is, with any exception that the consumer should not have raised.
        pending: what collects the sends, if the caller wants to have it in any case.

    Returns:
        What is to be sent now that the consumer is done.

    Raises:
        KeyboardInterrupt: it came while the consumer ran, which has failed by it.
    """
    if pending is None:
        pending = PendingSends()
    # What this client's consumer sets in its context, such as the language, the next one's must not find.
    copy_context().run(_consume, message, router, retries, sender, on_error, pending)
    return pending


def _consume(
    message: Message, router: Router, retries: int, sender: Any, on_error: OnError, pending: PendingSends
) -> None:
    message_at_work.set(message)
    counters.received += 1
    with pending:
        match = router.match(message)
        if match is None:
            logger.error(
                "No route matches a message on %r (path %r): add one to the routing of the channel layer.",
                message.channel.name,
                message.get("path"),
            )
            _fail(message, pending)
            return
        consumer, kwargs = match
        began = perf_counter()
        try:
            _run(consumer, kwargs, message, pending, retries, sender, on_error)
        finally:
            count_of(consumer).add(perf_counter() - began)
            # Django logs what receivers raise; the consumer has done its work, and so has the worker.
            consumer_finished.send_robust(sender=sender)


def _run(
    consumer: Consumer,
    kwargs: dict[str, Any],
    message: Message,
    pending: PendingSends,
    retries: int,
    sender: Any,
    on_error: OnError,
) -> None:
    message.__doomed__ = message.get("__retries__", 0) >= retries  # type: ignore[attr-defined]
    try:
        consumer_started.send(sender=sender, environ={})
        result = consumer(message, **kwargs)
        if result is not None:
            check_finished(result, name_of(consumer))
        if message.channel.name == "websocket.connect" and not _answered(message, pending):
            if not getattr(settings, "CHANNELS_EXPLICIT_ACCEPT", False):
                _reply(message, {"accept": True})
    except DenyConnection as error:
        if message.channel.name == "websocket.connect":
            _reply(message, {"close": True})
        else:
            on_error(
                error,
                "%s raised DenyConnection for a message on %r: only a websocket.connect can be denied.",
                name_of(consumer),
                message.channel.name,
            )
    except ChannelSocketException as error:
        try:
            error.run(message)
        except BaseException as failure:
            on_error(failure, "%r, raised by %s, failed when it was run.", error, name_of(consumer))
            _let_interrupts_through(failure)
    except ConsumeLater:
        _put_back(consumer, message, retries)
    except BaseException as error:
        counters.note_error(name_of(consumer), error)
        on_error(error, "Error in the consumer %s on %r:", name_of(consumer), message.channel.name)
        _fail(message, pending)
        _let_interrupts_through(error)


def _let_interrupts_through(error: BaseException) -> None:
    """Ctrl-C is meant for the program and not for the consumer that it happens to hit."""
    if isinstance(error, KeyboardInterrupt):
        raise error


def _put_back(consumer: Consumer, message: Message, retries: int) -> None:
    if message.__doomed__:  # type: ignore[attr-defined]
        logger.warning(
            "A message on %r was dropped: %s has put it back %d times.",
            message.channel.name,
            name_of(consumer),
            retries,
        )
        return
    message.channel.send({**message.content, "__retries__": message.get("__retries__", 0) + 1})


def _fail(message: Message, pending: PendingSends) -> None:
    """Do not let a client wait for an answer that nobody will give."""
    if not _answered(message, pending):
        if message.channel.name == "http.request":
            _reply(message, SERVER_ERROR)
        elif message.channel.name == "websocket.connect":
            _reply(message, {"close": True})


def _answered(message: Message, pending: PendingSends) -> bool:
    return message.reply_channel is not None and message.reply_channel.name in pending.names


def _reply(message: Message, content: dict[str, Any]) -> None:
    if message.reply_channel is not None:
        message.reply_channel.send_checked(content)


def count_of(consumer: Consumer) -> ConsumerCount:
    """What is counted of a consumer."""
    count = _counts.get(consumer)
    if count is None:
        count = counters.consumer(name_of(consumer))
        if len(_counts) < MOST_CONSUMERS:
            _counts[consumer] = count
    return count


def name_of(consumer: Consumer) -> str:
    """The dotted name of a consumer, as log lines have it."""
    named = consumer if hasattr(consumer, "__qualname__") else type(consumer)
    return f"{named.__module__}.{named.__qualname__}"
