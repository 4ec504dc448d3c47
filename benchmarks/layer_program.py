"""The loads on a channel layer alone. The Python of each stack, even a 3.6, runs this and answers in JSON.

``python layer_program.py BACKEND REDIS_URL LOAD SECONDS SIZE``, where a load is ``send``, ``receive``,
``send-receive`` or ``group-N``. This imports nothing of the suite, which is not installed there.
"""

import asyncio
import importlib
import json
import sys
from time import perf_counter, process_time

import redis

BURST = 50
"""The most messages that wait: fewer than the default capacity of every layer."""

WITHOUT_LIMIT = 10**9
"""The capacity for groups. Nothing reads the messages, and to skip a full member would be less work."""


class BlockingLayer:
    """A classic layer with asynchronous methods, so that the loops are the same for all layers."""

    def __init__(self, layer):
        """Wrap the layer."""
        self.layer = layer

    async def channel(self):
        """A normal channel, like those for messages from clients."""
        return "websocket.receive"

    async def send(self, channel, message):
        """Send one message."""
        self.layer.send(channel, message)

    async def receive(self, channel):
        """Receive the message that waits."""
        name, message = self.layer.receive([channel], block=True)
        return message if name else None

    async def join(self, group, number):
        """Add ``number`` clients of one interface server process to the group."""
        for member in range(number):
            self.layer.group_add(group, f"websocket.send.bench!{member}")

    async def send_group(self, group, message):
        """Send to the group."""
        self.layer.send_group(group, message)


class AwaitedLayer:
    """A layer of Channels 4."""

    def __init__(self, layer):
        """Wrap the layer."""
        self.layer = layer

    async def channel(self):
        """A channel of this process, because some of these layers have no others."""
        return await self.layer.new_channel()

    async def send(self, channel, message):
        """Send one message."""
        await self.layer.send(channel, message)

    async def receive(self, channel):
        """Receive the message that waits."""
        return await self.layer.receive(channel)

    async def join(self, group, number):
        """Add ``number`` channels of this process to the group."""
        for _ in range(number):
            await self.layer.group_add(group, await self.layer.new_channel())

    async def send_group(self, group, message):
        """Send to the group."""
        await self.layer.group_send(group, message)


class RedisClock:
    """The CPU time of Redis, without the time that asking for it takes.

    :param url: where Redis is.
    """

    def __init__(self, url):
        """Measure how much time asking takes."""
        self.client = redis.StrictRedis.from_url(url)
        self.cost = 0.0
        costs = []
        for _ in range(50):
            before = self.now()
            costs.append(self.now() - before)
        self.cost = sorted(costs)[len(costs) // 2]

    def now(self):
        """The CPU time so far, user and system, in seconds."""
        used = self.client.info("cpu")
        return float(used["used_cpu_user"]) + float(used["used_cpu_sys"])

    def since(self, before):
        """The CPU time used since then, in seconds."""
        return max(0.0, self.now() - before - self.cost)


async def pass_messages(layer, clock, load, seconds, message):
    """Send bursts and receive them, and time the part that the load is about."""
    channel = await layer.channel()
    burst = 1 if load == "send-receive" else BURST
    times = []
    redis_cpu = own_cpu = 0.0
    deadline = perf_counter() + seconds
    redis_before, own_before = clock.now(), process_time()

    async def send():
        for _ in range(burst):
            await layer.send(channel, message)

    async def receive():
        for _ in range(burst):
            if not await layer.receive(channel):
                raise RuntimeError("a message that was sent did not arrive")

    while perf_counter() < deadline:
        if load == "send-receive":
            started = perf_counter()
            await send()
            await receive()
            times.append(perf_counter() - started)
            continue
        for part, step in (("send", send), ("receive", receive)):
            if part != load:
                await step()
                continue
            redis_before, own_before = clock.now(), process_time()
            started = perf_counter()
            await step()
            times.append((perf_counter() - started) / burst)
            own_cpu += process_time() - own_before
            redis_cpu += clock.since(redis_before)
    if load == "send-receive":
        own_cpu, redis_cpu = process_time() - own_before, clock.since(redis_before)
    return answer(times, len(times) * burst, sum(times) * burst, own_cpu, redis_cpu)


async def send_to_group(layer, clock, members, seconds, message):
    """Send to a group with ``members`` members in one process, again and again."""
    await layer.join("room", members)
    await layer.send_group("room", message)
    times = []
    deadline = perf_counter() + seconds
    redis_before, own_before = clock.now(), process_time()
    while perf_counter() < deadline or len(times) < 3:
        started = perf_counter()
        await layer.send_group("room", message)
        times.append(perf_counter() - started)
    return answer(times, len(times), sum(times), process_time() - own_before, clock.since(redis_before))


def answer(times, operations, busy, own_cpu, redis_cpu):
    """The output for the suite: latencies in seconds, and CPU times in seconds for all operations together."""
    return {
        "latencies": times,
        "operations": operations,
        "seconds": busy,
        "own_cpu": own_cpu,
        "redis_cpu": redis_cpu,
    }


def make_layer(backend, url, load):
    """Make the layer with its default settings, except for the capacity if nothing reads."""
    module, name = backend.rsplit(".", 1)
    options = {"capacity": WITHOUT_LIMIT} if load.startswith("group-") else {}
    layer = getattr(importlib.import_module(module), name)(hosts=[url], **options)
    awaited = backend.startswith(("channels_redis.", "channels_classic.channels4."))
    return AwaitedLayer(layer) if awaited else BlockingLayer(layer)


def main(backend, url, load, seconds, size):
    """Run one load and print the answer."""
    layer, clock = make_layer(backend, url, load), RedisClock(url)
    message = {"type": "bench.message", "text": "x" * int(size)}
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    if load.startswith("group-"):
        work = send_to_group(layer, clock, int(load[len("group-") :]), float(seconds), message)
    else:
        work = pass_messages(layer, clock, load, float(seconds), message)
    json.dump(loop.run_until_complete(work), sys.stdout)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
