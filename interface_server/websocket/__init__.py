"""WebSockets: their connects, frames and disconnects, between a connection and the channel layer."""
