"""Connections to Redis servers, and the round trips over them, for threads and for event loops."""
