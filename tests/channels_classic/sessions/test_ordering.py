"""``enforce_ordering`` around consumers: called directly, and by workers."""

from __future__ import annotations

import math
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from django.core.cache import cache

from channels_classic.asgi import ChannelLayerWrapper
from channels_classic.backoff import Backoff
from channels_classic.exceptions import ConsumeLater, DenyConnection
from channels_classic.layers import (
    BaseChannelLayer,
    InMemoryChannelLayer,
    LayerUnavailable,
    RedisChannelLayer,
    turns,
)
from channels_classic.layers.types import Lease
from channels_classic.message import Message
from channels_classic.pending import PendingSends, Work
from channels_classic.sessions import channel_and_http_session, channel_session
from channels_classic.sessions.ordering import enforce_ordering
from worker import WorkerGroup

CLIENT = "interface.abc!one"
DEADLINE = 60

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def sessions_in_cache(settings: Any) -> None:
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.cache"
    cache.clear()


def frame(
    layer: Any, order: int, client: str = CLIENT, channel: str = "websocket.receive", **more: Any
) -> Message:
    return Message({"reply_channel": client, "order": order, **more}, channel, layer)


def came_back(layer: Any) -> list[int]:
    return [received.content["order"] for received in layer.receive_batch(["websocket.receive"], 1000)]


# Called directly, as tests of projects do.


def test_a_consumer_runs_when_it_is_its_turn(layer: InMemoryChannelLayer) -> None:
    ran = []

    @enforce_ordering
    def consumer(message: Message, name: str) -> str:
        ran.append(message["order"])
        return name

    assert consumer(frame(layer, 1), name="early") is None
    assert consumer(frame(layer, 0), name="first") == "first"
    assert came_back(layer) == [1]
    assert consumer(frame(layer, 1), name="second") == "second"
    assert consumer(frame(layer, 1), "twice") is None
    assert ran == [0, 1]


@pytest.mark.parametrize("decorator", [enforce_ordering, enforce_ordering(), enforce_ordering(slight=False)])
def test_strict_in_all_ways_to_say_it(layer: InMemoryChannelLayer, decorator: Any) -> None:
    @decorator
    def consumer(message: Message) -> int:
        """Says its order."""
        return int(message["order"])

    assert (consumer.__name__, consumer.__doc__) == ("consumer", "Says its order.")
    assert [consumer(frame(layer, order)) for order in (2, 0, 2, 1, 2)] == [None, 0, None, 1, 2]


def test_slight(layer: InMemoryChannelLayer) -> None:
    @enforce_ordering(slight=True)
    def consumer(message: Message) -> int:
        return int(message["order"])

    assert [consumer(frame(layer, order)) for order in (2, 1, 0, 7, 3)] == [None, None, 0, 7, 3]
    assert came_back(layer) == [1, 2]


def test_methods_and_keywords(layer: InMemoryChannelLayer) -> None:
    class Consumer:
        @enforce_ordering
        def strict(self, message: Message, **kwargs: Any) -> Any:
            return message["order"], kwargs

        @enforce_ordering(slight=True)
        def slight(self, message: Message) -> Any:
            return message["order"]

    consumer = Consumer()
    assert consumer.strict(frame(layer, 0), room="a") == (0, {"room": "a"})
    assert consumer.strict(frame(layer, 2)) is None
    assert consumer.strict(message=frame(layer, 1)) == (1, {})
    assert consumer.slight(frame(layer, 5)) == 5


def test_ordering_twice_is_ordering_once(layer: InMemoryChannelLayer) -> None:
    @enforce_ordering
    @channel_session
    @enforce_ordering(slight=True)
    def consumer(message: Message) -> int:
        return int(message["order"])

    assert [consumer(frame(layer, order)) for order in (1, 0, 1)] == [None, 0, 1]


def test_the_turn_comes_before_the_sessions_in_any_nesting(layer: InMemoryChannelLayer) -> None:
    """A session that was read before the turn would be saved over what the message before has stored."""

    @channel_and_http_session
    @enforce_ordering
    def consumer(message: Message) -> int:
        message.channel_session["count"] = message.channel_session.get("count", 0) + 1
        return int(message.channel_session["count"])

    former = frame(layer, 0)
    assert consumer(former) == 1
    later = frame(layer, 2)
    assert consumer(later) is None
    assert not hasattr(later, "channel_session")
    assert [consumer(frame(layer, order)) for order in (1, 2)] == [2, 3]


def test_a_strict_consumer_that_a_slight_one_calls_is_strict(layer: InMemoryChannelLayer) -> None:
    @enforce_ordering
    def strict(message: Message) -> int:
        return int(message["order"])

    @enforce_ordering(slight=True)
    def slight(message: Message) -> Any:
        return strict(message)

    assert [slight(frame(layer, order)) for order in (0, 2, 1, 2)] == [0, None, 1, 2]


