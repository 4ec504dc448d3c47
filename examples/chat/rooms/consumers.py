"""The consumers of the chat. chatsite/routing.py maps messages to them.

The consumers of a room are ordered, so messages are saved in the order in which a visitor sent them, and a visitor
who has left stays away. They take the user from the session for each message, and not from what the browser sends.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs

from channels_classic import Channel
from channels_classic.auth import channel_session_user, channel_session_user_from_http
from channels_classic.message import Message as ChannelMessage
from channels_classic.security.websockets import allowed_hosts_only
from channels_classic.sessions import enforce_ordering

from .frames import NOT_ANY_MORE, frame, parse_frame
from .groups import lobby_group, room_group, user_group
from .models import Message, Presence, PresenceQuerySet, check_guest_name, list_rooms, may_enter
from .rules import RuleError, clean_name, clean_text, is_room_name


@enforce_ordering  # the outermost: a socket that is denied counts as well, for it says goodbye
@allowed_hosts_only
@channel_session_user_from_http
def join_room(message: ChannelMessage, room: str) -> None:
    """websocket.connect"""
    if not may_enter(message.user, room):
        refuse(message)
        return
    # Join the group before you send the history. A message in between comes twice rather than never, and the
    # browser knows messages by their ids.
    enter_groups(message, room)
    message.reply_channel.send({"accept": True})
    message.reply_channel.send(frame("history", messages=Message.objects.history(room)))
    query = parse_qs(message["query_string"].decode("ascii", "replace"))
    with rules_told(message):
        stay(message, room, visitor_name(message, query.get("name", [""])[0]))


@enforce_ordering
@channel_session_user
def receive(message: ChannelMessage, room: str) -> None:
    """websocket.receive"""
    if not may_enter(message.user, room):
        show_out(room, message.reply_channel)
        return
    with rules_told(message):
        content = parse_frame(message.get("text"))
        name = visitor_name(message, content.get("name"))
        if content["type"] == "here":
            stay(message, room, name)
        else:
            speak(message, room, name, clean_text(content.get("text")))


@enforce_ordering
def leave_room(message: ChannelMessage, room: str) -> None:
    """websocket.disconnect, of sockets that were refused too"""
    room_group(room).discard(message.reply_channel)
    if Presence.objects.filter(reply_channel=message.reply_channel.name).delete()[0]:
        announce(room)


@allowed_hosts_only
def watch_lobby(message: ChannelMessage) -> None:
    """websocket.connect of the page that lists the rooms"""
    lobby_group().add(message.reply_channel)
    message.reply_channel.send({"accept": True})
    message.reply_channel.send(frame("rooms", at=time.time(), rooms=list_rooms()))


def leave_lobby(message: ChannelMessage) -> None:
    """websocket.disconnect"""
    lobby_group().discard(message.reply_channel)


def refuse(message: ChannelMessage) -> None:
    """websocket.connect on any other path"""
    message.reply_channel.send({"close": True})


@contextmanager
def rules_told(message: ChannelMessage) -> Iterator[None]:
    """Tells the visitor which rule a message has broken."""
    try:
        yield
    except RuleError as error:
        message.reply_channel.send(frame("error", text=str(error), about=error.about))


def visitor_name(message: ChannelMessage, wanted: object) -> str:
    """The name of a visitor. Users have their user names. Guests choose a name that no user has."""
    if message.user.is_authenticated:
        return message.user.get_username()
    name = clean_name(wanted)
    check_guest_name(name)
    return name


def enter_groups(message: ChannelMessage, room: str) -> None:
    """Comes before the check of rights: whoever removes a right meanwhile finds the socket in the user's group."""
    room_group(room).add(message.reply_channel)
    if message.user.is_authenticated:
        user_group(message.user.pk).add(message.reply_channel)


def stay(message: ChannelMessage, room: str, name: str) -> None:
    """Notes that the visitor is in the room, and forgets visitors who have been silent for long."""
    enter_groups(message, room)  # each time, because a membership expires
    news = Presence.objects.touch(room, message.reply_channel.name, name, message.user)
    put_out(Presence.objects.gone(), code=True)  # who is there after all connects again
    if not may_enter(message.user, room):  # removed while they were on their way in
        show_out(room, message.reply_channel)
    elif news:
        announce(room)
    else:  # the answer shows the browser that the connection is alive
        message.reply_channel.send(frame("presence", **presence(room)))


def speak(message: ChannelMessage, room: str, author: str, text: str) -> None:
    said = Message.objects.create(room=room, author=author, guest=message.user.is_anonymous, text=text)
    room_group(room).send(frame("message", **said.as_dict()))


def put_out(presences: PresenceQuerySet, code: int | bool = NOT_ANY_MORE) -> None:
    for present in presences:
        show_out(present.room, Channel(present.reply_channel), code)


def show_out(room: str, reply_channel: Channel, code: int | bool = NOT_ANY_MORE) -> None:
    """Closes a socket. Later messages do not reach it."""
    room_group(room).discard(reply_channel)
    reply_channel.send({"close": code})
    if Presence.objects.filter(reply_channel=reply_channel.name).delete()[0]:
        announce(room)


def presence(room: str) -> dict[str, Any]:
    """Who is in a room.

    `at` is taken after the sender's own change and before the list is read, so of several lists the one
    with the latest `at` is right, in whatever order they arrive: workers do not wait for each other.
    """
    return {"at": time.time(), "people": Presence.objects.people(room)}


def announce(room: str) -> None:
    """Tells the room who is in it. If the room is public, tells the lobby how many people it has."""
    here = presence(room)
    room_group(room).send(frame("presence", **here))
    if is_room_name(room):
        lobby_group().send(frame("rooms", at=here["at"], rooms=[{"name": room, "people": len(here["people"])}]))
