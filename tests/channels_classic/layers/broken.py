"""Layers that break one rule each, which the conformance suite has to find."""

import asyncio
import time
from collections import deque

from channels_classic.layers import InMemoryChannelLayer, names
from channels_classic.layers.memory.groups import Groups
from channels_classic.layers.memory.queues import Queues


class OtherQueues(InMemoryChannelLayer):
    """Has a part that is broken."""

    queues: type[Queues]

    def __init__(self, **config):
        super().__init__(**config)
        self._queues = self.queues(self.expiry, self.capacity_of)


class OtherGroups(InMemoryChannelLayer):
    """Has a part that is broken."""

    groups: type[Groups]

    def __init__(self, **config):
        super().__init__(**config)
        self._groups = self.groups(self.group_expiry)


class LastInFirstOut(OtherQueues):
    class queues(Queues):
        def append(self, queue, entry):
            taken = super().append(queue, entry)
            if taken:
                self._queues[queue].rotate(1)
            return taken


class Bottomless(InMemoryChannelLayer):
    def capacity_of(self, channel):
        return 1_000_000


class OneCapacityForAll(InMemoryChannelLayer):
    def capacity_of(self, channel):
        return self.capacity


class LastMatchWins(InMemoryChannelLayer):
    def __init__(self, **config):
        super().__init__(**config)
        self._capacities._patterns.reverse()


class RoomPerClient(OtherQueues):
    """Counts the messages of each client of a process, instead of those of the process."""

    class queues(Queues):
        def append(self, queue, entry):
            capacity_of = self._capacity_of
            crowd = sum(other.channels != entry.channels for other in self._queues.get(queue, ()))
            self._capacity_of = lambda channel: capacity_of(channel) + crowd
            try:
                return super().append(queue, entry)
            finally:
                self._capacity_of = capacity_of


class LooksThenTakes(InMemoryChannelLayer):
    """Leaves time between finding room and taking it."""

    def capacity_of(self, channel):
        return 1_000_000

    def send_batch(self, deliveries):
        room = [len(self._queues._queues.get(delivery.name, ())) < self.capacity for delivery in deliveries]
        time.sleep(0.001)
        super().send_batch([delivery for delivery, free in zip(deliveries, room, strict=True) if free])
        return [position for position, free in enumerate(room) if not free]


class OldMessagesToo(OtherQueues):
    class queues(Queues):
        def fresh(self, queue, now):
            return super().fresh(queue, 0)


class OldMessagesTakeRoom(OtherQueues):
    class queues(Queues):
        def append(self, queue, entry):
            if len(self._queues.get(queue, ())) >= self._capacity_of(entry.channels[0]):
                return False
            return super().append(queue, entry)

        def forget(self, now):
            pass


class YoungAgain(InMemoryChannelLayer):
    """What is given back counts as new."""

    def give_back(self, batch):
        now = time.monotonic()
        super().give_back([one._replace(receipt=one.receipt._replace(sent=now)) for one in batch])


class MembersForEver(OtherGroups):
    class groups(Groups):
        def members(self, group, now):
            return super().members(group, 0)


class MembersNotRenewed(InMemoryChannelLayer):
    def group_add(self, group, channel):
        if channel not in self.group_channels(group):
            super().group_add(group, channel)


class FirstChannelFirst(OtherQueues):
    class queues(Queues):
        def take(self, channels, limit):
            taken = []
            for channel in channels:
                taken += super().take([channel], limit - len(taken))
            return taken


class FullMembersRaise(InMemoryChannelLayer):
    def send_group(self, group, message):
        for channel in self.group_channels(group):
            self.send(channel, message)


class GroupsTwice(InMemoryChannelLayer):
    def send_group(self, group, message):
        super().send_group(group, message)
        super().send_group(group, message)


class OneMemberPerProcess(OtherGroups):
    class groups(Groups):
        def members_by_queue(self, group, now):
            return {queue: channels[:1] for queue, channels in super().members_by_queue(group, now).items()}


class AnyNameToReceive(InMemoryChannelLayer):
    def receive_batch(self, channels, limit, timeout=0):
        return self._queues.take(list(channels), limit)


class NamesOfQueues(InMemoryChannelLayer):
    """Gives the name of the process where that of its client belongs."""

    def receive_batch(self, channels, limit, timeout=0):
        batch = super().receive_batch(channels, limit, timeout)
        return [one._replace(channel=names.queue_name(one.channel)) for one in batch]


class SameNameAgain(InMemoryChannelLayer):
    def new_channel(self, pattern):
        return super().new_channel(pattern)[: len(pattern)] + "abc"


class BytesAreText(InMemoryChannelLayer):
    def receive(self, channels, block=False):
        channel, message = super().receive(channels, block)
        if message and isinstance(message.get("value"), bytes):
            message["value"] = message["value"].decode("latin-1")
        return channel, message