@pytest.mark.parametrize(
    ("content", "lacking"),
    [
        ({"reply_channel": CLIENT}, "no order"),
        ({"order": 1}, "no reply_channel"),
        ({}, "no reply_channel"),
        ({"reply_channel": CLIENT, "order": "1"}, "'1'"),
        ({"reply_channel": CLIENT, "order": -1}, "-1"),
    ],
)
def test_messages_without_an_order(layer: InMemoryChannelLayer, content: dict[str, Any], lacking: str) -> None:
    @enforce_ordering
    def consumer(message: Message) -> None:
        pytest.fail("it should not have run")

    with pytest.raises(ValueError) as caught:
        consumer(Message(content, "websocket.receive", layer))
    assert lacking in str(caught.value)
    assert "order" in str(caught.value)


def test_a_call_without_a_message() -> None:
    @enforce_ordering
    def consumer(message: Message) -> None:
        pass

    with pytest.raises(TypeError, match="takes a message as its first argument"):
        consumer()


def test_a_layer_without_ordering(layer: InMemoryChannelLayer) -> None:
    class Poor(InMemoryChannelLayer):
        extensions = ["groups"]
        enter_turn = BaseChannelLayer.enter_turn

    with pytest.raises(NotImplementedError, match="Poor lacks the extension 'ordering'"):
        enforce_ordering(lambda message: None)(frame(Poor(), 0))


@pytest.mark.parametrize("error", [ValueError, DenyConnection])
def test_a_turn_ends_when_its_consumer_raises(layer: InMemoryChannelLayer, error: type[Exception]) -> None:
    @enforce_ordering
    def consumer(message: Message) -> int:
        if message["order"] == 0:
            raise error
        return int(message["order"])

    consumer(frame(layer, 1))
    with pytest.raises(error):
        consumer(frame(layer, 0))
    assert came_back(layer) == [1]
    assert consumer(frame(layer, 1)) == 1


@pytest.mark.parametrize("slight", [False, True])
def test_consume_later_keeps_the_turn(layer: InMemoryChannelLayer, slight: bool) -> None:
    later = True

    @enforce_ordering(slight=slight)
    def consumer(message: Message) -> int:
        if later:
            raise ConsumeLater
        return int(message["order"])

    for _ in range(2):
        with pytest.raises(ConsumeLater):
            consumer(frame(layer, 0))
        assert consumer(frame(layer, 1)) is None
    assert came_back(layer) == []
    later = False
    assert consumer(frame(layer, 0)) == 0
    assert came_back(layer) == [1]
    later = True
    with pytest.raises(ConsumeLater):
        consumer(frame(layer, 1))
    later = False
    assert consumer(frame(layer, 1)) == 1


def test_consume_later_for_the_last_time_ends_the_turn(layer: InMemoryChannelLayer) -> None:
    @enforce_ordering
    def consumer(message: Message) -> None:
        raise ConsumeLater

    message = frame(layer, 0)
    message.__doomed__ = True  # type: ignore[attr-defined]
    with pytest.raises(ConsumeLater):
        consumer(message)
    with pytest.raises(ConsumeLater):
        consumer(frame(layer, 1))


class Deaf(InMemoryChannelLayer):
    """A layer in memory that loses the answers to a number of steps."""

    failures = 0

    def enter_turn(self, *args: Any, **kwargs: Any) -> bool:
        return self._lose(super().enter_turn(*args, **kwargs))

    def suspend_turn(self, *args: Any) -> None:
        return self._lose(super().suspend_turn(*args))

    def _lose(self, answer: Any) -> Any:
        if self.failures:
            self.failures -= 1
            raise LayerUnavailable("It is gone.")
        return answer


def test_a_layer_that_is_away_for_a_moment() -> None:
    """The step is repeated at once, even without a worker."""
    layer = Deaf()
    later = True

    @enforce_ordering
    def consumer(message: Message) -> int:
        layer.failures = 1
        if later:
            raise ConsumeLater
        return int(message["order"])

    layer.failures = 1
    with pytest.raises(ConsumeLater):
        consumer(frame(layer, 0))
    assert layer.failures == 0
    later = False
    assert consumer(frame(layer, 0)) == 0


