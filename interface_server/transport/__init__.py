"""The transport: connections, and the protocols on them."""
