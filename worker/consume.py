"""Handles one message: finds and runs its consumer, and handles what that raises (specification, section 7)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextvars import Context, copy_context
from time import perf_counter
from typing import Any, NamedTuple

from asgiref.sync import async_to_sync, sync_to_async
from django.conf import settings

from channels_classic.asynchronous import close, rest_of
from channels_classic.counters import MOST_CONSUMERS, ConsumerCount, counters
from channels_classic.dotted import name_of
from channels_classic.exceptions import ChannelSocketException, ConsumeLater, DenyConnection
from channels_classic.http.replies import SERVER_ERROR
from channels_classic.layers import Lapsed
from channels_classic.layers.cancellation import to_the_end
from channels_classic.log import logger
from channels_classic.log_context import message_at_work
from channels_classic.message import Message
from channels_classic.pending import PendingSends
from channels_classic.routing import Consumer, Router
from channels_classic.signals import consumer_finished, consumer_started
from channels_classic.unfinished import check_finished

OnError = Callable[..., None]

_counts: dict[Consumer, ConsumerCount] = {}
"""The key is the consumer, because a lookup by its name takes longer than the count."""


def log_error(error: BaseException, text: str, *args: object) -> None:
    """Log an error of a consumer, with its traceback."""
    logger.error(text, *args, exc_info=error)


def consume(
    message: Message,
    router: Router,
    retries: int,
    sender: Any,
    on_error: OnError = log_error,
    pending: PendingSends | None = None,
) -> PendingSends:
    """Run the consumer of ``message`` to its end, in a context of its own.

    Whatever the consumer raises, even ``SystemExit`` and ``CancelledError``, fails only this consumer.

    Arguments:
        router: finds the consumer.
        retries: how often ``ConsumeLater`` may put the message back.
        sender: the sender of the signals ``consumer_started`` and ``consumer_finished``.
        on_error: called like ``log_error`` with any exception that the consumer should not have raised.
        pending: collects the sends, if the caller needs it even after an error.

    Returns:
        The messages to send now that the consumer is done.

    Raises:
        KeyboardInterrupt: it came while the consumer ran, and has failed that.
    """
    if pending is None:
        pending = PendingSends()
    unfinished = begin(message, router, retries, sender, on_error, pending)
    if unfinished is not None:
        unfinished.run_here()
    return pending


def begin(
    message: Message, router: Router, retries: int, sender: Any, on_error: OnError, pending: PendingSends
) -> Unfinished | None:
    """Call the consumer of ``message`` in a context of its own. Arguments and errors are as in ``consume``.

    Returns:
        The rest of an asynchronous consumer; ``None`` if the consumer is done.
    """
    # A consumer may set something in its context, such as the language, which the next client must not get.
    context = copy_context()
    return context.run(_begin, context, message, router, retries, sender, on_error, pending)


class _Run(NamedTuple):
    """A consumer that was called, and its message; see ``consume``."""

    message: Message
    consumer: Consumer
    pending: PendingSends
    retries: int
    sender: Any
    on_error: OnError


def _begin(
    context: Context,
    message: Message,
    router: Router,
    retries: int,
    sender: Any,
    on_error: OnError,
    pending: PendingSends,
) -> Unfinished | None:
    message_at_work.set(message)
    pending.collect_here()  # the context ends with the message, so nothing has to be reset
    counters.received += 1
    consumer = None
    try:
        match = router.match(message)
        if match is None:
            logger.error(
                "No route matches a message on %r (path %r): add one to the routing of the channel layer.",
                message.channel_name,
                message.get("path"),
            )
            _fail(message, pending)
            return None
        consumer, kwargs = match
        began = perf_counter()
        try:
            message.__doomed__ = message.content.get("__retries__", 0) >= retries  # type: ignore[attr-defined]
            if consumer_started.receivers:
                consumer_started.send(sender=sender, environ={})
            result = consumer(message, **kwargs)
            if result is not None:
                if (rest := rest_of(result)) is not None:
                    pending.asynchronous = name_of(consumer)
                    run = _Run(message, consumer, pending, retries, sender, on_error)
                    return Unfinished(run, rest, context)
                check_finished(result, name_of(consumer))
            if message.channel_name == "websocket.connect":
                _accept(message, pending)
        except BaseException as error:
            _raise(_deal_with(error, _Run(message, consumer, pending, retries, sender, on_error)))
        return None
    finally:
        if not pending.asynchronous:
            try:
                if consumer is not None:
                    count_of(consumer).add(perf_counter() - began)
                    if consumer_finished.receivers:
                        # Django logs what receivers raise, but lets through what would end the program.
                        consumer_finished.send_robust(sender=sender)
            finally:
                pending.finish()


class Unfinished:
    """An asynchronous consumer that was called, and has to run to its end in an event loop.

    Arguments:
        run: the consumer and its message.
        rest: what has to be awaited.
        context: the context in which the consumer was called, and continues.
    """

    def __init__(self, run: _Run, rest: Awaitable[Any], context: Context) -> None:
        self._run = run
        self._rest = rest
        self.context = context
        self.name = run.pending.asynchronous
        """The dotted name of the consumer."""
        self.pending = run.pending
        """What it sends."""
        self._began = perf_counter()
        self.is_given_up = False
        """Whether nobody waits for it any more, because the process ends, and another one tells its client."""

    def fail(self, error: Exception) -> None:
        """End it, because it cannot go on. Its client gets the answer to an error."""
        close(self._rest)
        self.context.run(_deal_with, error, self._run)
        self.pending.finish()

    def run_here(self) -> None:
        """Run it to its end in this thread, with its synchronous parts."""
        self.context.run(async_to_sync(self.finish))

    async def finish(self) -> None:
        """Run it to its end, in its context.

        Raises:
            CancelledError: it was cancelled, and had been given up.
            KeyboardInterrupt: as in ``consume``.
        """
        run = self._run
        run.pending.collect_here()  # this is the context of a task
        interrupt = None
        try:
            check_finished(await self._rest, self.name)
            if run.message.channel_name == "websocket.connect":
                _accept(run.message, run.pending)
        except BaseException as error:
            if self.is_given_up and isinstance(error, asyncio.CancelledError):
                raise
            # This is code of the project, which may wait for a database. The consumer may have left a task that
            # cancels this one only now.
            interrupt = await to_the_end(sync_to_async(_deal_with)(error, run))
        if run.pending.calls:
            await to_the_end(sync_to_async(run.pending.finish)())
        else:
            run.pending.finish()
        count_of(run.consumer).add(perf_counter() - self._began)
        if consumer_finished.has_listeners(run.sender):
            await to_the_end(consumer_finished.asend_robust(sender=run.sender))
        _raise(interrupt)


def _accept(message: Message, pending: PendingSends) -> None:
    """Accept the socket if its consumer has not answered."""
    if not getattr(settings, "CHANNELS_EXPLICIT_ACCEPT", False) and not _answered(message, pending):
        _reply(message, {"accept": True})


def _deal_with(error: BaseException, run: _Run) -> KeyboardInterrupt | None:
    """Handle an exception that a consumer has raised.

    Returns:
        The exception to raise again: Ctrl-C is for the program, and not for the consumer that runs.
    """
    message = run.message
    match error:
        case DenyConnection():
            if message.channel_name == "websocket.connect":
                _reply(message, {"close": True})
            else:
                run.on_error(
                    error,
                    "%s raised DenyConnection for a message on %r: only a websocket.connect can be denied.",
                    name_of(run.consumer),
                    message.channel_name,
                )
        case ChannelSocketException():
            try:
                error.run(message)
            except BaseException as failure:
                run.on_error(failure, "%r, raised by %s, failed when it was run.", error, name_of(run.consumer))
                return _interrupt(failure)
        case ConsumeLater():
            try:
                _put_back(run)
            except Exception as failure:  # the consumer may have put anything into the message
                run.on_error(
                    failure, "%s cannot put its message back on %r:", name_of(run.consumer), message.channel_name
                )
                _fail(message, run.pending)
        case Lapsed():
            logger.error("%s on %r was broken off. %s", name_of(run.consumer), message.channel_name, error)
        case _:
            counters.note_error(name_of(run.consumer), error)
            run.on_error(error, "Error in the consumer %s on %r:", name_of(run.consumer), message.channel_name)
            _fail(message, run.pending)
            return _interrupt(error)
    return None


def _put_back(run: _Run) -> None:
    message = run.message
    if message.__doomed__:  # type: ignore[attr-defined]
        logger.warning(
            "A message on %r was dropped: %s has put it back %d times.",
            message.channel_name,
            name_of(run.consumer),
            run.retries,
        )
        return
    message.channel.send({**message.content, "__retries__": message.get("__retries__", 0) + 1})


def _interrupt(error: BaseException) -> KeyboardInterrupt | None:
    return error if isinstance(error, KeyboardInterrupt) else None


def _raise(interrupt: KeyboardInterrupt | None) -> None:
    if interrupt is not None:
        raise interrupt


def _fail(message: Message, pending: PendingSends) -> None:
    """Answer a client that would otherwise wait in vain."""
    if not _answered(message, pending):
        if message.channel_name == "http.request":
            _reply(message, SERVER_ERROR)
        elif message.channel_name == "websocket.connect":
            _reply(message, {"close": True})


def _answered(message: Message, pending: PendingSends) -> bool:
    return message.reply_channel is not None and message.reply_channel.name in pending.names


def _reply(message: Message, content: dict[str, Any]) -> None:
    if message.reply_channel is not None:
        message.reply_channel.send_checked(content)


def count_of(consumer: Consumer) -> ConsumerCount:
    """The counters of a consumer."""
    try:
        count = _counts.get(consumer)
    except TypeError:  # it has no hash, as an object of a dataclass
        return counters.consumer(name_of(consumer))
    if count is None:
        count = counters.consumer(name_of(consumer))
        if len(_counts) < MOST_CONSUMERS:
            _counts[consumer] = count
    return count
