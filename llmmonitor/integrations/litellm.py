"""LiteLLM: completions, embeddings and responses of all its providers, in a program and in its proxy.

Recorded: the model, provider, temperature and the token limit, token counts, cost, the times, finish reason and errors.
Never recorded: messages, answers, tool calls, keys, users.

`instrument()` adds `callback` to `litellm.callbacks`. In the configuration of the proxy:

    litellm_settings:
      callbacks: llmmonitor.integrations.litellm.callback

LiteLLM reports no call that is cancelled and no stream that is left. In a program, its functions are wrapped for these,
for the calls in flight, and so that the client that LiteLLM uses does not record the same request again.
"""

from __future__ import annotations

import functools
from typing import Any

from llmmonitor.client import LLMMonitor
from llmmonitor.client.call import Call, is_given_up
from llmmonitor.client.events import at
from llmmonitor.integrations.openai import provider_at
from llmmonitor.integrations.patching import at_unpatch, patch
from llmmonitor.integrations.reading import Reader, given, read
from llmmonitor.integrations.recording import monitor
from llmmonitor.integrations.wrapping import wrap_async, wrap_sync

OPERATIONS = {
    "completion": "chat",
    "text_completion": "text_completion",
    "embedding": "embeddings",
    "responses": "responses",
}
SECOND_NS = 1_000_000_000


def instrument() -> None:
    """Record the calls of LiteLLM."""
    import litellm
    from litellm import main

    logger = _callback()
    logger.is_on = True
    at_unpatch(functools.partial(setattr, logger, "is_on", False))
    _add_callback()  # names that were imported from litellm before are not wrapped
    for name, operation in OPERATIONS.items():
        reader = Reader(_begin(operation), _result, _chunk, start=_Unreported.started)
        for module in (main, litellm):
            patch(module, name, wrap_sync(reader))
            patch(module, f"a{name}", wrap_async(reader))


def __getattr__(name: str) -> Any:
    if name == "callback":
        return _callback()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


@functools.cache
def _callback() -> Any:
    from litellm.integrations.custom_logger import CustomLogger

    return type("LLMMonitorLogger", (_Logger, CustomLogger), {"__module__": __name__})()


def _add_callback() -> None:
    import litellm

    if _callback() not in litellm.callbacks:
        litellm.callbacks.append(_callback())


class _Logger:
    """The methods that LiteLLM calls when a call has ended. It names their arguments."""

    is_on = True

    def log_success_event(self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any) -> None:
        """Record a call that has succeeded."""
        if self.is_on:
            read(_record, kwargs, response_obj)

    def log_failure_event(self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any) -> None:
        """Record a call that has failed."""
        if self.is_on:
            read(_record, kwargs, None)

    async def async_log_success_event(self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any) -> None:
        """Record an asynchronous call that has succeeded."""
        self.log_success_event(kwargs, response_obj, start_time, end_time)

    async def async_log_failure_event(self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any) -> None:
        """Record an asynchronous call that has failed."""
        self.log_failure_event(kwargs, response_obj, start_time, end_time)


class _Unreported(Call):
    """A call that LiteLLM reports, unless it is given up."""

    __slots__ = ()

    @classmethod
    def started(cls, monitor: LLMMonitor, model: str, fields: dict[str, Any]) -> Call:
        """Start a call."""
        return cls(monitor._sender, model, fields).__enter__()

    def end(self, error: BaseException | None = None) -> None:
        """End it. Only if it is given up, it is recorded here."""
        if is_given_up(error):
            super().end(error)
        else:
            self.discard()


def _begin(operation: str) -> Any:
    def begin(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        import litellm

        _add_callback()  # the program may have set another list
        model = str(given(kwargs.get("model")) or next(filter(given, args), "unknown"))
        prefix, _, rest = model.partition("/")
        provider = kwargs.get("custom_llm_provider") or (prefix if rest and prefix in litellm.provider_list else "")
        fields: dict[str, Any] = {"stream": True} if kwargs.get("stream") else {}
        fields |= {"operation": operation, "provider": provider_of(provider, kwargs.get("api_base"))}
        return model.removeprefix(f"{provider}/"), fields

    return begin


def _result(call: Call, result: Any) -> None:
    """LiteLLM reports the result itself."""


def _chunk(call: Call, chunk: Any) -> None:
    """Read a part of a stream, which may be left."""
    if any(getattr(getattr(choice, "delta", None), "content", None) for choice in getattr(chunk, "choices", ())):
        call.first_token()


def provider_of(name: str, address: Any) -> str:
    """Return the provider; an empty text for a server that is only compatible with OpenAI's."""
    return provider_at(str(address)) if name == "openai" and address else name


def _record(kwargs: dict[str, Any], response: Any) -> None:
    """Record what LiteLLM reports of a call. response: None if it has failed."""
    payload = kwargs["standard_logging_object"]
    start, end, first = payload["startTime"], payload["endTime"], payload.get("completionStartTime")
    name = payload.get("custom_llm_provider") or ""
    parameters = payload.get("model_parameters") or {}
    streams = bool(payload.get("stream") or kwargs.get("stream"))
    has_failed = payload.get("status") == "failure"
    call_type = str(payload.get("call_type") or "")
    fields = {
        "timestamp": at(int(end * SECOND_NS)),
        "request_id": payload.get("litellm_call_id"),
        "trace_id": payload.get("trace_id"),
        "provider": provider_of(name, payload.get("api_base")),
        "operation": OPERATIONS.get(call_type) or OPERATIONS.get(call_type.removeprefix("a")) or call_type,
        "response_time_ms": (end - start) * 1e3,
        "ttft_ms": (first - start) * 1e3 if streams and first and start < first < end else None,
        "stream": streams or None,
        "temperature": given(parameters.get("temperature")),
        "max_tokens": given(parameters.get("max_completion_tokens")) or given(parameters.get("max_tokens")),
        **(_error(payload, kwargs.get("exception")) if has_failed else _usage(payload, response)),
    }
    model = str(payload.get("model") or kwargs.get("model") or "unknown").removeprefix(f"{name}/")
    if (group := payload.get("model_group")) and group != model:
        fields["metadata"] = {"model_group": group}
    monitor().record(model, **{field: value for field, value in fields.items() if value is not None and value != ""})


def _usage(payload: Any, response: Any) -> dict[str, Any]:
    """Return the counts, if there are any. A cost of 0 is unknown, unless the answer is from the cache."""
    usage = getattr(response, "usage", None)
    choices = getattr(response, "choices", None)
    prompt_details = getattr(usage, "prompt_tokens_details", None) or getattr(usage, "input_tokens_details", None)
    output_details = getattr(usage, "completion_tokens_details", None) or getattr(usage, "output_tokens_details", None)
    return {
        "prompt_tokens": payload.get("prompt_tokens") or None,
        "completion_tokens": payload.get("completion_tokens") or None,
        "cached_tokens": getattr(prompt_details, "cached_tokens", None),
        "reasoning_tokens": getattr(output_details, "reasoning_tokens", None),
        "cost_usd": 0.0 if payload.get("cache_hit") else payload.get("response_cost") or None,
        "finish_reason": getattr(choices[0], "finish_reason", None) if choices else getattr(response, "status", None),
    }


def _error(payload: Any, error: Any) -> dict[str, Any]:
    information = payload.get("error_information") or {}
    status = str(getattr(error, "status_code", None) or information.get("error_code"))
    return {
        "error_type": information.get("error_class") or type(error).__name__,
        "error_message": payload.get("error_str") or str(error),
        "stack_trace": information.get("traceback"),
        "status_code": int(status) if status.isdecimal() else None,
        "success": False,
    }
