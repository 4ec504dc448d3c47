"""The keys of the layer in Redis. Each kind of key has a namespace of its own, which no channel name can leave.

The head of each Lua script describes the keys that it uses. ``asgi:`` and ``asgi-meta:`` are the prefixes.

===============================  ==========  ==================================================================
key                              type        what it is for; when it ends
===============================  ==========  ==================================================================
``asgi:queue:<queue>``           list        the messages for a channel, or for all channels of a process; with
                                             its last entry
``asgi:paused:<process>``        set         the channels of a process that refuse messages; an hour after the
                                             last change
``asgi:handed:<process>``        list        the last batch that was handed to the reader of a process; with its
                                             last message, or a minute later
``asgi:bell:<queue>``            list        at most one token, which wakes a taker that waits; a day after it rang
``asgi:inflight:<taker>``        list        the in-flight batch of a taker; until the taker is done, or is swept
``asgi:takers:<process>``        set         the numbers of a process's takers; with the process
``asgi:wake:<taker>``            list        a token that ends the wait of one taker; a minute later
``asgi:sent:<taker>``            string      the number of a taker's last shipment, and what of it was refused; ten
                                             minutes later
``asgi:beats``                   sorted set  the processes, by their last heartbeat; with the last of them
``asgi:processes``               hash        the details of processes; with the last of them
``asgi:gone``                    sorted set  processes that have ended; a minute later
``asgi:sweep:<process>``         string      the process that sweeps a process; with the sweep, or ten seconds
                                             later
``asgi:clients:<process>``       hash        the wills of the sockets of an interface server; with the last of them
``asgi:orders:<process>``        hash        the orders of their last messages; with them
``asgi:answers:<process>``       set         the clients that get streaming answers from a process; with these
``asgi:joined:<process>``        set         the groups that a process holds members of; with the last membership
``asgi:letters``                 hash        dead letters; with the last of them
``asgi:letter-times``            sorted set  the times at which dead letters were kept; with them
``asgi:routes:<group>``          sorted set  the processes that hold members of a group; with the last of them
``asgi:members:<group>:<proc>``  sorted set  the members that one process holds; with the last of them
``asgi:turns:<client>``          hash        whose turn it is of a client's messages, and those that wait; soon
                                             after the client has left, or ``group_expiry`` after its last message
``asgi:freed:<client>``          set         tokens of messages that waited for the first turn only; with these
``asgi:waiting``                 sorted set  the clients whose messages wait; with the last of them
``asgi:value:<name>``            string      a value; after its own time
``asgi:epoch``                   string      identifies the data in the server; never
``asgi-meta:queue:<kind>``       hash        the statistics of a queue; never, or a day after the last message to a
                                             process
``asgi-meta:totals``             hash        the statistics of all queues; never
===============================  ==========  ==================================================================
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache

from channels_classic.layers import names


class Keys:
    """Makes the keys on one server.

    Arguments:
        prefix: the prefix of all keys but those of statistics.
        stats_prefix: the prefix of the keys of statistics.
    """

    def __init__(self, prefix: str, stats_prefix: str) -> None:
        self.prefix = prefix
        self.stats_prefix = stats_prefix
        self.totals = f"{stats_prefix}totals"
        self._queue = f"{prefix}queue:"
        self.of_queues = self._queue.encode()
        """The bytes with which the keys of queues begin."""
        self.epoch = f"{prefix}epoch"
        self.waiting_clients = f"{prefix}waiting"
        self.beats = f"{prefix}beats"
        self.processes = f"{prefix}processes"
        self.gone = f"{prefix}gone"
        self.letters = f"{prefix}letters"
        self.for_sending = lru_cache(maxsize=1024)(self._for_sending)
        """Gives the three keys of a queue that ``send.lua`` needs."""
        self.letter_times = f"{prefix}letter-times"

    def queue(self, queue: str) -> str:
        """The key of a queue."""
        return self._queue + queue

    def queues(self, queues: Iterable[str]) -> list[str]:
        """The keys of several queues."""
        prefix = self._queue
        return [prefix + queue for queue in queues]

    def queue_of(self, key: bytes) -> str:
        """The name of the queue that has this key."""
        return key.decode()[len(self._queue) :]

    def _for_sending(self, queue: str) -> tuple[str, str, str]:
        second = self.bell(queue) if names.is_normal(queue) else self.paused(queue)
        return self.queue(queue), second, self.statistics(queue)

    def with_bells(self, queues: Iterable[str]) -> list[str]:
        """For each queue its key and that of its bell."""
        return [key for queue in queues for key in (self.queue(queue), self.bell(queue))]

    def handed(self, process: str) -> str:
        """The key of the last batch that was handed to the reader of a process."""
        return f"{self.prefix}handed:{process}"

    def bell(self, queue: str) -> str:
        """The key of the bell of a queue."""
        return f"{self.prefix}bell:{queue}"

    def in_flight(self, taker: str) -> str:
        """The key of the in-flight batch of a taker."""
        return f"{self.prefix}inflight:{taker}"

    def takers(self, process: str) -> str:
        """The key of the numbers of a process's takers."""
        return f"{self.prefix}takers:{process}"

    def wake(self, taker: str) -> str:
        """The key of the token that ends the wait of a taker."""
        return f"{self.prefix}wake:{taker}"

    def sent(self, taker: str) -> str:
        """The key of the number of a taker's last shipment."""
        return f"{self.prefix}sent:{taker}"

    def sweep(self, process: str) -> str:
        """The key of the claim to sweep a process."""
        return f"{self.prefix}sweep:{process}"

    def clients(self, process: str) -> str:
        """The key of the wills of a process's sockets."""
        return f"{self.prefix}clients:{process}"

    def orders(self, process: str) -> str:
        """The key of the orders of their last messages."""
        return f"{self.prefix}orders:{process}"

    def answers(self, process: str) -> str:
        """The key of the clients that get streaming answers from a process."""
        return f"{self.prefix}answers:{process}"

    def joined(self, queue: str) -> str:
        """The key of the groups that a process, given by its queue, holds members of."""
        return f"{self.prefix}joined:{queue}"

    def paused(self, queue: str) -> str:
        """The key of the paused channels of a process."""
        return f"{self.prefix}paused:{queue}"

    def statistics(self, queue: str) -> str:
        """The key of the statistics of a queue."""
        return f"{self.stats_prefix}queue:{names.kind_name(queue)}"

    def routes(self, group: str) -> str:
        """The key of the routes of a group."""
        return f"{self.prefix}routes:{group}"

    def members(self, group: str, process: str) -> str:
        """The key of the members of a group in a process."""
        return f"{self.prefix}members:{group}:{process}"

    def turns(self, client: str) -> str:
        """The key of the turns of a client."""
        return f"{self.prefix}turns:{client}"

    def value(self, name: str) -> str:
        """The key of a value."""
        return f"{self.prefix}value:{name}"

    def patterns(self) -> list[str]:
        """The patterns that match all keys of the layer."""
        return [
            "".join(f"\\{letter}" if letter in "*?[]\\" else letter for letter in prefix) + "*"
            for prefix in (self.prefix, self.stats_prefix)
        ]


class ServerKeys(dict[int, Keys]):
    """The keys on each server, by its position: with the same prefixes on all, or with those of each.

    Arguments:
        prefixes: of all keys but those of statistics: one, or one for each server.
        stats_prefixes: of these.
    """

    def __init__(self, prefixes: Sequence[str], stats_prefixes: Sequence[str]) -> None:
        super().__init__()
        self._prefixes = prefixes
        self._stats_prefixes = stats_prefixes

    def __missing__(self, server: int) -> Keys:
        # One alone is that of all servers.
        prefix, stats_prefix = self._prefixes, self._stats_prefixes
        keys = self[server] = Keys(prefix[server % len(prefix)], stats_prefix[server % len(stats_prefix)])
        return keys
