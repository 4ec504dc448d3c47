"""Python's collector of cyclic garbage, in a process that serves.

By default it looks for garbage each time that some 700 more objects exist. A server under load comes to that every
few dozen messages, and next to nothing of it is garbage: what a message leaves behind goes without the collector.
"""

import gc

YOUNG_OBJECTS = 20_000
"""How many more objects exist before the collector looks at these."""

COLLECTIONS = (20, 100)
"""How many looks at young objects come before one at those that survived one, and how many of these before one at
all."""


def collect_less_often() -> None:
    """Let the collector run less often, and leave out what the process has loaded so far.

    Nothing changes if the project has switched the collector off, or lets it run less often still.
    """
    if gc.isenabled() and 0 < gc.get_threshold()[0] < YOUNG_OBJECTS:
        gc.collect()
        gc.freeze()
        gc.set_threshold(YOUNG_OBJECTS, *COLLECTIONS)
