"""Tells clients about changes when their transaction is committed (specification, section 10).

The row is read again then, so clients get the data of the database: no state that was overwritten or rolled back,
and no attribute that was set on an instance and not saved. Clients get one message for each instance, however
often the transaction wrote it: the difference from the state that they knew before its first write.

Changes that a consumer makes are sent after it has ended, like its other messages. Their rows are read then too,
so that a slow consumer does not send a state that another one has overwritten meanwhile.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, Protocol
from weakref import WeakKeyDictionary

from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Model

from channels_classic import pending
from channels_classic.log import logger
from channels_classic.signals import consumer_finished

READ_AT_ONCE = 500
"""The most rows that one query reads after a transaction that changed many."""


@dataclass(frozen=True)
class Known:
    """The state of an instance that the clients of a binding know; nothing if they do not see it."""

    groups: frozenset[str] = frozenset()
    """The groups whose members see it."""
    deletion_groups: frozenset[str] = frozenset()
    """The groups that are told about its deletion. They differ only if the names depend on the action."""
    instance: Model | None = None
    payload: Any = None
    """The instance for the message about its deletion, with no more than they knew."""


class Listener(Protocol):
    """The part of a binding class that is needed here."""

    def tell(self, known: Known, instance: Model | None, signal_kwargs: Mapping[str, Any]) -> None:
        """Tell clients about the new state of an instance; ``None`` if it does not exist any more."""


Before = dict[Listener, Known]
"""The state of an instance that the clients of each binding of a model know."""


def read(model: type[Model], keys: Iterable[Any], using: str) -> dict[Any, Model]:
    """The rows of these keys."""
    rows: dict[Any, Model] = {}
    remaining = iter(keys)
    while some := list(islice(remaining, READ_AT_ONCE)):
        rows.update(model._base_manager.using(using).in_bulk(some))
    return rows


class Batch:
    """Rows that are sent together, such as those of a transaction. They are read when they are sent.

    Arguments:
        using: the alias of the database.
        block: the outermost block of the transaction.
    """

    def __init__(self, using: str, block: Any = None) -> None:
        self.using = using
        self.block = block
        self.is_over = False
        self._told: set[tuple[type[Model], Any, Listener]] = set()
        self._unread: dict[type[Model], dict[Any, None]] = {}
        self._rows: dict[tuple[type[Model], Any], Model | None] = {}

    def add(self, model: type[Model], key: Any) -> None:
        """Note that a row was changed."""
        self._unread.setdefault(model, {})[key] = None

    def is_first(self, model: type[Model], key: Any, listener: Listener) -> bool:
        """Whether the listener has not been told of the row yet; from now on it counts as told."""
        told = model, key, listener
        is_first = told not in self._told
        self._told.add(told)
        return is_first

    def take_row(self, model: type[Model], key: Any) -> Model | None:
        """The row as it is now, or ``None``."""
        if (model, key) not in self._rows:
            unread = self._unread[model]
            unread.pop(key, None)
            keys = [key, *islice(unread, READ_AT_ONCE - 1)]
            rows = read(model, keys, self.using)
            for one in keys:
                unread.pop(one, None)
                self._rows[model, one] = rows.get(one)
        return self._rows.pop((model, key))


_latest = threading.local()
"""The batch of this thread's latest transaction in each database, as an attribute by its alias."""


def announce(
    model: type[Model], key: Any, before: Before, using: str, signal_kwargs: Mapping[str, Any] | None = None
) -> None:
    """Tell clients about a change when the current transaction is committed, or now if there is none.

    Arguments:
        model: the bindings' model.
        key: the instance's primary key.
        before: the bindings, with the state that their clients know.
        using: the alias of the database.
        signal_kwargs: other arguments of the signal.
    """
    connection = transaction.get_connection(using)
    if connection.in_atomic_block and is_test_cases(connection):
        tell_finished(connection)
        change = Change(Batch(using), model, key, before, signal_kwargs or {})
        if not change.wait_for_consumer():
            change.tell()
        return
    change = Change(_current(connection), model, key, before, signal_kwargs or {})
    if connection.in_atomic_block or connection.get_autocommit():
        transaction.on_commit(change.on_commit, using=using)
    else:
        change.on_commit()  # a transaction without atomic(), whose end cannot be noticed


