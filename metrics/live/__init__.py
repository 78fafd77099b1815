"""The live stream: one snapshot a second, the ring of the last fifteen minutes, and the WebSocket that carries both."""
