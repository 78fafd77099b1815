"""LangChain: chat models and text models of any provider, through a callback handler.

Recorded: the model, provider, temperature and the token limit, token counts, the times, finish reason and errors. Never
recorded: messages, prompts, answers, tool calls, metadata and tags of runs.

`instrument()` adds the handler to all runs. By hand: `callbacks=[LLMMonitorCallback()]`. The client library that a
model uses does not record the same request again.
"""

from __future__ import annotations

import asyncio
import functools
from contextvars import ContextVar
from typing import Any
from uuid import UUID

from llmmonitor.client import LLMMonitor
from llmmonitor.client.call import Call, is_given_up
from llmmonitor.integrations.openai import provider_at
from llmmonitor.integrations.patching import at_unpatch
from llmmonitor.integrations.reading import given, read
from llmmonitor.integrations.recording import begin_recording, current_call, monitor

# The calls that have begun, with the list of current calls that each is in. All handlers share them: a run with two
# handlers is recorded once.
_begun: dict[UUID, tuple[Call, list[Call]]] = {}


def instrument() -> None:
    """Add the handler to all runs that do not have one."""
    handler = _handler_of_all_runs()
    handler.turn(True)
    at_unpatch(functools.partial(handler.turn, False))


@functools.cache
def _handler_of_all_runs() -> Any:
    from langchain_core.tracers.context import register_configure_hook

    # The default of the variable is its value in every thread and task.
    handler = _handler_class()()
    everywhere = ContextVar("llmmonitor_langchain", default=handler)
    register_configure_hook(everywhere, inheritable=True, handle_class=_handler_class())
    return handler


def __getattr__(name: str) -> Any:
    if name == "LLMMonitorCallback":
        return _handler_class()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


@functools.cache
def _handler_class() -> Any:
    from langchain_core.callbacks import BaseCallbackHandler

    return type("LLMMonitorCallback", (_Handler, BaseCallbackHandler), {"__module__": __name__})


class _Handler:
    """The methods of the handler. monitor: the one to record with; by default that of `instrument`."""

    run_inline = True  # in the context of the model, so that it is known there which call is recorded
    raise_error = False
    ignore_chain = ignore_agent = ignore_retriever = ignore_retry = ignore_custom_event = True
    ignore_llm = ignore_chat_model = False

    def __init__(self, monitor: LLMMonitor | None = None) -> None:
        self._monitor = monitor

    def turn(self, is_on: bool) -> None:
        """Turn recording on or off."""
        self.ignore_llm = self.ignore_chat_model = not is_on

    def on_chat_model_start(self, serialized: Any, messages: Any, *, run_id: UUID, **kwargs: Any) -> None:
        """Begin a call of a chat model."""
        self._begin("chat", serialized, run_id, kwargs)

    def on_llm_start(self, serialized: Any, prompts: Any, *, run_id: UUID, **kwargs: Any) -> None:
        """Begin a call of a text model."""
        self._begin("text_completion", serialized, run_id, kwargs)

    def on_llm_new_token(self, token: Any, *, run_id: UUID, chunk: Any = None, **kwargs: Any) -> None:
        """Read a part of a stream. The client has sent the request, so what the caller does now is not part of it."""
        if begun := _begun.get(run_id):
            _leave(*begun)
            if read(_has_token, token, chunk):
                begun[0].first_token()

    def on_stream_event(self, event: Any, *, run_id: UUID, **kwargs: Any) -> None:
        """Read an event of a stream of events."""
        if event.get("event") == "content-block-delta":
            self.on_llm_new_token(event, run_id=run_id)

    def on_llm_end(self, response: Any, *, run_id: UUID, **kwargs: Any) -> None:
        """End a call."""
        if begun := _begun.pop(run_id, None):
            _leave(*begun)
            read(_result, begun[0], response)
            begun[0].end()

    def on_llm_error(self, error: BaseException, *, run_id: UUID, response: Any = None, **kwargs: Any) -> None:
        """End a call that has failed, or whose stream was left."""
        begun = _begun.pop(run_id, None)
        if begun is None:
            return
        call, calls = begun
        _leave(call, calls)
        read(_result, call, response)
        is_complete = is_given_up(error) and call.fields.get("finish_reason")
        call.end(None if is_complete else error)
        if call.fields["operation"] == "chat" and not _is_asynchronous():
            # `generate` with several prompts reports only the one that has failed.
            for other in calls:
                other.discard()
            for other_id in [other_id for other_id, (other, _) in list(_begun.items()) if other in calls]:
                del _begun[other_id]
        calls.clear()

    def _begin(self, operation: str, serialized: Any, run_id: UUID, kwargs: dict[str, Any]) -> None:
        is_of_batch = (kwargs.get("batch_size") or 1) > 1
        if run_id in _begun or (current_call() is not None and not is_of_batch):
            return
        model, fields = read(_fields, serialized or {}, kwargs) or ("unknown", {})
        call = (self._monitor or monitor()).start(model, operation=operation, **fields)
        _begun[run_id] = (call, begin_recording(call, is_of_batch))


def _leave(call: Call, calls: list[Call]) -> None:
    if call in calls:
        calls.remove(call)


def _is_asynchronous() -> bool:
    return asyncio._get_running_loop() is not None


def _fields(serialized: dict[str, Any], kwargs: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return the model and the fields. The provider is a hint: for many models it is the name of their class."""
    metadata, parameters = kwargs.get("metadata") or {}, kwargs.get("invocation_params") or {}
    constructed = serialized.get("kwargs") or {}
    model = (
        given(parameters.get("model"))
        or given(parameters.get("model_name"))
        or given(metadata.get("ls_model_name"))
        or given(serialized.get("name"))
        or "unknown"
    )
    provider = given(metadata.get("ls_provider"))
    address = given(constructed.get("openai_api_base"))
    fields = {
        "provider": provider_at(address) if provider == "openai" and address else provider,
        "temperature": given(metadata.get("ls_temperature")),
        "max_tokens": given(metadata.get("ls_max_tokens")),
    }
    return str(model), {name: value for name, value in fields.items() if value is not None and value != ""}


def _has_token(token: Any, chunk: Any) -> bool:
    if isinstance(token, list):  # of blocks; one of text may be empty
        return any(not isinstance(block, dict) or block.get("text", True) for block in token)
    message = getattr(chunk, "message", None)
    reasoning = (getattr(message, "additional_kwargs", None) or {}).get("reasoning_content")
    return bool(token or getattr(message, "tool_call_chunks", None) or reasoning)


def _result(call: Call, response: Any) -> None:
    """Read the counts from the message, or from what the provider sent."""
    generation = next((first for several in getattr(response, "generations", None) or () for first in several), None)
    message = getattr(generation, "message", None)
    details = {
        **(getattr(generation, "generation_info", None) or {}),
        **(getattr(message, "response_metadata", None) or {}),
    }
    call.update(
        finish_reason=next(
            filter(None, map(details.get, ("finish_reason", "stop_reason", "done_reason", "status"))), None
        ),
        status_code=details.get("status_code"),
    )
    if usage := getattr(message, "usage_metadata", None):
        call.usage(
            usage.get("input_tokens"),
            usage.get("output_tokens"),
            cached_tokens=(usage.get("input_token_details") or {}).get("cache_read"),
            reasoning_tokens=(usage.get("output_token_details") or {}).get("reasoning"),
            cost_usd=0.0 if usage.get("total_cost") == 0 else None,  # from LangChain's cache
        )
    elif usage := (getattr(response, "llm_output", None) or {}).get("token_usage"):
        call.usage(usage.get("prompt_tokens"), usage.get("completion_tokens"))