def _current(connection: BaseDatabaseWrapper) -> Batch:
    """The batch of the current transaction. That of the last one may still be being sent."""
    using = connection.alias
    block = next((block for block in connection.atomic_blocks if not _is_test_cases(block)), None)
    latest: Batch | None = getattr(_latest, using, None)
    if block is None or latest is None or latest.is_over or latest.block is not block:
        latest = Batch(using, block)
        setattr(_latest, using, latest)
    return latest


class Change:
    """A change of an instance, which is sent when its transaction is committed."""

    def __init__(
        self,
        batch: Batch,
        model: type[Model],
        key: Any,
        before: Before,
        signal_kwargs: Mapping[str, Any],
    ) -> None:
        self._batch = batch
        self._model = model
        self._key = key
        self._before = dict(before)
        self._signal_kwargs = signal_kwargs
        batch.add(model, key)

    def on_commit(self) -> None:
        """Send it now, or after the consumer that is running."""
        if not self.wait_for_consumer():
            self.tell_or_log()

    def wait_for_consumer(self) -> bool:
        """Send it after the consumer that runs in this context. Returns whether there is one."""
        self._batch.is_over = True
        consumer = pending.current()
        if consumer is None:
            return False
        changes = _of_consumers.setdefault(consumer, {})
        first = changes.setdefault((self.using, self._model, self._key), self)
        # For each binding, the first state is the one that clients know until they are told.
        for listener, known in self._before.items():
            first._before.setdefault(listener, known)
        return True

    @property
    def using(self) -> str:
        """The alias of the database."""
        return self._batch.using

    def move(self, batch: Batch) -> None:
        """Send it together with others."""
        self._batch = batch
        batch.add(self._model, self._key)

    def tell(self) -> None:
        """Call the bindings that have not been told of the same instance by an earlier change.

        Raises:
            ExceptionGroup: bindings failed; the others have sent their messages.
        """
        self._batch.is_over = True
        untold = [each for each in self._before if self._batch.is_first(self._model, self._key, each)]
        if not untold:
            return
        row = self._batch.take_row(self._model, self._key)
        errors = []
        for listener in untold:
            try:
                listener.tell(self._before[listener], row, self._signal_kwargs)
            except Exception as error:
                errors.append(error)
        if errors:
            raise errors[0] if len(errors) == 1 else ExceptionGroup("Several bindings failed.", errors)

    def tell_or_log(self) -> None:
        """Do as ``tell``, but only log errors: they must not reach the code that saved the data."""
        try:
            self.tell()
        except Exception:
            logger.exception("Clients were not told that %s %r has changed:", self._model._meta.label, self._key)


_of_consumers: WeakKeyDictionary[pending.PendingSends, dict[Any, Change]] = WeakKeyDictionary()
"""The changes of the consumers that run, by the object that collects their sends."""


def tell_at_ends() -> None:
    """Let consumers tell at their ends what they have changed.

    It is called with the first binding, so that consumers of projects without bindings do not pay for it.
    """
    consumer_finished.connect(tell_at_end, dispatch_uid=__name__)


def tell_at_end(**kwargs: Any) -> None:
    """Send the changes of the consumer that has ended: a receiver of ``consumer_finished``."""
    consumer = pending.current()
    if consumer is None:
        return
    changes = list(_of_consumers.pop(consumer, {}).values())
    batches: dict[str, Batch] = {}
    for change in changes:
        change.move(batches.setdefault(change.using, Batch(change.using)))
    for change in changes:
        change.tell_or_log()


# A test case has a transaction around each test, which is never committed. A change in no other transaction is
# sent at once. A change in a transaction that ended inside it is sent at the next opportunity.


def is_test_cases(connection: BaseDatabaseWrapper) -> bool:
    """Whether the only open transaction is that of a test case."""
    return all(_is_test_cases(block) for block in connection.atomic_blocks)


def _is_test_cases(block: Any) -> bool:
    return bool(block._from_testcase)


def tell_finished(connection: BaseDatabaseWrapper) -> None:
    """Send the changes of transactions that have ended inside that of a test case."""
    changes = [_change_of(hook) for hook in connection.run_on_commit]
    if any(changes):
        connection.run_on_commit = [hook for hook in connection.run_on_commit if _change_of(hook) is None]
    for change in changes:
        if change is not None and not change.wait_for_consumer():
            change.tell()


def _change_of(hook: tuple[Any, ...]) -> Change | None:
    owner = getattr(hook[1], "__self__", None)
    return owner if isinstance(owner, Change) else None
