"""The formats of log lines: text for people, or one JSON object a line. Both have the id of the HTTP request."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any


class RequestIdFilter(logging.Filter):
    """Adds `request_id` to a record; empty outside of requests."""

    def __init__(self, read: Callable[[], str]) -> None:
        super().__init__()
        self._read = read

    def filter(self, record: logging.LogRecord) -> bool:
        """Add the id of the current request."""
        record.request_id = self._read()
        return True


class TextFormatter(logging.Formatter):
    """`2026-03-01 14:21:10,447 WARNING metrics.ingest: Events are rejected [request 3f…]`."""

    def __init__(self) -> None:
        super().__init__("{asctime} {levelname} {name}: {message}", style="{")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 (the name in logging)
        """Return the first line."""
        request_id = getattr(record, "request_id", "")
        return super().formatMessage(record) + (f" [request {request_id}]" if request_id else "")


class JSONFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, message, and where there is one, request_id and exception."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        fields: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            "process": record.process,
            "thread": record.threadName,
        }
        if request_id := getattr(record, "request_id", ""):
            fields["request_id"] = request_id
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        if record.stack_info:
            fields["stack"] = self.formatStack(record.stack_info)
        # A file name that is not UTF-8 has surrogates, which no encoding has. In JSON, their escapes are the same text.
        return json.dumps(fields, ensure_ascii=False).encode(errors="backslashreplace").decode()
