"""Fencing: after a process was declared dead, the layer refuses everything that its code still does.

The code may not know that its process was stopped, and that others have taken over. So a worker sets in each of
its threads the process that acts there. The contexts of its consumers inherit this, and so do their tasks,
streaming answers, and calls of ``sync_to_async``. A plain ``threading.Thread`` does not.

Layers refuse messages, memberships, turns and values. Call ``confirm`` just before you store something elsewhere,
such as a session in a database.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import Protocol


class Actor(Protocol):
    """The process in whose name code acts."""

    @property
    def process(self) -> str:
        """The name of the process in the registry of its layer."""

    def confirm(self) -> None:
        """Check that the process was not declared dead, as far as the layer can be asked.

        Raises:
            Lapsed: it was.
        """


_actor: ContextVar[Actor | None] = ContextVar("actor", default=None)


def act_as(actor: Actor | None) -> None:
    """Set the process in whose name the code in this context acts from now on; ``None`` for none."""
    _actor.set(actor)


def acting_process() -> str:
    """The name of the process in whose name the code in this context acts; empty if there is none."""
    actor = _actor.get()
    return "" if actor is None else actor.process


def confirm() -> None:
    """Check that the process in whose name this context acts was not declared dead.

    Raises:
        Lapsed: it was.
    """
    actor = _actor.get()
    if actor is not None:
        actor.confirm()
