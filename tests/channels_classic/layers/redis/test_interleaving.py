"""Changes of membership meet broadcasts and readers: every order of their round trips on real servers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import count
from typing import Any

import pytest

from channels_classic.layers import RedisChannelLayer
from channels_classic.layers.redis.connections.steps import Steps, Trips
from channels_classic.layers.redis.envelope import JOIN, LEAVE
from channels_classic.layers.redis.taken import last_taken
from tests.channels_classic.layers.redis.schedules import all_schedules, interleave

numbers = count()


class Room:
    """A group and a process with two clients, which no other test uses.

    Arguments:
        sender, reader: the layers of two processes, as they are for a site.
        apart: whether the group is on another server than the process.
    """

    def __init__(self, sender: RedisChannelLayer, reader: RedisChannelLayer, apart: bool) -> None:
        self.sender = sender
        self.reader = reader
        self.group = f"room{next(numbers)}"
        placement = reader._placement
        home = placement.of(self.group)
        names = (f"interface.{next(numbers)}!" for _ in count())
        self.process = next(name for name in names if (placement.of_channel(name) != home) is apart)
        self.one, self.two = f"{self.process}one", f"{self.process}two"

    def join(self, channel: str) -> Steps[None]:
        return self.sender._groups.change([(self.group, channel)], JOIN)

    def leave(self, channel: str) -> Steps[None]:
        return self.sender._groups.change([(self.group, channel)], LEAVE)

    def broadcast(self, number: int = 0) -> Steps[Any]:
        delivery = self.sender.prepare_group(self.group, {"number": number})
        return self.sender._batches.send_and_receive([delivery], [], 0)

    def read(self) -> Steps[Any]:
        """Take what is in the queue now: one round trip, and one more if Redis is asked for the members."""
        receiving = self.reader._receiving
        trips = Trips(partial=True)
        server = self.reader._placement.of_channel(self.process)
        asked = receiving.add_command(trips, [self.process], 10, server)
        received, _ = yield from receiving.received(asked, last_taken((yield trips), asked))
        return received

    def everything(self) -> list[str]:
        """The channels of the messages that are left in the queue."""
        return [received.channel for received in self.reader.receive_batch([self.process], 100)]

    def after(self) -> set[str]:
        """The channels that get a message that is sent at the end."""
        self.everything()
        self.sender.send_group(self.group, {})
        return set(self.everything())


@pytest.fixture(params=[False, True], ids=["together", "apart"])
def make_room(request: pytest.FixtureRequest, redis_servers: list[str]) -> Iterator[Callable[[], Room]]:
    hosts = redis_servers[:2] if request.param else redis_servers[:1]
    sender, reader = (
        RedisChannelLayer(hosts, prefix="interleaving:", stats_prefix="interleaving-meta:") for _ in range(2)
    )

    def make() -> Room:
        reader._groups.forget()
        return Room(sender, reader, request.param)

    yield make
    for layer in (reader, sender):
        layer.flush()
        layer.close()


def run_all(make_room: Callable[[], Room], play: Callable[[Room, Any], None]) -> None:
    assert all_schedules(lambda choose: play(make_room(), choose)) > 1


def carry_out(room: Room, choose: Any, *calls: Iterator[Steps[Any]]) -> list[Any]:
    return interleave(room.reader._transport.servers, calls, choose)


def test_a_member_that_has_left_gets_nothing(make_room: Callable[[], Room]) -> None:
    """The last member of a process leaves while another process sends, and its process reads."""

    def play(room: Room, choose: Any) -> None:
        room.sender.group_add(room.group, room.one)
        room.everything()
        carry_out(
            room,
            choose,
            iter([room.leave(room.one)]),
            iter([room.broadcast()]),
            (room.read() for _ in range(2)),
        )
        room.everything()
        assert room.sender.group_channels(room.group) == []
        assert room.reader._groups.memberships() == []
        # Somebody else of the process is the reason that it is sent to again.
        room.sender.group_add(room.group, room.two)
        assert room.after() == {room.two}

    run_all(make_room, play)


def test_a_reader_without_the_changes_does_not_restore_a_member_that_leaves(make_room: Callable[[], Room]) -> None:
    """It has to ask Redis for the members, because another reader got the changes."""

    def play(room: Room, choose: Any) -> None:
        room.sender.group_add(room.group, room.one)
        room.everything()
        room.reader._groups.forget()
        carry_out(
            room,
            choose,
            iter([room.leave(room.one)]),
            iter([room.broadcast()]),
            iter([room.read()]),
            iter([room.read()]),
        )
        room.everything()
        room.sender.group_add(room.group, room.two)
        assert room.after() == {room.two}

    run_all(make_room, play)


def test_a_member_that_has_joined_gets_everything(make_room: Callable[[], Room]) -> None:
    def play(room: Room, choose: Any) -> None:
        room.sender.group_add(room.group, room.two)
        room.everything()

        def join_then_send() -> Iterator[Steps[Any]]:
            yield room.join(room.one)
            yield room.broadcast(1)

        results = carry_out(
            room, choose, join_then_send(), iter([room.broadcast(0)]), (room.read() for _ in range(2))
        )
        read = [received for number, result in results if number == 2 for received in result]
        read += room.reader.receive_batch([room.process], 100)
        assert (room.one, {"number": 1}) in [(one.channel, one.content) for one in read]
        assert sorted(room.sender.group_channels(room.group)) == [room.one, room.two]
        assert room.after() == {room.one, room.two}

    run_all(make_room, play)


def test_coming_and_going_at_the_same_time(make_room: Callable[[], Room]) -> None:
    """Either call may be the last. A member that Redis does not list is not listed by the process either."""

    def play(room: Room, choose: Any) -> None:
        room.sender.group_add(room.group, room.two)
        room.everything()
        carry_out(
            room,
            choose,
            iter([room.join(room.one)]),
            iter([room.leave(room.one)]),
            iter([room.read()]),
            iter([room.broadcast()]),
        )
        room.everything()
        listed = set(room.sender.group_channels(room.group))
        known = {channel for _, channel in room.reader._groups.memberships()}
        assert known <= listed
        assert room.two in known

    run_all(make_room, play)


def test_a_change_is_one_round_trip_if_possible(make_room: Callable[[], Room]) -> None:
    room = make_room()
    trips = []

    def run(steps: Steps[Any]) -> None:
        with suppress(StopIteration):
            answers = None
            while True:
                asked = steps.send(answers)
                trips.append(list(asked.commands))
                servers = room.reader._transport.servers
                answers = {number: servers[number].round_trip(asked.commands[number]) for number in asked.commands}

    run(room.join(room.one))
    run(room.leave(room.one))
    # Joining and leaving, each to as many servers as know of it.
    assert len(trips) == 2 * len({server for servers in trips for server in servers})


def test_a_late_answer_does_not_restore_a_member_that_has_left(make_room: Callable[[], Room]) -> None:
    """One reader asks Redis for the members. Before it has the answer, another reader learns that they have
    left."""
    room = make_room()
    servers = room.reader._transport.servers

    def answers(trips: Trips) -> dict[int, Any]:
        return {number: servers[number].round_trip(trips.commands[number]) for number in trips.commands}

    room.sender.group_add(room.group, room.one)
    room.everything()
    room.reader._groups.forget()
    room.sender.send_group(room.group, {})
    reading = room.read()
    asking = reading.send(answers(next(reading)))
    late = answers(asking)
    room.sender.group_discard(room.group, room.one)
    room.everything()
    with pytest.raises(StopIteration) as end:
        reading.send(late)
    assert [received.channel for received in end.value.value] == [room.one]
    assert room.reader._groups.memberships() == []
