"""Delayed messages: ``asgi.delay``, an app and its server ``manage.py rundelay`` (specification, section 10)."""

DELAY_CHANNEL = "asgi.delay"
"""The channel of the delay server."""