class KeepsTheDict(InMemoryChannelLayer):
    def __init__(self, **config):
        super().__init__(**config)
        self.sent = {}

    def prepare(self, channel, message, *, checked=False):
        delivery = super().prepare(channel, message, checked=checked)
        self.sent[delivery.payload] = message
        return delivery

    def receive_batch(self, channels, limit, timeout=0):
        batch = super().receive_batch(channels, limit, timeout)
        return [one._replace(content=self.sent[one.receipt.payload]) for one in batch]


class SharesTheDict(InMemoryChannelLayer):
    """Among the members of a group."""

    def __init__(self, **config):
        super().__init__(**config)
        self.left = []

    def receive(self, channels, block=False):
        self.left = self.left or self.receive_batch(channels, 1)
        if not self.left:
            return None, None
        one = self.left.pop()
        return one.channel, one.content


class WakesNoThread(InMemoryChannelLayer):
    def receive_batch(self, channels, limit, timeout=0):
        batch = super().receive_batch(channels, limit)
        if not batch:
            time.sleep(timeout)
        return batch


class WakesNoEventLoop(InMemoryChannelLayer):
    def __init__(self, **config):
        super().__init__(**config)
        self._arrivals.tell = self._arrivals._threads.notify_all


class GoesOnWhenCancelled(InMemoryChannelLayer):
    async def areceive_batch(self, channels, limit, timeout):
        return await asyncio.shield(super().areceive_batch(channels, limit, timeout))


class KeepsWhatACancelledReceiveTook(InMemoryChannelLayer):
    async def areceive_batch(self, channels, limit, timeout):
        batch = await super().areceive_batch(channels, limit, timeout)
        for _ in range(5):
            await asyncio.sleep(0)
        return batch


class LaterOnesGetThrough(InMemoryChannelLayer):
    """A reader that makes room in the middle of a batch changes the order."""

    def send_batch(self, deliveries):
        full = []
        for position, delivery in enumerate(deliveries):
            if super().send_batch([delivery]):
                full.append(position)
                time.sleep(0.0005)
        return full


class NoTokens(InMemoryChannelLayer):
    def enter_turn(self, turn, message):
        return super().enter_turn(turn._replace(token=""), message)


class TokensOfClients(InMemoryChannelLayer):
    """Takes every copy of a message for the same one."""

    def enter_turn(self, turn, message):
        return super().enter_turn(turn._replace(token=str(turn.order)), message)


class SlightTwice(InMemoryChannelLayer):
    """Forgets whom it has let wait."""

    def enter_turn(self, turn, message):
        for turns in self._turns._clients.values():
            turns.freed.clear()
        return super().enter_turn(turn, message)


class SuspendsAnybody(InMemoryChannelLayer):
    def suspend_turn(self, turn):
        super().suspend_turn(turn._replace(token=self._turns._clients[turn.reply_channel].token))


class WrongPositions(InMemoryChannelLayer):
    def send_batch(self, deliveries):
        return [position + 1 for position in super().send_batch(deliveries)]


class BackToTheEnd(InMemoryChannelLayer):
    def give_back(self, batch):
        for one in batch:
            self._queues._queues.setdefault(names.queue_name(one.channel), deque()).append(one.receipt)


class BackInReverse(InMemoryChannelLayer):
    def give_back(self, batch):
        super().give_back(list(reversed(batch)))


class OneTooMany(OtherQueues):
    class queues(Queues):
        def take(self, channels, limit):
            return super().take(channels, limit + 1)


class EveryMemberCounts(InMemoryChannelLayer):
    def receive_batch(self, channels, limit, timeout=0):
        batch = super().receive_batch(channels, limit, timeout)
        self.give_back(batch[limit:])
        return batch[:limit]


class ReceivesFirst(InMemoryChannelLayer):
    def send_and_receive(self, deliveries, channels, limit):
        received = self.receive_batch(channels, limit)
        return self.send_batch(deliveries), received


class NeverPauses(InMemoryChannelLayer):
    def pause(self, channels):
        pass


class PausesTheProcess(InMemoryChannelLayer):
    def send_batch(self, deliveries):
        paused = {names.queue_name(channel) for channel in self._queues._paused}
        refused = [
            position for position, delivery in enumerate(deliveries) if names.queue_name(delivery.name) in paused
        ]
        return refused or super().send_batch(deliveries)


class NeverReleases(InMemoryChannelLayer):
    def release(self, channels):
        pass


class FlushKeepsGroups(InMemoryChannelLayer):
    def flush(self):
        kept, self._groups = self._groups, Groups(self.group_expiry)
        super().flush()
        self._groups = kept


class RefusalsUncounted(OtherQueues):
    class queues(Queues):
        def append(self, queue, entry):
            taken = super().append(queue, entry)
            self._refused.clear()
            return taken


class AgeUnknown(InMemoryChannelLayer):
    def channel_statistics(self, channel):
        return {**super().channel_statistics(channel), "messages_max_age": 0}