class Patient:
    """Runs consumers, and waits a number of times for a layer."""

    def __init__(self, patience: float, pause: float = 0) -> None:
        self.patience = patience
        self.pause = pause
        self.waits: list[int] = []
        self.turns: list[Lease] = []

    def settle_turn(self, reply_channel: str) -> None: ...

    def turn_began(self, lease: Lease) -> None:
        self.turns.append(lease)

    def wait_out(self, error: LayerUnavailable, backoff: Backoff) -> bool:
        time.sleep(self.pause)
        backoff.fail()
        self.waits.append(backoff.failures)
        return backoff.failures < self.patience

    def hand_over(self, name: str, reply_channel: str, work: Work) -> bool:
        return False


def test_a_layer_that_is_away_for_longer() -> None:
    """The host of the consumer decides whether to wait."""
    layer = Deaf()
    host = Patient(3)
    consumer = enforce_ordering(lambda message: message["order"])
    layer.failures = 3
    with PendingSends(host) as sends:
        assert consumer(frame(layer, 0)) == 0
    assert host.waits == [1, 2]
    [lease] = host.turns
    assert lease.order == 0
    layer.send_batch([end for _, end in sends.deliveries])
    layer.failures = 4
    with PendingSends(host), pytest.raises(ConsumeLater):
        consumer(frame(layer, 1))
    assert host.waits == [1, 2, 1, 2, 3]
    layer.failures = 2
    with pytest.raises(ConsumeLater):
        consumer(frame(layer, 2))


def test_a_layer_that_is_away_for_longer_than_messages_live() -> None:
    layer = Deaf(expiry=0.05)
    layer.failures = 1_000_000
    with PendingSends(Patient(math.inf, pause=0.01)), pytest.raises(LayerUnavailable):
        enforce_ordering(lambda message: message["order"])(frame(layer, 0))


def test_consume_later_gets_through_though_the_turn_cannot_be_given_up(caplog: pytest.LogCaptureFixture) -> None:
    layer = Deaf()

    @enforce_ordering
    def consumer(message: Message) -> None:
        layer.failures = 2
        raise ConsumeLater("not yet")

    with pytest.raises(ConsumeLater, match="not yet"):
        consumer(frame(layer, 0))
    [record] = caplog.records
    assert record.getMessage() == "The turn of message 0 of interface.abc!one was not given up. It is gone."


def test_a_client_that_sends_more_than_can_wait_is_told(
    layer: InMemoryChannelLayer, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "MAX_WAITING", 2)
    consumer = enforce_ordering(lambda message: message["order"])
    for order in (1, 2, 3):
        assert consumer(frame(layer, order)) is None
    assert layer.receive(["interface.abc!"]) == (CLIENT, {"close": 1013})
    [record] = caplog.records
    assert record.levelname == "ERROR"
    assert "Message 3 of interface.abc!one" in record.getMessage()


def test_the_consumer_has_a_channel_session(layer: InMemoryChannelLayer) -> None:
    @enforce_ordering
    def consumer(message: Message) -> int:
        message.channel_session["count"] = message.channel_session.get("count", 0) + 1
        return int(message.channel_session["count"])

    assert [consumer(frame(layer, order)) for order in (0, 1, 2)] == [1, 2, 3]


def test_a_session_that_nobody_looks_at_costs_nothing(
    layer: InMemoryChannelLayer, settings: Any, django_assert_num_queries: Any
) -> None:
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.db"
    with django_assert_num_queries(0):
        assert enforce_ordering(lambda message: "ran")(frame(layer, 0)) == "ran"


def test_signed_cookies_can_be_ordered_but_have_no_channel_session(
    layer: InMemoryChannelLayer, settings: Any
) -> None:
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies"
    assert enforce_ordering(lambda message: hasattr(message, "channel_session"))(frame(layer, 0)) is False


# In workers.

Consumers = dict[str, Callable[[Message], Any]]


@pytest.fixture(params=["memory", "redis"])
def bare(request: pytest.FixtureRequest) -> Iterator[BaseChannelLayer]:
    if request.param == "memory":
        yield InMemoryChannelLayer(capacity=1000)
        return
    layer = RedisChannelLayer(hosts=[request.getfixturevalue("redis_url")], capacity=1000)
    yield layer
    layer.close()


@pytest.fixture
def start(bare: BaseChannelLayer) -> Iterator[Callable[..., None]]:
    """Starts workers for some consumers."""
    with ExitStack() as stack:

        def start(consumers: Consumers, n_threads: int = 1) -> None:
            group = WorkerGroup(ChannelLayerWrapper(bare, "default", consumers), n_threads, signal_handlers=False)
            group.start()
            stack.callback(group.stop)

        yield start


def replies(layer: Any, count: int) -> list[Any]:
    """The replies that the client gets, in order."""
    deadline = time.monotonic() + DEADLINE
    texts: list[Any] = []
    while len(texts) < count and time.monotonic() < deadline:
        texts += [received.content.get("text") for received in layer.receive_batch(["interface.abc!"], 1000, 0.1)]
    return texts


