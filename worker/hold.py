"""``Hold``: a taker of the layer, with its page of the journal."""

from __future__ import annotations

from channels_classic.layers import BaseChannelLayer
from channels_classic.layers.takers import Taker
from channels_classic.processes.journal import Page


class Hold:
    """A taker with its page of the journal, which has a batch in-flight.

    Arguments:
        taker: the taker; ``None`` if the layer does not keep in-flight messages.
        page: the page of the journal, if there is one.
    """

    def __init__(self, taker: Taker | None = None, page: Page | None = None) -> None:
        self.taker = taker
        self.page = page
        self.process = taker.process if taker is not None else ""
        """The name of the process that the taker belongs to."""

    def begin(self) -> None:
        """Note that a batch has come."""
        if self.page is not None and self.taker is not None:
            self.page.begin(self.taker.batch)

    @property
    def started(self) -> int:
        """The number of messages of the batch that were started, by the journal."""
        return 0 if self.page is None else self.page.started

    def done(self, *places: int) -> None:
        """Note that messages of the batch are done, and all that they sent is on its way."""
        if self.page is not None and places:
            self.page.done(*places)

    @property
    def nowhere(self) -> str:
        """A normal channel that nobody sends to: to receive on it tells every server that the batch is done.

        The channel that wakes the worker would not do. It is on one server, and a wake-up would be lost.
        """
        return "" if self.taker is None else self.taker.name

    def end(self, layer: BaseChannelLayer) -> None:
        """Tell the layer that the whole batch is done.

        Raises:
            Lapsed: the process has lapsed, and others have the batch.
            LayerUnavailable: the layer does not answer.
        """
        if self.taker is not None and self.taker.batch:
            layer.receive_batch([self.nowhere], 1, 0, self.taker)
