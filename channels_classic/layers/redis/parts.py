"""Makes the parts of the Redis layer, each with the other parts that it needs."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from channels_classic.layers.base import BaseChannelLayer
from channels_classic.layers.redis.batches import Batches
from channels_classic.layers.redis.clocks import Clocks
from channels_classic.layers.redis.connections.addresses import PoolSource
from channels_classic.layers.redis.connections.transport import Transport
from channels_classic.layers.redis.encryption import Cipher
from channels_classic.layers.redis.envelope import Envelopes
from channels_classic.layers.redis.epochs import Epochs
from channels_classic.layers.redis.groups import Groups
from channels_classic.layers.redis.keys import ServerKeys
from channels_classic.layers.redis.letters import DeadLetters
from channels_classic.layers.redis.placement import Placement
from channels_classic.layers.redis.queues import Queues
from channels_classic.layers.redis.reading import Reading
from channels_classic.layers.redis.receiving import Receiving
from channels_classic.layers.redis.registry import Registry
from channels_classic.layers.redis.sending import Sending
from channels_classic.layers.redis.sockets import Sockets
from channels_classic.layers.redis.statistics import Statistics
from channels_classic.layers.redis.sweep import Sweeps
from channels_classic.layers.redis.taking import Taking
from channels_classic.layers.redis.turns import Turns
from channels_classic.layers.redis.values import Values


class Parts:
    """The parts of one layer.

    Arguments:
        layer: the layer, which has the options.
        find: gives the sources of connections, for ``Transport``.
        keys: the keys of the layer, for each server.
        cipher: encrypts what the layer stores; ``None`` for no encryption.
    """

    def __init__(
        self,
        layer: BaseChannelLayer,
        find: Callable[[], Sequence[PoolSource]],
        keys: ServerKeys,
        cipher: Cipher | None,
    ) -> None:
        expiry, group_expiry = layer.expiry, layer.group_expiry
        envelopes = Envelopes(cipher)
        self.keys = keys
        self.transport = transport = Transport(find)
        self.placement = placement = Placement(lambda: len(transport.servers))
        clocks = Clocks(lambda server: transport.servers[server].seconds)
        self.queues = queues = Queues(keys, placement, clocks, layer.capacity_of, expiry)
        self.registry = registry = Registry(keys, placement, cipher, lambda: layer.life)
        self.groups = groups = Groups(keys, placement, queues, clocks, envelopes, registry, group_expiry)
        self.turns = turns = Turns(keys, placement, clocks, envelopes, registry, expiry, group_expiry)
        self.values = Values(keys, placement, registry, cipher)
        self.statistics = Statistics(keys, placement, expiry)
        sending = Sending(queues, placement, clocks, envelopes, expiry, cipher)
        self.epochs = epochs = Epochs(groups, transport.run_id)
        self.receiving = receiving = Receiving(
            transport, queues, placement, clocks, groups, epochs, envelopes, expiry
        )
        reading = Reading(keys, placement, clocks, receiving)
        taking = Taking(transport, keys, queues, placement, clocks, registry, receiving, expiry)
        self.sockets = sockets = Sockets(keys, placement, clocks, envelopes, cipher, expiry)
        self.letters = letters = DeadLetters(keys, clocks, envelopes, cipher, expiry)
        self.sweeps = Sweeps(
            keys, placement, clocks, envelopes, queues, groups, turns, registry, sockets, letters, expiry
        )
        self.batches = Batches(
            transport,
            placement,
            queues,
            clocks,
            envelopes,
            groups,
            epochs,
            turns,
            sending,
            receiving,
            reading,
            taking,
            registry,
            sockets,
        )
