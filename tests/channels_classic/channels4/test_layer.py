"""Our layers with the interface of Channels 4, and groups with members of both kinds."""

from __future__ import annotations

import asyncio
import gc
import logging
import threading
import time
import weakref
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.test import override_settings

from channels_classic import Group, layers
from channels_classic.exceptions import InvalidChannelLayerError
from channels_classic.layer_settings.layers import bare_layers
from tests.redis_server import RedisServer

pytestmark = pytest.mark.usefixtures("channels_4")

SOON = 60.0  # seconds after which what should come has not come

Make = Callable[..., Any]


@pytest.fixture(params=["redis", "shards", "memory"])
def make(request: pytest.FixtureRequest) -> Iterator[Make]:
    """Makes an adapted layer: over one Redis, over several, in memory."""
    from channels_classic.channels4.adapter import AdaptedLayer

    kind = request.param
    hosts: list[str] = []
    if kind == "redis":
        hosts = [request.getfixturevalue("redis_url")]
    elif kind == "shards":
        url = request.getfixturevalue("redis_url").removesuffix("0")
        hosts = [url + str(database) for database in range(3)]
    made: list[layers.BaseChannelLayer] = []

    def make(classic_type: str | None = None, **config: Any) -> Any:
        layer: layers.BaseChannelLayer
        layer = layers.RedisChannelLayer(hosts, **config) if hosts else layers.InMemoryChannelLayer(**config)
        made.append(layer)
        return AdaptedLayer(lambda: layer, classic_type)

    yield make
    for layer in made:
        layer.close()


async def soon(awaitable: Awaitable[Any]) -> Any:
    return await asyncio.wait_for(awaitable, SOON)


async def nothing(layer: Any, channel: str) -> bool:
    """Whether nothing comes on a channel. It sends a message behind anything that might come."""
    task = asyncio.ensure_future(layer.receive(channel))
    done, _ = await asyncio.wait([task], timeout=0.1)
    task.cancel()
    return not done


