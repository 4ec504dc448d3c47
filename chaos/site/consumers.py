"""The consumers of the chat. Each writes into the ledger what it is about to do.

The path of a socket is ``/<room>/<name>``, and each of its frames is ``<name> <number>``. The sender gets its
frame back. Every ``TO_THE_ROOM``-th frame also goes to all sockets of the room.
"""

import random
import time

from channels_classic import Group
from channels_classic.sessions import channel_session, enforce_ordering
from chaos.ledger import note

TO_THE_ROOM = 5
LONGEST = 0.02
"""The most seconds that the consumer of a frame takes, as if it asked a database, so that a kill hits running
consumers."""


@enforce_ordering
@channel_session
def connect(message):
    """Accept a socket, and add it to its room."""
    _, room, name = message["path"].split("/")
    note("connect", name)
    message.channel_session["room"] = room
    Group(f"room-{room}").add(message.reply_channel)
    message.reply_channel.send({"accept": True})


@enforce_ordering
@channel_session
def receive(message):
    """Answer a frame, and send some frames to the room."""
    name, number = message["text"].split()
    note("run", name, number)
    time.sleep(random.random() * LONGEST)
    message.reply_channel.send({"text": f"own {name} {number}"})
    if int(number) % TO_THE_ROOM == 0:
        Group(f"room-{message.channel_session['room']}").send({"text": f"room {name} {number}"})


@enforce_ordering
def disconnect(message):
    """Remove a socket from its room."""
    _, room, name = message["path"].split("/")
    note("disconnect", name, message["code"])
    Group(f"room-{room}").discard(message.reply_channel)
