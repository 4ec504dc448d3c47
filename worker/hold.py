"""``Hold``: a taker of the layer, with its page of the journal, for as long as it has a batch."""

from __future__ import annotations

from channels_classic.journal import Page
from channels_classic.layers import BaseChannelLayer
from channels_classic.layers.takers import Taker


class Hold:
    """What has a batch in-flight.

    Arguments:
        taker: of the layer; without one, the layer does not keep what is in-flight.
        page: of the journal, if there is one.
    """

    def __init__(self, taker: Taker | None = None, page: Page | None = None) -> None:
        self.taker = taker
        self.page = page
        self.process = taker.process if taker is not None else ""
        """The name of the process that the taker belongs to."""

    def begin(self) -> None:
        """A batch has come."""
        if self.page is not None and self.taker is not None:
            self.page.begin(self.taker.batch)

    @property
    def started(self) -> int:
        """How many messages of the batch were started, as far as the journal has it."""
        return 0 if self.page is None else self.page.started

    def done(self, *places: int) -> None:
        """Messages of the batch are done, and all that they sent is on its way."""
        if self.page is not None and places:
            self.page.done(*places)

    def end(self, layer: BaseChannelLayer) -> None:
        """Say that the whole batch is done.

        Raises:
            Lapsed: others have it.
            LayerUnavailable: the layer does not answer.
        """
        if self.taker is not None and self.taker.batch:
            layer.receive_batch([f"{self.taker.name}!"], 1, 0, self.taker)
