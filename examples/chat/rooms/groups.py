"""The groups that sockets are in."""

from channels_classic import Group


def lobby_group() -> Group:
    return Group("lobby")


def room_group(room: str) -> Group:
    return Group(f"room-{room}")


def user_group(user: int) -> Group:
    """The group of all sockets of a user, by the primary key, to close them when the user loses a right."""
    return Group(f"user-{user}")
