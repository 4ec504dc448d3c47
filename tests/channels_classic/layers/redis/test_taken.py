"""``Taken``: a short answer comes packed, a long one as a list, and both mean the same."""

from __future__ import annotations

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels_classic.layers.redis.taken import Taken
from tests.conftest import LayerOn
from tests.redis_server import RedisServer

NOW, EPOCH = b"1700000000000000", b"an epoch"


@given(
    batches=st.lists(st.lists(st.binary(max_size=70_000), max_size=3) | st.none(), max_size=4),
    state=st.sampled_from([0, 1]) | st.lists(st.binary(), min_size=1),
    number=st.integers(0, 2**48),
)
def test_both_forms(batches: list[list[bytes] | None], state: int | list[bytes], number: int) -> None:
    queues = [f"queue.{position}" for position in range(len(batches))]
    entries = [value for batch in batches for value in batch or ()]
    counts = [-1 if batch is None else len(batch) for batch in batches]
    answer = [*entries, *counts, NOW, EPOCH, state, number]
    taken = Taken.of(0, answer, queues)
    assert Taken.of(0, msgpack.packb(answer), queues) == taken
    assert [(entry.queue, entry.value) for entry in taken.entries] == [
        (queue, value) for queue, batch in zip(queues, batches, strict=True) for value in batch or ()
    ]
    assert taken.foreign == [queue for queue, batch in zip(queues, batches, strict=True) if batch is None]
    assert (taken.has_lapsed, taken.unseen) == ((state == 1, ()) if isinstance(state, int) else (False, state))


@pytest.mark.parametrize(
    ("count", "size", "form"), [(0, 0, bytes), (20, 64, bytes), (100, 300, list), (1, 70_000, list)]
)
def test_the_form_of_answers(server: RedisServer, count: int, size: int, form: type, layer_on: LayerOn) -> None:
    layer = layer_on([server.url])
    messages = [{"number": number, "data": b"x" * size} for number in range(count)]
    batch = [layer.prepare("test", message) for message in messages]
    layer.send_batch(batch)
    command = layer._batches._queues.receive(["test", "other"], 1000)
    answer = layer._transport.servers[0].round_trip([command])[0]
    assert type(answer) is form
    assert len(Taken.of(0, answer, ["test", "other"]).entries) == count
    layer.send_batch(batch)
    assert [received.content for received in layer.receive_batch(["test", "other"], 1000)] == messages
