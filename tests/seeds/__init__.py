"""The documents that people learned the classic API from: every code block of theirs runs, as typed in then.

Each test is an old project in a folder of its own, served by a real ``manage.py runserver``; nothing in it is new
but ``import channels_classic.legacy``. Slips of the documents (a name that was not imported, an undefined
``room``) are corrected, and marked so.

- ``test_oldest_document``: "Getting Started" of the time when consumers were registered by a decorator.
- ``test_introduction``: an article of 2016, an echo server from ``startproject`` on.
- ``test_getting_started``: "Getting Started" of Channels 1.

Two more documents came with these that are not about the classic API: they teach the ``AsyncWebsocketConsumer``
and the ``ProtocolTypeRouter`` of later Channels. There is nothing in them for this package to run.
"""
