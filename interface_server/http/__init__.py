"""HTTP exchanges, each with one request and its answer, between a connection and the channel layer."""
