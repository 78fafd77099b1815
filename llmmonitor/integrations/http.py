"""Clients of `httpx` and sessions of `requests`: the requests of those that you name, to any service of models.

Recorded of each POST: the model, temperature and the token limit in its JSON, the times, status, errors and what the
rate limit still allows; of a response in the format of OpenAI or Anthropic, token counts and the finish reason. Never
recorded: other parts of the bodies, headers, addresses. The body of a streamed response is only read by the caller.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from http.client import responses
from inspect import iscoroutinefunction
from typing import Any, TypeVar

from llmmonitor.client import LLMMonitor
from llmmonitor.client.call import Call
from llmmonitor.integrations import anthropic, openai
from llmmonitor.integrations.http_body import Body
from llmmonitor.integrations.reading import from_json, given, read, read_headroom
from llmmonitor.integrations.recording import current_call, recording
from llmmonitor.integrations.recording import monitor as current_monitor

Client = TypeVar("Client")
Usage = Callable[[Any], dict[str, Any]]

UNKNOWN = "unknown"  # model
MAX_BODY_BYTES = 1024 * 1024  # longer ones are not read
OPERATIONS = {
    "/chat/completions": "chat",
    "/messages": "chat",
    "/completions": "text_completion",
    "/responses": "responses",
    "/embeddings": "embeddings",
}


def monitor_httpx(
    client: Client, model: str = "", usage: Usage | None = None, monitor: LLMMonitor | None = None, **fields: Any
) -> Client:
    """Record each POST of a `Client` or `AsyncClient` of httpx or httpx2, and return it.

    model: of requests whose JSON has no `model`; by default that of the response. usage: from a response to fields of
    the event, such as `prompt_tokens` (or the names in a provider's `usage`); it is called with each successful
    response that is not streamed. monitor: by default that of `llmmonitor.instrument`. fields: of every event, such as
    `provider`.
    """
    is_async = iscoroutinefunction(client.send)  # type: ignore[attr-defined]
    body = ("aiter_raw", "aclose") if is_async else ("iter_raw", "close")
    _watch(client, _Watch(model, usage, monitor, fields, body, lambda response, _: not response.is_closed))
    return client


def monitor_requests(
    session: Client, model: str = "", usage: Usage | None = None, monitor: LLMMonitor | None = None, **fields: Any
) -> Client:
    """Record each POST of a `Session` of requests, and return it. The arguments are those of `monitor_httpx`."""

    def is_stream(response: Any, arguments: dict[str, Any]) -> bool:
        return bool(arguments.get("stream", session.stream))  # type: ignore[attr-defined]

    _watch(session, _Watch(model, usage, monitor, fields, ("iter_content", "close"), is_stream))
    return session


@dataclass(frozen=True)
class _Watch:
    """What is read of a client's requests.

    body: the methods of a response that read its body and close it. is_stream: whether that is left to the caller.
    """

    model: str
    usage: Usage | None
    monitor: LLMMonitor | None
    fields: dict[str, Any]
    body: tuple[str, str]
    is_stream: Callable[[Any, dict[str, Any]], bool]

    def begin(self, request: Any) -> Call | None:
        """Start a call; None if it is no POST, or part of another call."""
        if request.method != "POST" or current_call() is not None:
            return None
        sent = None
        with suppress(Exception):  # a body that is sent in parts
            sent = _json(request.body if hasattr(request, "body") else request.content, request.headers)
        path = str(request.url).partition("?")[0]
        limits = (given(getattr(sent, name, None)) for name in openai.TOKEN_LIMITS)
        fields = {
            "operation": next((name for end, name in OPERATIONS.items() if path.endswith(end)), None),
            "temperature": given(getattr(sent, "temperature", None)),
            "max_tokens": next(filter(None, limits), None),
            **self.fields,
        }
        model = given(getattr(sent, "model", None)) or self.model or UNKNOWN
        known = {name: value for name, value in fields.items() if value is not None}
        return (self.monitor or current_monitor()).start(str(model), **known)

    def end(self, call: Call, response: Any, arguments: dict[str, Any]) -> bool:
        """Read a response. Return whether the call goes on, until the caller has read the body."""
        status = response.status_code
        call.update(status_code=status)
        read_headroom(call, response)
        if status >= 400:
            call.update(error_type=f"HTTP{status}", error_message=responses.get(status))
        elif self.is_stream(response, arguments):
            Body(call).watch(response, *self.body)
            return True
        elif self.usage is not None:
            call.update(**self.usage(response))
        else:
            _read_answer(call, _json(response.content, response.headers))
        return False


def _watch(client: Any, watch: _Watch) -> None:
    """Replace the method through which all requests of a client pass."""
    send = client.send

    @functools.wraps(send)
    def sent(request: Any, **arguments: Any) -> Any:
        call = read(watch.begin, request)
        if call is None:
            return send(request, **arguments)
        try:
            with recording(call):
                response = send(request, **arguments)
        except BaseException as error:
            call.end(error)
            raise
        if not read(watch.end, call, response, arguments):
            call.end()
        return response

    @functools.wraps(send)
    async def sent_async(request: Any, **arguments: Any) -> Any:
        call = read(watch.begin, request)
        if call is None:
            return await send(request, **arguments)
        try:
            with recording(call):
                response = await send(request, **arguments)
        except BaseException as error:
            call.end(error)
            raise
        if not read(watch.end, call, response, arguments):
            call.end()
        return response

    client.send = sent_async if iscoroutinefunction(send) else sent


def _json(content: Any, headers: Any) -> Any:
    """Return a JSON body, with attributes for its fields; None for a long one or one of another type."""
    is_json = "json" in headers.get("content-type", "")
    return from_json(content) if is_json and content and len(content) <= MAX_BODY_BYTES else None


def _read_answer(call: Call, answer: Any) -> None:
    """Read a response in the format of OpenAI or Anthropic."""
    if not hasattr(answer, "usage"):
        return
    if call.model_name == UNKNOWN and (model := given(getattr(answer, "model", None))):
        call.model_name = str(model)
    if getattr(answer, "type", None) == "message":
        anthropic.read_usage(call, answer.usage)
        call.update(finish_reason=answer.stop_reason)
    else:
        openai.read_response(call, answer)
