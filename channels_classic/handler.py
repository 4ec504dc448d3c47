"""The classic name of the module that runs Django's views; the code is in ``channels_classic.http``."""

from channels_classic.http.consumer import ViewConsumer
from channels_classic.http.handler import AsgiHandler
from channels_classic.http.request import AsgiRequest

__all__ = ["AsgiHandler", "AsgiRequest", "ViewConsumer"]
