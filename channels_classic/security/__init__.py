"""Checks of the origin of sockets: see ``channels_classic.security.websockets``."""
