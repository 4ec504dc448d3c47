"""``Incoming``: the messages of one WebSocket's client, on their way to ``websocket.receive``."""

from __future__ import annotations

from collections.abc import Callable

from channels_classic.layers import MessageTooLarge
from channels_classic.layers.types import quick_client, quick_delivery
from interface_server import messages
from interface_server.backpressure import Amount, Bounds
from interface_server.context import Context
from interface_server.fair_queue import ClientQueue
from interface_server.outcome import Outcome
from interface_server.websocket.goodbyes import Goodbyes

BOUNDS = Bounds(high=Amount(20, 2**18), low=Amount(5, 2**16), most=Amount(1000, 2**22))
"""How many messages of one client may be on their way, and how many bytes of memory they may take.

From the first bound on nothing more is read from the client, until the amount falls to the second. Bytes that have
already been read still come. Only a flood of tiny messages in them can exceed the third bound, and then the socket
is closed.
"""

MESSAGE_TOO_BIG = 1009
TRY_AGAIN_LATER = 1013


class Incoming:
    """Numbers the messages of one client, and sends them in order, within the client's bounds.

    Arguments:
        context: the context of the process.
        goodbyes: sends the ``websocket.disconnect``.
        path: the path of the socket.
        reply_channel: the reply channel of the socket.
        close: called with a code when the socket cannot go on.
        resume: called when more messages can be read again.
    """

    def __init__(
        self,
        context: Context,
        goodbyes: Goodbyes,
        path: str,
        reply_channel: str,
        close: Callable[[int], None],
        resume: Callable[[], None],
    ) -> None:
        self.is_full = False
        """Whether to stop reading from the client for now."""
        self._layer = context.layer
        self._outbox = context.outbox
        self._max_size = context.options.max_message_size
        self._goodbyes = goodbyes
        self._path = path
        self._reply_channel = reply_channel
        self._close = close
        self._resume = resume
        self._queue = ClientQueue(BOUNDS.most, self._settled)
        self._order = 0
        self._taken = 0
        self._goodbye: int | None = None

    @property
    def next_order(self) -> int:
        """The order of the first message that the layer has not taken."""
        return self._taken + 1

    def pass_on(self, data: str | bytes) -> None:
        """Send a message of the client to workers."""
        order = self._order + 1
        content = messages.websocket_receive(self._path, self._reply_channel, order, data)
        try:
            if len(data) > self._max_size:
                raise MessageTooLarge
            prepared = self._layer.prepare("websocket.receive", content, checked=True)
        except MessageTooLarge:
            self._close(MESSAGE_TOO_BIG)
            return
        client = quick_client((self._reply_channel, order, None))
        delivery = quick_delivery((prepared.name, prepared.payload, False, None, client))
        queue = self._queue
        if not self._outbox.enqueue(queue, delivery, self._layer.expiry):
            self._give_up()
            return
        self._order = order
        if queue.messages > 1:
            high = BOUNDS.high
            if queue.messages >= high.messages or queue.size >= high.size or self._outbox.is_crowded:
                self.is_full = True

    def end(self, code: int, was_stopped: bool = False) -> None:
        """Note that the socket has ended. The goodbye is sent when the last message that arrived is known.

        Arguments:
            code: the close code. | was_stopped: whether the server has ended it. Then its messages wait for room.
        """
        if code == TRY_AGAIN_LATER:
            self._outbox.drop(self._queue)
        if not was_stopped:
            self._outbox.leave(self._queue)
        self._goodbye = code
        self._say_goodbye()

    def forget(self) -> None:
        """Send nothing more, and no goodbye, because workers already know that the socket is gone."""
        self._outbox.drop(self._queue)

    def _give_up(self) -> None:
        """End a socket because one of its messages is missing, or may be. Those behind it are useless."""
        self._close(TRY_AGAIN_LATER)
        self._outbox.drop(self._queue)

    def _settled(self, outcome: Outcome) -> None:
        if outcome is not Outcome.REFUSED:
            # A message that may have arrived counts, because a number that comes twice is worse than a missing
            # one.
            self._taken += 1
        if outcome is not Outcome.TAKEN:
            self._give_up()
        if self.is_full:
            self._look_for_room()
        if self._goodbye is not None:
            self._say_goodbye()

    def _look_for_room(self) -> None:
        queue, low = self._queue, BOUNDS.low
        if queue.messages <= low.messages and queue.size <= low.size:
            if not queue.messages or not self._outbox.is_crowded:
                self.is_full = False
                self._resume()

    def _say_goodbye(self) -> None:
        if self._goodbye is None or self._queue.messages:
            return
        content = messages.websocket_disconnect(self._path, self._reply_channel, self._taken + 1, self._goodbye)
        self._goodbye = None
        self._goodbyes.say(content)
