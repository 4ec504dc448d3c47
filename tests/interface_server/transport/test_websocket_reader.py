"""Reading messages of a client, for any reads, fragments and holds."""

from __future__ import annotations

import itertools
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import Close, CloseCode, Frame, Opcode
from websockets.protocol import State
from websockets.server import ServerProtocol

from interface_server.transport.websocket_reader import PIECE, MessageReader


class Client:
    """Both ends: bytes go in, and the messages for the application are in ``got``."""

    def __init__(self, max_size: int = 2**20, hold_after: set[int] | None = None) -> None:
        self.protocol = ServerProtocol(state=State.OPEN, max_size=max_size)
        self.got: list[Any] = []
        self.sent: list[bytes] = []
        self.hold_after = hold_after or set()
        self.reader = MessageReader(self.protocol, self.take, self.take_control, self.write)
        self.reader.release()

    def take(self, message: str | bytes) -> None:
        self.got.append(message)
        if len(self.got) in self.hold_after:
            self.reader.hold()

    def take_control(self, frame: Frame) -> None:
        self.take(f"{frame.opcode.name} {bytes(frame.data)!r}")

    def write(self) -> None:
        self.sent += self.protocol.data_to_send()

    @property
    def close_code(self) -> int | None:
        return self.protocol.close_sent and self.protocol.close_sent.code


def encoded(opcode: Opcode, data: bytes, fin: bool = True) -> bytes:
    return Frame(opcode, data, fin).serialize(mask=True)


def fragmented(message: str | bytes, cuts: list[int]) -> list[bytes]:
    data = message.encode() if isinstance(message, str) else message
    bounds = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    first = Opcode.TEXT if isinstance(message, str) else Opcode.BINARY
    pieces = [data[start:end] for start, end in itertools.pairwise(bounds)]
    return [
        encoded(first if number == 0 else Opcode.CONT, piece, number == len(pieces) - 1)
        for number, piece in enumerate(pieces)
    ]


messages = st.lists(
    st.tuples(st.text() | st.binary(), st.lists(st.integers(0, 100), max_size=4), st.booleans()), max_size=12
)


@given(messages, st.lists(st.integers(1, 40), min_size=1), st.sets(st.integers(1, 20)))
def test_any_reads_fragments_and_holds_give_the_same_messages(
    sent: list[tuple[Any, list[int], bool]], reads: list[int], holds: set[int]
) -> None:
    client = Client(hold_after=holds)
    stream, expected = b"", []
    for message, cuts, ping in sent:
        frames = fragmented(message, cuts)
        if ping:
            frames.insert(1, encoded(Opcode.PING, b"there?"))
            in_the_middle = len(frames) > 2
            expected += ["PING b'there?'", message] if in_the_middle else [message, "PING b'there?'"]
        else:
            expected.append(message)
        stream += b"".join(frames)
    number = 0
    while stream:
        size = reads[number % len(reads)]
        client.reader.feed(stream[:size])
        stream = stream[size:]
        number += 1
    while client.reader.is_held:
        assert len(client.got) in holds
        client.reader.release()
    assert client.got == expected
    assert client.close_code is None


def test_a_large_read_stops_at_the_frame_that_holds() -> None:
    client = Client(hold_after={3})
    one = encoded(Opcode.BINARY, b"x" * 20)
    client.reader.feed(one * 100_000)
    assert len(client.got) == 3
    assert client.reader.size > 100_000 * len(one) - 2 * PIECE
    client.reader.release()
    assert len(client.got) == 100_000
    assert client.reader.size == 0


def test_a_flood_of_tiny_messages_that_nobody_takes() -> None:
    client = Client(hold_after={3})
    client.reader.feed(encoded(Opcode.BINARY, b"x") * 10_000)
    assert len(client.got) == 3
    assert client.close_code == 1013
    assert client.reader.size == 0
    assert client.sent


@pytest.mark.parametrize("piece", [b"", b"x"], ids=["empty", "short"])
def test_a_message_in_many_fragments_takes_no_more_than_its_size(piece: bytes) -> None:
    client = Client()
    client.reader.feed(encoded(Opcode.BINARY, b"begin", False))
    client.reader.feed(encoded(Opcode.CONT, piece, False) * 100_000)
    assert isinstance(client.reader._fragments, bytearray)
    assert len(client.reader._fragments) == 5 + 100_000 * len(piece)
    client.reader.feed(encoded(Opcode.CONT, b"end"))
    assert client.got == [b"begin" + piece * 100_000 + b"end"]
    assert len(client.reader._fragments) == 0


