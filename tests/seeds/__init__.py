"""The documents that people learned Channels from: every code block of theirs, as typed in then.

A test here is an old project in a folder of its own, served by a real ``manage.py runserver``; nothing in it is
new but ``import channels_classic.legacy``. Slips of the documents (a name that was not imported, an undefined
``room``) are corrected.

- ``test_oldest_document``: "Getting Started" of the time when consumers were registered by a decorator.
- ``test_introduction``: an article of 2016, an echo server from ``startproject`` on.
- ``test_getting_started``: "Getting Started" of Channels 1.
- ``test_todays_channels``: what can be run of a page about today's Channels.
- ``test_blocks``: which block is run where, with which corrections, and which is not and why.
"""
