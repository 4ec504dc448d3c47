"""``MessageReader``: reads the messages of a client from its WebSocket.

It joins frames, and holds messages back while nobody wants them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from websockets.frames import CloseCode, Frame, Opcode
from websockets.server import ServerProtocol

from interface_server.websocket.whole_frames import read_whole, size_of

TEXT, BINARY, CONT = DATA = Opcode.TEXT, Opcode.BINARY, Opcode.CONT

PIECE = 16 * 1024
"""Bytes that are parsed at once. A read may bring many more, with a frame in every few bytes."""

COMPRESSED_PIECE = 1024
"""The same for compressed messages: a byte can become a thousand, and what was parsed may have to be held back."""

MOST_FRAMES = 1000
"""The most frames of one piece that may be held back. Only a flood of tiny frames has more, and is closed with
1013."""


class MessageReader:
    """Takes bytes, and gives messages in order. At first it holds them back, until ``release``.

    Arguments:
        protocol: parses the bytes.
        take_message: called with each message: text as ``str``, or ``bytes``. It may call ``hold``.
        take_control: called with each control frame, in order with messages.
        parsed: called when all received bytes are parsed. Then the protocol may have something to send.
    """

    def __init__(
        self,
        protocol: ServerProtocol,
        take_message: Callable[[str | bytes], None],
        take_control: Callable[[Frame], None],
        parsed: Callable[[], None],
    ) -> None:
        self._protocol = protocol
        self._take_message = take_message
        self._take_control = take_control
        self._parsed = parsed
        self.is_held = True
        """Whether messages are held back."""
        self._frames: list[Frame] = []
        """Parsed frames that are held back, the last one first."""
        self._unparsed = bytearray()
        self._fragments = bytearray()
        self._is_text = False
        self._is_fragmented = False
        """Whether a message has begun, and more fragments of it follow."""
        self._bytes_inside = 0
        """Bytes of an incomplete frame that the protocol has. This may stay above 0 for a client that does not
        encode lengths in the shortest way. Then all its frames go through the protocol."""

    @property
    def size(self) -> int:
        """The number of bytes that are held back, except up to one piece."""
        return len(self._unparsed)

    def feed(self, data: bytes) -> None:
        """Take bytes from the client."""
        if self.is_held:
            self._unparsed += data
        elif len(data) <= PIECE and self._read_whole(data):
            pass
        elif len(data) <= self._most:
            self._read_by_protocol(data)
        else:
            self._unparsed += data
            self._take_unparsed()

    def hold(self) -> None:
        """Hold messages back from now on."""
        self.is_held = True

    def release(self) -> None:
        """Give the messages that were held back, and those that come from now on."""
        self.is_held = False
        self._deliver()
        self._take_unparsed()

    def flush(self) -> None:
        """Give the messages that were held back, even if the taker wants a pause, because nothing more comes."""
        while self._frames or self._unparsed:
            self.release()

    def drop(self) -> None:
        """Drop the messages that were held back."""
        self._frames.clear()
        self._unparsed.clear()

    @property
    def _most(self) -> int:
        """The most bytes to parse at once."""
        return COMPRESSED_PIECE if self._protocol.extensions else PIECE

    def _take_unparsed(self) -> None:
        most = self._most
        while self._unparsed and not self.is_held:
            piece = bytes(self._unparsed[:most])
            del self._unparsed[:most]
            if not self._read_whole(piece):
                self._read_by_protocol(piece)

    def _read_whole(self, data: bytes) -> bool:
        """If the bytes are exactly one message, take it past the protocol. Returns whether they were."""
        protocol = self._protocol
        if self._bytes_inside or self._is_fragmented or self._frames or protocol.extensions:
            return False
        is_closing = protocol.close_sent is not None or protocol.close_rcvd is not None
        if is_closing or (whole := read_whole(data)) is None:
            return False
        message, self._is_text = whole
        if protocol.max_message_size is not None and len(message) > protocol.max_message_size:
            return False
        self._give(message)
        if protocol.close_sent is not None:
            self._parsed()
        return True

    def _read_by_protocol(self, data: bytes) -> None:
        self._protocol.receive_data(data)
        frames = cast("list[Frame]", self._protocol.events_received())
        self._bytes_inside += len(data) - sum(size_of(len(frame.data)) for frame in frames)
        if len(frames) == 1 and not self._frames:
            # A short cut for the usual case: after a single message the protocol has nothing to send, unless it
            # failed.
            frame = frames[0]
            self._take(frame)
            if frame.opcode not in DATA or self._protocol.close_sent is not None:
                self._parsed()
        else:
            self._frames = [*reversed(frames), *self._frames]
            self._deliver()

    def _deliver(self) -> None:
        while self._frames:
            if self.is_held:
                if len(self._frames) <= MOST_FRAMES:
                    return
                self.drop()
                self._protocol.fail(CloseCode.TRY_AGAIN_LATER, "too many messages at once")
                break
            self._take(self._frames.pop())
        self._parsed()

    def _take(self, frame: Frame) -> None:
        opcode = frame.opcode
        if opcode is TEXT or opcode is BINARY:
            self._is_text = opcode is TEXT
            self._is_fragmented = not frame.fin
            if frame.fin:
                self._give(bytes(frame.data))
            else:
                self._fragments += frame.data
        elif opcode is CONT:
            # Fragments are joined, because many small ones would take much more memory than their size.
            self._fragments += frame.data
            if frame.fin:
                self._is_fragmented = False
                data, self._fragments = bytes(self._fragments), bytearray()
                self._give(data)
        else:
            self._take_control(frame)

    def _give(self, data: bytes) -> None:
        if not self._is_text:
            self._take_message(data)
            return
        try:
            text = data.decode()
        except UnicodeDecodeError as error:
            self.drop()
            self._protocol.fail(CloseCode.INVALID_DATA, f"text that is not UTF-8 at byte {error.start}")
        else:
            self._take_message(text)