class TestMessages:
    def test_a_normal_channel(self, make: Make) -> None:
        layer = make()

        async def main() -> None:
            for number in range(3):
                await layer.send(
                    "tasks", {"type": "task.run", "number": number, "data": b"\x00", "deep": {"a": [1]}}
                )
            for number in range(3):
                expected = {"type": "task.run", "number": number, "data": b"\x00", "deep": {"a": [1]}}
                assert await soon(layer.receive("tasks")) == expected
            waiting = asyncio.ensure_future(layer.receive("tasks"))
            await asyncio.sleep(0.02)  # so that it does wait; the test holds if it does not
            await layer.send("tasks", {"type": "task.run"})
            assert await soon(waiting) == {"type": "task.run"}

        asyncio.run(main())

    def test_channels_of_one_process_are_kept_apart(self, make: Make) -> None:
        """The tasks may wait before or after the sends, or all at once."""
        layer = make(capacity=1000)

        async def main() -> None:
            channels = [await layer.new_channel() for _ in range(20)]
            assert len({*channels}) == 20
            waiting = [asyncio.ensure_future(layer.receive(channel)) for channel in channels[:10]]
            for number in range(2):
                for channel in channels:
                    await layer.send(channel, {"type": "x", "to": channel, "number": number})
            first = await soon(asyncio.gather(*waiting, *map(layer.receive, channels[10:])))
            second = await soon(asyncio.gather(*map(layer.receive, reversed(channels))))
            assert first == [{"type": "x", "to": channel, "number": 0} for channel in channels]
            assert second == [{"type": "x", "to": channel, "number": 1} for channel in reversed(channels)]

        asyncio.run(main())

    def test_several_prefixes(self, make: Make) -> None:
        layer = make()

        async def main() -> None:
            one, other = await layer.new_channel("one"), await layer.new_channel("other")
            assert (one.split(".")[0], other.split(".")[0]) == ("one", "other")
            waiting = [asyncio.ensure_future(layer.receive(channel)) for channel in (one, other)]
            await layer.send(other, {"type": "for.other"})
            await layer.send(one, {"type": "for.one"})
            assert await soon(asyncio.gather(*waiting)) == [{"type": "for.one"}, {"type": "for.other"}]

        asyncio.run(main())

    def test_a_full_channel_is_the_exception_of_both_worlds(self, make: Make) -> None:
        from channels.exceptions import ChannelFull

        layer = make(capacity=2)

        async def main() -> None:
            for _ in range(2):
                await layer.send("tasks", {"type": "x"})
            for kind in (ChannelFull, layers.ChannelFull):
                with pytest.raises(kind, match="'tasks' is full: it holds 2 messages"):
                    await layer.send("tasks", {"type": "x"})

        asyncio.run(main())

    def test_invalid_names_and_messages(self, make: Make) -> None:
        layer = make()

        async def main() -> None:
            calls: list[Callable[[], Awaitable[Any]]] = [
                lambda: layer.send("two words", {"type": "x"}),
                lambda: layer.send("x" * 100, {"type": "x"}),
                lambda: layer.send("tasks", "text"),
                lambda: layer.send("tasks", {"type": "x", "value": object()}),
                lambda: layer.receive("two words"),
                lambda: layer.new_channel("two words"),
                lambda: layer.group_add("two words", "tasks"),
                lambda: layer.group_discard("group", "two words"),
                lambda: layer.group_send("two words", {"type": "x"}),
            ]
            for call in calls:
                with pytest.raises(TypeError):
                    await call()
            with pytest.raises(AssertionError, match="cannot be received here"):
                await layer.receive("specific.somebody!else")
            with pytest.raises(layers.MessageTooLarge):
                await layer.send("tasks", {"type": "x", "text": "x" * 2**20})

        asyncio.run(main())

    def test_a_slow_consumer_is_not_given_more_than_its_channel_holds(
        self, make: Make, caplog: pytest.LogCaptureFixture
    ) -> None:
        layer = make(capacity=3)

        async def main() -> None:
            slow, quick = await layer.new_channel(), await layer.new_channel()
            for number in range(10):
                waiting = asyncio.ensure_future(layer.receive(quick))
                await layer.send(slow, {"type": "x", "number": number})
                await layer.send(quick, {"type": "x"})
                await soon(waiting)
            assert [(await soon(layer.receive(slow)))["number"] for _ in range(3)] == [0, 1, 2]
            assert await nothing(layer, slow)

        with caplog.at_level(logging.WARNING, "django.channels"):
            asyncio.run(main())
        assert caplog.text.count("are dropped: 3 wait for its consumer already.") == 1

    def test_messages_that_nobody_asks_for_are_dropped(self, make: Make) -> None:
        """Channels of consumers that have ended leave nothing behind."""
        layer = make(expiry=0.2, capacity=1000)

        async def reach(channel: str) -> None:
            """Send to a consumer that is there, and again if the message expires on the way."""
            while True:
                await layer.send(channel, {"type": "x"})
                with suppress(TimeoutError):
                    return await asyncio.wait_for(layer.receive(channel), 1)

        async def main() -> None:
            alive = await layer.new_channel()
            for _ in range(20):
                await layer.send(await layer.new_channel(), {"type": "x"})
                await reach(alive)
            time.sleep(0.3)
            await reach(alive)
            assert [len(queue.boxes) for queue in layer._mailboxes._queues.values()] == [0]

        asyncio.run(main())


