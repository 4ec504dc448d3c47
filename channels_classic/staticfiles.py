"""The classic name of the consumer for static files; it is defined in ``channels_classic.http.staticfiles``."""

from channels_classic.http.staticfiles import StaticFilesConsumer, StaticFilesHandler, default_http_consumer

__all__ = ["StaticFilesConsumer", "StaticFilesHandler", "default_http_consumer"]
