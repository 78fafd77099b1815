"""Replay recorded traces of requests over HTTP."""