class TestCancelling:
    def test_a_cancelled_receive_takes_nothing(self, make: Make) -> None:
        """This holds for any moment."""
        layer = make()

        async def main() -> None:
            channel = await layer.new_channel()
            for number in range(20):
                waiting = asyncio.ensure_future(layer.receive(channel))
                sending = asyncio.ensure_future(layer.send(channel, {"type": "x", "number": number}))
                for _ in range(number):
                    await asyncio.sleep(0)
                waiting.cancel()
                await sending
                [message] = await asyncio.gather(waiting, return_exceptions=True)
                if isinstance(message, asyncio.CancelledError):
                    message = await soon(layer.receive(channel))
                assert message["number"] == number

        asyncio.run(main())

    def test_a_cancelled_receive_of_a_normal_channel(self, make: Make) -> None:
        """A message that is sent after the cancellation is there for the next call."""
        layer = make()

        async def main() -> None:
            for number in range(5):
                waiting = asyncio.ensure_future(layer.receive("tasks"))
                await asyncio.sleep(0.003 * number)  # at another stage each time
                waiting.cancel()
                await asyncio.gather(waiting, return_exceptions=True)
                await layer.send("tasks", {"type": "x", "number": number})
                assert (await soon(layer.receive("tasks")))["number"] == number

        asyncio.run(main())

    def test_a_message_on_a_normal_channel_comes_at_the_moment(self, make: Make) -> None:
        """The message comes before, at or after the cancellation. It stays, or was received."""
        layer = make()

        async def main() -> None:
            for number in range(60):
                waiting = asyncio.ensure_future(layer.receive("tasks"))
                await asyncio.sleep(0)
                sending = asyncio.ensure_future(layer.send("tasks", {"type": "x", "number": number}))
                for _ in range(number // 2):
                    await asyncio.sleep(0)
                waiting.cancel()
                await sending
                [message] = await asyncio.gather(waiting, return_exceptions=True)
                if isinstance(message, asyncio.CancelledError):
                    message = await soon(layer.receive("tasks"))
                assert message["number"] == number

        asyncio.run(main())

    def test_others_go_on(self, make: Make) -> None:
        layer = make()

        async def main() -> None:
            leaves, stays = await layer.new_channel(), await layer.new_channel()
            staying = asyncio.ensure_future(layer.receive(stays))
            for _ in range(3):
                leaving = asyncio.ensure_future(layer.receive(leaves))
                await asyncio.sleep(0.005)
                leaving.cancel()
            await layer.send(stays, {"type": "x"})
            assert await soon(staying) == {"type": "x"}

        asyncio.run(main())


class TestGroups:
    def test_members(self, make: Make) -> None:
        layer = make()

        async def main() -> None:
            channels = [await layer.new_channel() for _ in range(3)]
            for channel in [*channels, "tasks"]:
                await layer.group_add("room", channel)
                await layer.group_add("room", channel)
            await layer.group_discard("room", channels[1])
            await layer.group_discard("room", channels[1])
            await layer.group_send("room", {"type": "chat.message", "text": "hello"})
            for channel in (channels[0], channels[2], "tasks"):
                assert await soon(layer.receive(channel)) == {"type": "chat.message", "text": "hello"}
                assert await nothing(layer, channel)
            assert await nothing(layer, channels[1])
            await layer.group_send("nobody", {"type": "chat.message"})

        asyncio.run(main())

    def test_members_that_never_received_leave_room_for_messages(self, make: Make) -> None:
        """Changes of membership come through the queue of the process, which holds a limited number."""
        layer = make(capacity=3)

        async def main() -> None:
            channels = [await layer.new_channel() for _ in range(10)]
            for channel in channels:
                await layer.group_add("room", channel)
            for number in range(5):
                await layer.group_send("room", {"type": "x", "number": number})
            for channel in channels:
                assert [(await soon(layer.receive(channel)))["number"] for _ in range(3)] == [0, 1, 2]
                assert await nothing(layer, channel)

        asyncio.run(main())

    def test_each_member_has_a_message_of_its_own(self, make: Make) -> None:
        layer = make()

        async def main() -> None:
            channels = [await layer.new_channel() for _ in range(2)]
            for channel in channels:
                await layer.group_add("room", channel)
            await layer.group_send("room", {"type": "x", "list": [1]})
            first = await soon(layer.receive(channels[0]))
            first["list"].append(2)
            first["more"] = True
            assert await soon(layer.receive(channels[1])) == {"type": "x", "list": [1]}

        asyncio.run(main())

    def test_flush(self, make: Make) -> None:
        layer = make()

        async def main() -> None:
            channel, other = await layer.new_channel(), await layer.new_channel()
            await layer.group_add("room", channel)
            await layer.send(channel, {"type": "x"})
            await layer.send(other, {"type": "x"})
            assert await soon(layer.receive(other)) == {"type": "x"}
            await layer.flush()
            await layer.group_send("room", {"type": "x"})
            assert await nothing(layer, channel)

        asyncio.run(main())


class TestBothWorlds:
    def test_one_group(self, make: Make, caplog: pytest.LogCaptureFixture) -> None:
        """A message for both kinds has a type and something for the socket. One without a type is for sockets
        only."""
        layer = make()
        group = Group("room", channel_layer=layer.classic)
        group.add("websocket.send.test!socket")

        async def main() -> None:
            channel = await layer.new_channel()
            await layer.group_add("room", channel)
            group.send({"text": "for sockets"})
            await asyncio.to_thread(group.send, {"type": "chat.message", "text": "for both"})
            await layer.group_send("room", {"type": "chat.message", "text": "from here"})
            for text in ("for both", "from here"):
                assert await soon(layer.receive(channel)) == {"type": "chat.message", "text": text}

        with caplog.at_level(logging.WARNING, "django.channels"):
            asyncio.run(main())
        texts = []
        for _ in range(3):
            channel, content = layer.classic.receive(["websocket.send.test!"], block=True)
            texts.append((channel, content["text"]))
        assert texts == [("websocket.send.test!socket", text) for text in ("for sockets", "for both", "from here")]
        assert caplog.text.count("it has no 'type', so it is for classic sockets") == 1
        assert "'text'" in caplog.text

    def test_a_type_for_those_that_have_none(self, make: Make) -> None:
        layer = make(classic_type="classic.message")

        async def main() -> None:
            channel = await layer.new_channel()
            await layer.group_add("room", channel)
            await asyncio.to_thread(Group("room", channel_layer=layer.classic).send, {"text": "hello"})
            assert await soon(layer.receive(channel)) == {"type": "classic.message", "text": "hello"}
            await layer.send("tasks", {"text": "hello"})
            assert await soon(layer.receive("tasks")) == {"type": "classic.message", "text": "hello"}

        asyncio.run(main())

    @pytest.mark.parametrize("kind", ["", 3, b"x"])
    def test_an_invalid_type(self, make: Make, kind: Any) -> None:
        with pytest.raises(ValueError, match="classic_type must be a type such as 'classic.message'"):
            make(classic_type=kind)


class TestEventLoops:
    def test_one_after_another(self, make: Make) -> None:
        """Each call by ``async_to_sync`` has its own event loop."""
        layer = make()
        one, other = async_to_sync(layer.new_channel)(), async_to_sync(layer.new_channel)()
        async_to_sync(layer.group_add)("room", one)
        async_to_sync(layer.send)(one, {"type": "for.one"})
        async_to_sync(layer.send)(other, {"type": "for.other"})
        async_to_sync(layer.group_send)("room", {"type": "for.room"})
        assert async_to_sync(layer.receive)(other) == {"type": "for.other"}
        assert async_to_sync(layer.receive)(one) == {"type": "for.one"}
        assert async_to_sync(layer.receive)(one) == {"type": "for.room"}

    def test_in_several_threads(self, make: Make) -> None:
        """The thread that reads the common queue may end before the others."""
        layer = make()
        channels = [async_to_sync(layer.new_channel)() for _ in range(4)]
        waiting = threading.Barrier(5)
        received: list[list[str]] = [[] for _ in channels]

        def receive(number: int) -> None:
            async def main() -> None:
                task = asyncio.ensure_future(layer.receive(channels[number]))
                await asyncio.sleep(0)
                await asyncio.to_thread(waiting.wait)
                received[number].append((await soon(task))["type"])

            asyncio.run(main())

        threads = [threading.Thread(target=receive, args=[number]) for number in range(4)]
        for thread in threads:
            thread.start()
        waiting.wait(SOON)
        for number, thread in enumerate(threads):
            async_to_sync(layer.send)(channels[number], {"type": f"for.{number}"})
            thread.join(SOON)
        assert received == [[f"for.{number}"] for number in range(4)]

    def test_a_loop_that_stands_still_after_its_message(self, make: Make) -> None:
        """This is the case if ``run_until_complete`` is called again and again."""
        layer = make()
        one, other = async_to_sync(layer.new_channel)(), async_to_sync(layer.new_channel)()
        async_to_sync(layer.send)(one, {"type": "x"})
        loop = asyncio.new_event_loop()
        assert loop.run_until_complete(layer.receive(one)) == {"type": "x"}
        async_to_sync(layer.send)(other, {"type": "y"})
        assert async_to_sync(layer.receive)(other) == {"type": "y"}
        async_to_sync(layer.send)(one, {"type": "z"})
        assert loop.run_until_complete(layer.receive(one)) == {"type": "z"}
        loop.run_until_complete(layer.close())
        loop.close()

    def test_event_loops_leave_nothing_behind(self, make: Make) -> None:
        layer = make()
        loops: list[weakref.ref[Any]] = []

        async def main() -> None:
            loops.append(weakref.ref(asyncio.get_running_loop()))
            channel = await layer.new_channel()
            await layer.group_add("room", channel)
            waiting = asyncio.ensure_future(layer.receive(await layer.new_channel()))
            await layer.group_send("room", {"type": "x"})
            assert await soon(layer.receive(channel)) == {"type": "x"}
            assert not waiting.done()

        for run in (lambda: asyncio.run(main()), async_to_sync(main)):
            run()
        gc.collect()
        assert [loop() for loop in loops] == [None, None]


class TestOutages:
    def test_receiving_and_memberships_survive_outages(self, caplog: pytest.LogCaptureFixture) -> None:
        """This also holds if Redis comes back empty."""
        from channels_classic.channels4 import RedisChannelLayer

        async def send_again(layer: Any, message: dict[str, Any]) -> None:
            while True:
                try:
                    return await layer.group_send("room", message)
                except layers.LayerUnavailable:
                    await asyncio.sleep(0.05)

        with RedisServer() as server:
            layer = RedisChannelLayer([server.url])

            async def main() -> None:
                channel = await layer.new_channel()
                await layer.group_add("room", channel)
                await layer.group_send("room", {"type": "before"})
                assert await soon(layer.receive(channel)) == {"type": "before"}
                waiting = asyncio.ensure_future(layer.receive(channel))
                await asyncio.sleep(0.05)
                server.stop()
                with pytest.raises(layers.LayerUnavailable):
                    await layer.group_send("room", {"type": "x"})
                server.start()
                await soon(send_again(layer, {"type": "after"}))
                assert await soon(waiting) == {"type": "after"}

            asyncio.run(main())
        assert "Nothing can be received for now" in caplog.text

    def test_the_end_of_a_process_is_none(self, redis_url: str, caplog: pytest.LogCaptureFixture) -> None:
        """Its last consumer has ended. Its connections are closed while the reader still waits for messages."""
        from channels_classic.channels4 import RedisChannelLayer

        layer = RedisChannelLayer([redis_url])

        async def main() -> None:
            channel = await layer.new_channel()
            assert await nothing(layer, channel)
            await layer.close()
            others = asyncio.all_tasks() - {asyncio.current_task()}
            await soon(asyncio.gather(*others))

        asyncio.run(main())
        assert not caplog.records


class TestSettings:
    ENTRY = {"BACKEND": "channels_classic.layers.InMemoryChannelLayer", "ROUTING": {}}

    def test_the_layer_of_the_other_setting(self) -> None:
        """Channels 4 and ``Group`` find the same layer, each by its own setting."""
        from channels.layers import get_channel_layer

        theirs = {"default": {"BACKEND": "channels_classic.channels4.ClassicChannelLayer"}}
        with override_settings(CHANNEL_LAYERS=theirs, CHANNELS_CLASSIC_LAYERS={"default": self.ENTRY}):
            layer = get_channel_layer()
            assert layer.classic is bare_layers["default"]

            async def main() -> None:
                channel = await layer.new_channel()
                await layer.group_add("room", channel)
                Group("room").send({"type": "x"})
                assert await soon(layer.receive(channel)) == {"type": "x"}

            asyncio.run(main())

    def test_a_missing_classic_layer(self) -> None:
        from channels.layers import get_channel_layer

        theirs = {"default": {"BACKEND": "channels_classic.channels4.ClassicChannelLayer"}}
        told = pytest.raises(InvalidChannelLayerError, match="in the setting CHANNELS_CLASSIC_LAYERS")
        with override_settings(CHANNEL_LAYERS=theirs), told:
            get_channel_layer()

    def test_sending_where_channels_4_has_a_redis_layer_of_ours(self, redis_url: str) -> None:
        from channels.layers import get_channel_layer

        config = {"hosts": [redis_url], "classic_type": "classic.message"}
        entry = {"BACKEND": "channels_classic.channels4.RedisChannelLayer", "CONFIG": config}
        with override_settings(CHANNEL_LAYERS={"default": entry}):
            layer = get_channel_layer()
            channel = async_to_sync(layer.new_channel)()
            async_to_sync(layer.group_add)("room", channel)
            Group("room").send({"text": "hello"})
            assert async_to_sync(layer.receive)(channel) == {"type": "classic.message", "text": "hello"}
            bare_layers["default"].close()
