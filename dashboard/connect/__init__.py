"""The Connect page: how to send the first event, and what sends events now. It also serves the SDK."""
