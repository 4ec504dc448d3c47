"""The chat's consumers; chatsite/routing.py says which message reaches which."""

import time
from typing import Any
from urllib.parse import parse_qs

from channels_classic import Channel, Group
from channels_classic.layers import ChannelFull
from channels_classic.message import Message as ChannelMessage

from .frames import frame, parse_frame
from .models import Message, Presence, list_rooms
from .rules import RuleError, clean_name, clean_text, is_room_name

LOBBY = "lobby"


def join_room(message: ChannelMessage, room: str) -> None:
    """websocket.connect"""
    if not is_room_name(room):
        refuse(message)
        return
    # First into the group, then the history: what is said in between comes twice rather than never,
    # and the browser knows messages by their id.
    room_group(room).add(message.reply_channel)
    message.reply_channel.send({"accept": True})
    message.reply_channel.send(frame("history", messages=Message.objects.history(room)))
    query = parse_qs(message["query_string"].decode("ascii", "replace"))
    stay(message, room, visitor_name(message, query.get("name", [""])[0]))


def receive(message: ChannelMessage, room: str) -> None:
    """websocket.receive"""
    try:
        content = parse_frame(message.get("text"))
        name = visitor_name(message, content.get("name"))
        if content["type"] == "here":
            stay(message, room, name)
        else:
            speak(room, name, clean_text(content.get("text")))
    except RuleError as error:
        message.reply_channel.send(frame("error", text=str(error)))


def leave_room(message: ChannelMessage, room: str) -> None:
    """websocket.disconnect"""
    if not is_room_name(room):
        return  # a socket that was refused says goodbye as well
    room_group(room).discard(message.reply_channel)
    if Presence.objects.filter(reply_channel=message.reply_channel.name).delete()[0]:
        announce(room)


def save_message(message: ChannelMessage) -> None:
    """chat-messages: all that is said passes here, so a view, a command or a bot may send to it too."""
    saved = Message.objects.create(room=message["room"], author=message["author"], text=message["text"])
    room_group(saved.room).send(frame("message", **saved.as_dict()))


def watch_lobby(message: ChannelMessage) -> None:
    """websocket.connect of the page that lists the rooms"""
    Group(LOBBY).add(message.reply_channel)
    message.reply_channel.send({"accept": True})
    message.reply_channel.send(frame("rooms", at=time.time(), rooms=list_rooms()))


def leave_lobby(message: ChannelMessage) -> None:
    """websocket.disconnect"""
    Group(LOBBY).discard(message.reply_channel)


def refuse(message: ChannelMessage) -> None:
    """websocket.connect where nothing lives"""
    message.reply_channel.send({"close": True})


def visitor_name(message: ChannelMessage, wanted: object) -> str:
    """What a visitor is called. A site with log-in returns the user's name here, whatever is wanted."""
    return clean_name(wanted)


def room_group(room: str) -> Group:
    return Group(f"room-{room}")


def stay(message: ChannelMessage, room: str, name: str) -> None:
    """The visitor is in the room; those who have not been heard of for long are in none any more."""
    room_group(room).add(message.reply_channel)  # each time, because membership expires
    changed = Presence.objects.expire()
    if Presence.objects.touch(room, message.reply_channel.name, name):
        changed.add(room)
    else:  # an answer all the same: it shows the browser that the line is alive
        message.reply_channel.send(frame("presence", **presence(room)))
    for changed_room in changed:
        announce(changed_room)


def speak(room: str, author: str, text: str) -> None:
    """Hands a message on to be saved; immediately, so that the author hears if there is no room for it."""
    try:
        Channel("chat-messages").send({"room": room, "author": author, "text": text}, immediately=True)
    except ChannelFull:
        raise RuleError("The chat is very busy and your message was not sent. Please try again.") from None


def presence(room: str) -> dict[str, Any]:
    """Who is in a room.

    `at` is taken after the sender's own change and before the list is read, so of several lists the one
    with the latest `at` is right, in whatever order they arrive: workers do not wait for each other.
    """
    return {"at": time.time(), "people": Presence.objects.names(room)}


def announce(room: str) -> None:
    """Tells the room who is in it, and the lobby how many there are."""
    here = presence(room)
    room_group(room).send(frame("presence", **here))
    Group(LOBBY).send(frame("rooms", at=here["at"], rooms=[{"name": room, "people": len(here["people"])}]))
