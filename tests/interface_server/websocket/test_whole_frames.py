"""The fast path for whole messages, compared with the package ``websockets`` on the same bytes."""

from __future__ import annotations

from typing import cast

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode
from websockets.protocol import State
from websockets.server import ServerProtocol

from interface_server.websocket.whole_frames import MOST, read_whole, size_of, write_whole

LENGTHS = [0, 1, 125, 126, 127, 128, MOST - 1, MOST, MOST + 1]

frames = st.builds(
    Frame,
    st.sampled_from([Opcode.TEXT, Opcode.BINARY, Opcode.CONT, Opcode.PING, Opcode.PONG]),
    st.binary(max_size=125) | st.sampled_from(LENGTHS).map(lambda length: b"x" * length),
    fin=st.booleans(),
    rsv1=st.sampled_from([False, False, False, True]),
)


def read_by_protocol(piece: bytes) -> Frame | None:
    """The frame that the package finds in a piece with exactly one frame."""
    protocol = ServerProtocol(state=State.OPEN)
    protocol.receive_data(piece)
    found = cast("list[Frame]", protocol.events_received())
    protocol.receive_data(Frame(Opcode.PING, b"behind").serialize(mask=True))
    behind = cast("list[Frame]", protocol.events_received())
    return found[0] if len(found) == 1 and [frame.data for frame in behind] == [b"behind"] else None


def check(piece: bytes) -> bool:
    whole = read_whole(piece)
    frame = read_by_protocol(piece)
    if whole is None:
        return False
    assert frame is not None
    assert frame.fin
    assert frame.opcode is (Opcode.TEXT if whole[1] else Opcode.BINARY)
    assert bytes(frame.data) == whole[0]
    return True


@pytest.mark.parametrize("opcode", [Opcode.TEXT, Opcode.BINARY])
@pytest.mark.parametrize("length", LENGTHS)
def test_whole_messages_are_read_as_by_the_package(opcode: Opcode, length: int) -> None:
    piece = Frame(opcode, b"\xff" * length).serialize(mask=True)
    assert size_of(length) == len(piece)
    assert check(piece) is (length <= MOST)


@pytest.mark.filterwarnings("error")
@given(frames, st.booleans(), st.integers(-3, 3))
def test_other_pieces_are_left_to_the_package(frame: Frame, mask: bool, cut: int) -> None:
    try:
        piece = frame.serialize(mask=mask)
    except Exception:  # a control frame that must not be so long, or be fragmented
        return
    check(piece[:cut] if cut < 0 else piece + b"\x81" * cut)


@given(st.binary(max_size=20), st.sampled_from([b"", b"\x81", b"\x82", b"\x81\xfe", b"\x82\x80", b"\x81\xff"]))
@example(b"\x00\x05abcdhello", b"\x81\xfe")
def test_any_bytes_are_read_as_by_the_package(rest: bytes, head: bytes) -> None:
    check(head + rest)


@given(st.text() | st.binary() | st.sampled_from(LENGTHS).map(lambda length: b"x" * length))
def test_messages_are_written_as_by_the_package(message: str | bytes) -> None:
    data, opcode = (message.encode(), Opcode.TEXT) if isinstance(message, str) else (message, Opcode.BINARY)
    assert write_whole(message) == Frame(opcode, data).serialize(mask=False)
