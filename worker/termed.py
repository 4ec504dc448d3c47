"""The attribute ``termed`` of Channels 1: whether a worker has to end."""

from __future__ import annotations

import threading


class Termed:
    """Something that runs until it is told to stop."""

    def __init__(self) -> None:
        self._stopping = threading.Event()

    def stop(self) -> None:
        """Make it end soon. Any thread may call this."""
        raise NotImplementedError

    def sigterm_handler(self, signo: int | None = None, stack_frame: object = None) -> None:
        """Stop, as SIGTERM lets it. A signal handler may call this: a thread waits for the locks."""
        threading.Thread(target=self.stop, name="worker-stopper", daemon=True).start()

    @property
    def termed(self) -> bool:
        """Whether it has to end. To set this to true calls ``stop``."""
        return self._stopping.is_set()

    @termed.setter
    def termed(self, value: bool) -> None:
        if value:
            self.stop()
        else:
            self._stopping.clear()
