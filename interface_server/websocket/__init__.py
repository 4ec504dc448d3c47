"""WebSockets: one socket's connect, frames and disconnect, between a connection and the channel layer."""
