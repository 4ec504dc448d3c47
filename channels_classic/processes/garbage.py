"""Python's garbage collector, in a process that serves.

By default it runs each time that some 700 more objects exist. A server under load reaches that every few dozen
messages, and finds almost nothing, because the objects of a message are freed without the collector.
"""

import gc

YOUNG_OBJECTS = 20_000
"""How many more objects have to exist before the collector runs."""

COLLECTIONS = (20, 100)
"""How many runs over young objects come before a run over older ones, and how many of those before a full run."""


def collect_less_often() -> None:
    """Make the collector run less often, and skip the objects that the process has made so far.

    Nothing changes if the project has switched the collector off, or makes it run even less often.
    """
    if gc.isenabled() and 0 < gc.get_threshold()[0] < YOUNG_OBJECTS:
        gc.collect()
        gc.freeze()
        gc.set_threshold(YOUNG_OBJECTS, *COLLECTIONS)
