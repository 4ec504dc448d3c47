"""The health and the metrics of processes: ``/livez``, ``/readyz``, ``/metrics``."""
