"""Health and numbers of the processes: ``/livez``, ``/readyz``, ``/metrics``."""
