"""Plays recorded traces of requests through HTTP, like any client."""
