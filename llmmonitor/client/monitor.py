"""`LLMMonitor`: what a program calls to record its requests to models."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import datetime
from types import TracebackType
from typing import Any, Self

from llmmonitor.client.annotations import post_annotation
from llmmonitor.client.call import Call, copy_of
from llmmonitor.client.connection import Connection, NoResponse
from llmmonitor.client.events import ERROR, INFERENCE, Recorded, at
from llmmonitor.client.sender import Sender
from llmmonitor.client.settings import read_settings
from llmmonitor.client.traces import trace_of
from llmmonitor.client.warn import warn

HEALTH_SECONDS = 3.0
FLUSH_SECONDS = 5.0


class LLMMonitor:
    """Records requests to models, and sends them to LLM Monitor from a thread of its own.

    url, api_key, service, spool_dir, disabled: if they are not given, `LLMMONITOR_URL` (http://127.0.0.1:8899 by
    default), `LLMMONITOR_API_KEY`, `LLMMONITOR_SERVICE`, `LLMMONITOR_SPOOL_DIR` and `LLMMONITOR_DISABLED`.
    metadata: for every event. spool_dir: a directory in which events wait while the server cannot be reached, so that a
    crash of this process does not lose them.

    No method raises because of the server or of the settings: what goes wrong is logged, at most once a minute, and
    shown by `health`.
    """

    def __init__(
        self,
        url: str | None = None,
        api_key: str | None = None,
        service: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        spool_dir: str | os.PathLike[str] | None = None,
        disabled: bool | None = None,
    ) -> None:
        self._sender = Sender(read_settings(url, api_key, service, metadata, spool_dir, disabled))

    def track(self, model_name: str, **fields: Any) -> Call:
        """Return a call, for `with` and `async with`, or as a decorator of a function.

        fields: of the event, such as `temperature`, `provider` or `endpoint`; other names become metadata.
        """
        if "metadata" in fields:
            fields["metadata"] = copy_of(fields["metadata"])
        return Call(self._sender, model_name, fields)

    def start(self, model_name: str, **fields: Any) -> Call:
        """Start a call that ends with its method `end`, where a `with` block does not fit."""
        return self.track(model_name, **fields).__enter__()

    def record(self, model_name: str, **fields: Any) -> None:
        """Record a request that was measured elsewhere. Without a `timestamp`, it ended now."""
        self._sender.put(_recorded(INFERENCE, {"model_name": model_name, **fields}))

    def record_batch(self, events: Iterable[Mapping[str, Any]]) -> None:
        """Record many requests, each a mapping with the fields of `record`. Others are dropped."""
        self._sender.put_many([_recorded(INFERENCE, copy_of(event)) for event in events])

    def error(self, error: BaseException | str, model_name: str | None = None, **fields: Any) -> None:
        """Record an error that belongs to no `track` block. fields: such as `request_id`, `endpoint` or `severity`."""
        described: dict[str, Any] = {"error_type": "Error", "error_message": error}
        if isinstance(error, BaseException):
            described["error_type"] = type(error).__name__
            with suppress(Exception):  # of an exception whose attributes raise
                described["error_message"] = trace_of(error)
        named = {"model_name": model_name} if model_name else {}
        self._sender.put(_recorded(ERROR, described | named | fields))

    def headroom(
        self,
        model_name: str,
        provider: str = "",
        remaining_requests: int | None = None,
        remaining_tokens: int | None = None,
    ) -> None:
        """Report what the provider's rate limit still allows. The newest numbers are sent with the next sample.

        `llmmonitor.client.ratelimits.headroom_of` reads them from the headers of a response.
        """
        self._sender.headroom(model_name, provider, remaining_requests, remaining_tokens)

    def annotate(
        self,
        text: str,
        kind: str = "note",
        model: str | None = None,
        host: str | None = None,
        at: datetime | str | float | None = None,
    ) -> bool:
        """Mark a time in the charts, now by default. Return whether the annotation is stored; if not, the log says why.

        kind: deploy, config or note. model, host: draw it only in charts that have this model or host. Needs a key with
        the scope `manage`. It waits for the server, for five seconds at most, and is not sent again.
        """
        if self._sender.settings.is_disabled:
            return False
        try:
            problem = post_annotation(self._sender.settings, text, kind, model, host, at)
        except Exception as error:  # noqa: BLE001 - of an argument that cannot be sent
            problem = f"{type(error).__name__}: {error}"
        if problem:
            warn("annotate", f"the annotation was not stored: {problem}")
        return not problem

    def health(self) -> dict[str, Any]:
        """Ask the server how it is. Return that, and how the SDK is: what is queued, was sent, dropped, refused.

        `status` is ok, disabled, misconfigured, unreachable, refused (the key) or unhealthy; `error` says why.
        """
        sender = self._sender
        status, error, server = self._server()
        return {
            "status": status,
            "error": error,
            "url": sender.settings.url,
            "server": server,
            "in_flight": len(sender.in_flight),
            **sender.counts(),
            "last_error": sender.last_error,
        }

    def flush(self, timeout_seconds: float = FLUSH_SECONDS) -> bool:
        """Send now what was recorded. Return whether all of it has arrived in time."""
        return self._sender.flush(timeout_seconds)

    def close(self) -> None:
        """Send what was recorded, and stop the thread. The end of the process does the same."""
        self._sender.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _server(self) -> tuple[str, str, Mapping[str, Any]]:
        settings = self._sender.settings
        if settings.is_disabled:
            return "disabled", "", {}
        if settings.problem:
            return "misconfigured", settings.problem, {}
        connection = Connection(settings, HEALTH_SECONDS)
        try:
            health = connection.send("GET", "/health")
            if "status" not in health.body or health.status == 404:  # a page of LLM Monitor's has no health, either
                reason = "status 404" if health.status == 404 else health.reason
                why = f"{settings.url}/health is not that of LLM Monitor ({reason})"
                return "unreachable", f"{why}. The address is that of the server, without the path of a page.", {}
            if health.status != 200:
                return "unhealthy", f"{settings.url}/health returned {health.reason}", health.body
            # An empty post: 400 if the key may send events.
            may_send = connection.send("POST", INFERENCE, b"[]")
        except NoResponse as error:
            return "unreachable", str(error), {}
        finally:
            connection.close()
        if may_send.status in (401, 403):
            return "refused", may_send.reason, health.body
        return "ok", "", health.body


def _recorded(path: str, fields: dict[str, Any]) -> Recorded:
    if fields:
        fields.setdefault("timestamp", at(time.time_ns()))
    if "metadata" in fields:
        fields["metadata"] = copy_of(fields["metadata"])
    return Recorded(path, fields)