def test_replies_come_in_order_from_many_workers(bare: BaseChannelLayer, start: Any) -> None:
    dice = random.Random(1)

    @enforce_ordering
    def echo(message: Message) -> None:
        time.sleep(dice.random() / 500)
        message.reply_channel.send({"text": message["order"]})  # type: ignore[union-attr]

    orders = list(range(200))
    dice.shuffle(orders)
    for order in orders:
        bare.send("websocket.receive", {"reply_channel": CLIENT, "order": order})
    start({"websocket.receive": echo}, n_threads=6)
    assert replies(bare, 200) == list(range(200))


def test_the_session_is_saved_before_the_next_message_runs(bare: BaseChannelLayer, start: Any) -> None:
    """This holds for any nesting of the decorators."""

    def count(message: Message) -> None:
        number = message.channel_session.get("count", 0)
        time.sleep(0.0005)
        message.channel_session["count"] = number + 1
        message.reply_channel.send({"text": number})  # type: ignore[union-attr]

    for number, consumer in enumerate((enforce_ordering(count), channel_session(enforce_ordering(count)))):
        channel = f"frames{number}"
        for order in range(100):
            content = {"reply_channel": f"interface.abc!{number}", "order": order}
            bare.send(channel, content)
        start({channel: consumer}, n_threads=4)
        assert replies(bare, 100) == list(range(100))


def test_a_worker_is_not_kept_by_a_message_that_waits(bare: BaseChannelLayer, start: Any) -> None:
    """While one thread is busy, the other one runs all messages that need not wait."""
    opened = threading.Event()

    @enforce_ordering
    def consumer(message: Message) -> None:
        if message["reply_channel"] == CLIENT and message["order"] == 0:
            opened.wait(DEADLINE)
        message.reply_channel.send({"text": [message["reply_channel"], message["order"]]})  # type: ignore[union-attr]

    for order in range(50):
        bare.send("websocket.receive", {"reply_channel": CLIENT, "order": order})
        bare.send("websocket.receive", {"reply_channel": "interface.abc!two", "order": order})
    start({"websocket.receive": consumer}, n_threads=2)
    assert replies(bare, 50) == [["interface.abc!two", order] for order in range(50)]
    opened.set()
    assert replies(bare, 50) == [[CLIENT, order] for order in range(50)]


def test_consume_later_in_a_worker(bare: BaseChannelLayer, start: Any) -> None:
    tries: list[int] = []

    @enforce_ordering
    def consumer(message: Message) -> None:
        tries.append(message["order"])
        if message["order"] % 2 and tries.count(message["order"]) < 5:
            raise ConsumeLater
        message.reply_channel.send({"text": message["order"]})  # type: ignore[union-attr]

    for order in range(20):
        bare.send("websocket.receive", {"reply_channel": CLIENT, "order": order})
    start({"websocket.receive": consumer}, n_threads=4)
    assert replies(bare, 20) == list(range(20))
    assert tries == sorted(tries)


def test_consume_later_until_it_is_dropped(bare: BaseChannelLayer, start: Any) -> None:
    @enforce_ordering
    def consumer(message: Message) -> None:
        if message["order"] == 1:
            raise ConsumeLater
        message.reply_channel.send({"text": message["order"]})  # type: ignore[union-attr]

    for order in (1, 2, 0):
        bare.send("websocket.receive", {"reply_channel": CLIENT, "order": order})
    start({"websocket.receive": consumer}, n_threads=2)
    assert replies(bare, 2) == [0, 2]


def test_errors_and_refusals_let_the_next_message_run(bare: BaseChannelLayer, start: Any) -> None:
    @enforce_ordering
    def connect(message: Message) -> None:
        raise DenyConnection

    @enforce_ordering
    def receive(message: Message) -> None:
        message.reply_channel.send({"text": message["order"]})  # type: ignore[union-attr]
        if message["order"] == 1:
            raise ValueError("a mistake")

    for order in (2, 1):
        bare.send("websocket.receive", {"reply_channel": CLIENT, "order": order})
    bare.send("websocket.connect", {"reply_channel": CLIENT, "order": 0})
    start({"websocket.connect": connect, "websocket.receive": receive})
    assert replies(bare, 3) == [None, 1, 2]


def test_a_connection_is_accepted_as_without_order(bare: BaseChannelLayer, start: Any) -> None:
    bare.send("websocket.connect", {"reply_channel": CLIENT, "order": 0})
    start({"websocket.connect": enforce_ordering(lambda message: None)})
    assert bare.receive(["interface.abc!"], block=True) == (CLIENT, {"accept": True})
