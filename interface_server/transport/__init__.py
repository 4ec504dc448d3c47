"""The transport: bytes on connections, in both directions."""
