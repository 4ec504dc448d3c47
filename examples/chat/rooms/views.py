from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from .models import HEARTBEAT, list_rooms
from .rules import MAX_NAME_LENGTH, MAX_TEXT_LENGTH, ROOM_RULE, is_room_name


def lobby(request: HttpRequest) -> HttpResponse:
    """The rooms there are, and the form that opens one."""
    if "room" not in request.GET:
        return lobby_page(request)
    name = request.GET["room"].strip()
    return redirect("room", name) if is_room_name(name) else lobby_page(request, refused=name, status=400)


def room(request: HttpRequest, room: str) -> HttpResponse:
    """A room; what happens in it comes over the socket."""
    if not is_room_name(room):
        return lobby_page(request, refused=room, status=404)
    context = {
        "room": room,
        "max_name_length": MAX_NAME_LENGTH,
        "max_text_length": MAX_TEXT_LENGTH,
        "heartbeat": HEARTBEAT.seconds,
    }
    return render(request, "rooms/room.html", context)


def lobby_page(request: HttpRequest, refused: str | None = None, status: int = 200) -> HttpResponse:
    context = {"rooms": list_rooms(), "rule": ROOM_RULE, "refused": refused}
    return render(request, "rooms/lobby.html", context, status=status)
