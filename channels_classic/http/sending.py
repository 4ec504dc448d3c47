"""Sends an answer as fast as its client reads (specification, section 4)."""

from __future__ import annotations

import time
from contextlib import suppress

from channels_classic.backoff import Backoff
from channels_classic.channel import Channel
from channels_classic.http.handler import Answer
from channels_classic.http.replies import END, NOTHING_YET, SECOND_STATUS, SERVER_ERROR, Reply
from channels_classic.layers.gone import is_gone
from channels_classic.stopping import Stopping

SHORTEST_PAUSE = 0.01
LONGEST_PAUSE = 0.5
"""Seconds between two tries to send to a full channel."""

LOOK_SECONDS = 1.0
"""Seconds between two checks, during an answer in parts, whether its client is still connected."""


SMALL_PART = 16 * 1024
"""Bytes; a message up to this size is sent again and again to a full channel."""


class AnswerSender:
    """Sends one answer.

    Arguments:
        reply_channel: of the client.
        answer: is closed when it has been sent, or cannot be sent.
        timeout: seconds that a client may take to make room for the next part.
    """

    def __init__(self, reply_channel: Channel, answer: Answer, timeout: float) -> None:
        self.has_begun = False
        """Whether a part has been sent, so that it is too late for another answer."""
        self._channel = reply_channel
        self._answer = answer
        self._timeout = timeout
        self._part: Reply | None = None
        """The next message, if it has been made already."""
        self._look_at = time.monotonic() + LOOK_SECONDS

    def send_what_fits(self) -> bool:
        """Send as much as the client accepts now.

        Returns:
            Whether that was all; if not, ``send_all`` has to send the rest.
        """
        return self._send(wait=False, stopping=None)

    def send_all(self, stopping: Stopping) -> None:
        """Send the rest, and wait for the client whenever it reads too slowly.

        Arguments:
            stopping: set when the worker stops. An event stream ends then, and its client reconnects.

        Raises:
            ChannelFull: the client did not accept the next part in time.
        """
        self._send(wait=True, stopping=stopping)

    def cut(self) -> None:
        """Close the client's connection before the answer is complete, as a WSGI server does."""
        with suppress(self._channel.channel_layer.ChannelFull):
            self._channel.send(SECOND_STATUS, immediately=True)

    def _send(self, wait: bool, stopping: Stopping | None) -> bool:
        is_done = True
        try:
            is_done = self._send_parts(wait, stopping)
        except BaseException:
            if self.has_begun:
                self.cut()
            elif wait:
                with suppress(self._channel.channel_layer.ChannelFull):
                    self._channel.send_checked(SERVER_ERROR)
            raise
        finally:
            if is_done:
                self._answer.close()
        return is_done

    def _send_parts(self, wait: bool, stopping: Stopping | None) -> bool:
        """Send part by part. Returns whether the answer is complete, or no longer needed."""
        while stopping is None or not stopping.is_abandoned:
            if self._part is None:
                self._part = next(self._answer.replies, None)
                if self._part is None:
                    return True
            if stopping is not None and stopping.is_set() and self._answer.is_event_stream and self.has_begun:
                self._part = END
            if self._is_gone():
                return True
            if not self._send_part(self._part):
                if not wait:
                    return False
                if not self._send_when_there_is_room(self._part):
                    return True
            if not self._part.get("more_content"):
                return True
            self._part = None
        return True

    def _send_part(self, part: Reply) -> bool:
        """Send a part. Returns whether the channel had room for it."""
        # An answer of one message can be sent together with the consumer's other messages. One of several cannot:
        # it would pile up in memory, and a stream would arrive all at once.
        immediately = self.has_begun or part.get("more_content", False)
        try:
            self._channel.send_checked(part, immediately=immediately)
        except self._channel.channel_layer.ChannelFull:
            return False
        except BaseException:
            self.has_begun = True  # the part may have arrived, so it is not sent again
            raise
        self.has_begun = True
        return True

    def _send_when_there_is_room(self, part: Reply) -> bool:
        """Send a part that found the channel full. Returns whether its client was there to receive it.

        Raises:
            ChannelFull: there was no room in time.
        """
        backoff = Backoff(SHORTEST_PAUSE, LONGEST_PAUSE)
        give_up_at = time.monotonic() + self._timeout
        # Sending half a megabyte each time would be a costly way to find out whether the channel is still full.
        has_room = not self.has_begun or len(part.get("content", b"")) <= SMALL_PART
        while True:
            pause = backoff.fail()
            if time.monotonic() + pause > give_up_at:
                layer = self._channel.channel_layer
                raise layer.ChannelFull(layer.full_text(self._channel.name))
            time.sleep(pause)
            if self._is_gone():
                return False
            if not has_room:
                has_room = self._send_part(NOTHING_YET)
            if has_room and self._send_part(part):
                return True

    def _is_gone(self) -> bool:
        """Whether the client is known to have left; checked at intervals."""
        if not self.has_begun or time.monotonic() < self._look_at:
            return False
        self._look_at = time.monotonic() + LOOK_SECONDS
        return is_gone(self._channel.channel_layer, self._channel.name)
