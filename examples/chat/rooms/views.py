from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST

from .consumers import put_out
from .forms import InviteForm, PrivateRoomForm
from .models import HEARTBEAT, Presence, PrivateRoom, list_rooms
from .rules import MAX_NAME_LENGTH, MAX_TEXT_LENGTH, PRIVATE, ROOM_RULE, is_room_name


def lobby(request: HttpRequest) -> HttpResponse:
    """The list of rooms, and the form that opens one."""
    if "room" not in request.GET:
        return lobby_page(request)
    name = request.GET["room"].strip()
    return redirect("room", name) if is_room_name(name) else lobby_page(request, refused=name, status=400)


def room(request: HttpRequest, room: str) -> HttpResponse:
    """A room. Its messages come over the socket."""
    if is_room_name(room):
        return room_page(request, room)
    private = PrivateRoom.objects.of(request.user).filter(key=room).first()
    if private:
        return room_page(request, room, private)
    if room.startswith(PRIVATE):  # the answer does not show whether the room exists
        return lobby_page(request, closed=True, status=404)
    return lobby_page(request, refused=room, status=404)


@login_required
def open_private_room(request: HttpRequest) -> HttpResponse:
    if request.method != "POST":
        return redirect("lobby")
    form = PrivateRoomForm(request.POST)
    if not form.is_valid():
        return lobby_page(request, form=form, status=400)
    form.instance.owner = request.user
    private = form.save()
    private.members.add(request.user)
    return redirect("room", private.key)


@require_POST
def members(request: HttpRequest, room: str) -> HttpResponse:
    """The owner invites somebody, or removes a member from the room and closes the member's sockets."""
    private = get_object_or_404(PrivateRoom, key=room, owner=request.user.pk)
    if "remove" in request.POST:
        removed = get_object_or_404(private.members.exclude(pk=private.owner_id), username=request.POST["remove"])
        private.members.remove(removed)
        put_out(Presence.objects.filter(room=room, user=removed))
    else:
        form = InviteForm(request.POST)
        if not form.is_valid():
            return room_page(request, room, private, form, status=400)
        private.members.add(form.cleaned_data["invite"])
    return redirect(reverse("room", args=[room]) + "#members")


def room_page(
    request: HttpRequest,
    room: str,
    private: PrivateRoom | None = None,
    form: InviteForm | None = None,
    status: int = 200,
) -> HttpResponse:
    context = {
        "room": room,
        "private": private,
        "form": form or InviteForm(),
        "max_name_length": MAX_NAME_LENGTH,
        "max_text_length": MAX_TEXT_LENGTH,
        "heartbeat": HEARTBEAT.seconds,
    }
    return render(request, "rooms/room.html", context, status=status)


def lobby_page(
    request: HttpRequest,
    refused: str | None = None,
    closed: bool = False,
    form: PrivateRoomForm | None = None,
    status: int = 200,
) -> HttpResponse:
    context = {
        "rooms": list_rooms(),
        "private_rooms": PrivateRoom.objects.of(request.user).select_related("owner").order_by("name"),
        "form": form or PrivateRoomForm(),
        "rule": ROOM_RULE,
        "refused": refused,
        "closed": closed,
    }
    return render(request, "rooms/lobby.html", context, status=status)
