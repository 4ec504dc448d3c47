"""A failover behind one address to a replica that lags behind, as with a virtual address or a proxy."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tests.redis_proxy import RedisProxy
from tests.redis_sentinel import wait_until
from tests.redis_server import RedisServer


class LaggingReplica:
    """A master, its replica, and one address that leads to the master."""

    def __init__(self, master: RedisServer, replica: RedisServer, proxy: RedisProxy) -> None:
        self.url = proxy.url
        self._master = master
        self._replica = replica
        self._proxy = proxy

    def stop_following(self) -> None:
        """Freeze the data of the replica."""
        with self._master.client() as master, self._replica.client() as replica:
            master.set("marker", 1)
            wait_until(lambda: master.wait(1, 1000) == 1, "the replica")
            replica.replicaof("NO", "ONE")

    def fail_over(self) -> None:
        """Make the address lead to the replica."""
        self._proxy.lead_to(self._replica.url)


@contextmanager
def lagging_replica() -> Iterator[LaggingReplica]:
    """A ``LaggingReplica`` whose replica follows until ``stop_following``."""
    with RedisServer(repl_diskless_sync_delay=0) as master, RedisServer() as replica:
        with replica.client() as client:
            client.replicaof(master.host, master.port)
            wait_until(lambda: client.info("replication")["master_link_status"] == "up", "the replica")
        with RedisProxy(master.url) as proxy:
            yield LaggingReplica(master, replica, proxy)