@given(st.integers(1, 200), st.lists(st.integers(0, 200), max_size=5))
def test_a_message_that_is_too_large_in_however_many_fragments(size: int, cuts: list[int]) -> None:
    client = Client(max_size=100)
    client.reader.feed(b"".join(fragmented(b"x" * size, cuts)))
    assert (client.got, client.close_code) == (([], 1009) if size > 100 else ([b"x" * size], None))


@pytest.mark.parametrize("cuts", [[], [1], [3]])
def test_text_that_is_not_utf_8(cuts: list[int]) -> None:
    client = Client()
    frames = fragmented(b"ab\xff\xfe", cuts)
    frames[0] = bytes([frames[0][0] - 1]) + frames[0][1:]  # binary to text
    client.reader.feed(b"".join(frames) + encoded(Opcode.TEXT, b"more"))
    assert client.got == []
    assert client.close_code == CloseCode.INVALID_DATA
    assert client.sent[-1] == b""


def test_few_bytes_are_held_back_of_messages_that_were_compressed_well() -> None:
    compressor = zlib.compressobj(wbits=-12)
    bombs = [compressor.compress(bytes(10**6)) + compressor.flush(zlib.Z_SYNC_FLUSH)[:-4] for _ in range(20)]
    client = Client(hold_after={1, 2})
    client.protocol.extensions = [PerMessageDeflate(False, False, 12, 12)]
    client.reader.feed(
        b"".join(bytes([0b11000010, 0x80 | 126]) + len(b).to_bytes(2) + bytes(4) + b for b in bombs)
    )
    for taken in (1, 2):
        assert len(client.got) == taken
        assert sum(len(frame.data) for frame in client.reader._frames) <= 2 * 10**6
        client.reader.release()
    assert client.got == [bytes(10**6)] * 20


def test_a_close_is_answered_in_its_turn() -> None:
    client = Client(hold_after={1})
    closing = encoded(Opcode.CLOSE, Close(1001, "bye").serialize())
    client.reader.feed(encoded(Opcode.TEXT, b"last words") * 2 + closing)
    assert client.got == ["last words"]
    assert client.sent == []
    client.reader.release()
    assert client.got[1] == "last words"
    assert client.got[2].startswith("CLOSE")
    assert client.sent[-1] == b""


@given(st.binary(max_size=300))
def test_no_bytes_raise(data: bytes) -> None:
    client = Client()
    client.reader.feed(data)


def unchecked(opcode: Opcode, data: bytes, fin: bool) -> bytes:
    """A frame of a client that ignores all rules."""
    size = bytes([0x80 | len(data)]) if len(data) < 126 else bytes([0x80 | 126, *len(data).to_bytes(2)])
    return bytes([fin << 7 | opcode]) + size + bytes(4) + data


pieces = st.lists(
    st.builds(
        unchecked,
        st.sampled_from([Opcode.TEXT, Opcode.TEXT, Opcode.BINARY, Opcode.CONT, Opcode.PING, Opcode.CLOSE]),
        st.text(max_size=50).map(str.encode)
        | st.sampled_from([b"", b"\xff", b"\x03\xe8bye", b"x" * 200, b"y" * 300]),
        st.sampled_from([True, True, True, False]),
    )
    | st.binary(max_size=8),
    max_size=10,
)


@given(pieces, st.lists(st.integers(1, 400), max_size=5), st.sets(st.integers(1, 10)))
def test_the_fast_path_and_the_protocol_agree(sent: list[bytes], joints: list[int], holds: set[int]) -> None:
    reads = list(sent)
    for joint in joints:
        # Frames that come together, and frames that come in two parts.
        if len(reads) > 1:
            place = joint % (len(reads) - 1)
            both = reads[place] + reads[place + 1]
            reads[place : place + 2] = [both] if joint % 2 else [both[:joint], both[joint:]]
    clients = [Client(max_size=250, hold_after=holds) for _ in range(2)]
    clients[1].reader._read_whole = lambda data: False  # type: ignore[method-assign]
    for read in reads:
        for client in clients:
            client.reader.feed(read)
    for client in clients:
        for _ in range(20):
            client.reader.release()
    fast, slow = clients
    assert fast.got == slow.got
    assert fast.sent == slow.sent
    assert fast.close_code == slow.close_code


def test_a_client_is_on_the_fast_path_again_after_frames_in_parts() -> None:
    client = Client()
    ping, text = encoded(Opcode.PING, b"there?"), encoded(Opcode.TEXT, b"x" * 300)
    in_parts = encoded(Opcode.TEXT, b"a", False) + encoded(Opcode.CONT, b"b")
    for read in (text + ping, text[:3], text[3:], ping, in_parts):
        client.reader.feed(read)
    client.protocol.receive_data = None  # type: ignore[assignment]
    client.reader.feed(text)
    assert client.got[-2:] == ["ab", "x" * 300]
