"""The ollama client: chat, generate and embed of `Client`, `AsyncClient` and the functions of the module.

Recorded: the model, temperature and the token limit, token counts, the times, the durations that Ollama measured, done
reason and errors. Never recorded: prompts, messages, answers, tool calls, images.

All calls of the library pass `_request`, also those of `ollama.chat`, which is a method of a client that exists before.
"""

from __future__ import annotations

from typing import Any

from llmmonitor.client.call import Call
from llmmonitor.integrations.patching import patch
from llmmonitor.integrations.reading import Reader
from llmmonitor.integrations.wrapping import wrap_async, wrap_sync

OPERATIONS = {
    "/api/chat": "chat",
    "/api/generate": "text_completion",
    "/api/embed": "embeddings",
    "/api/embeddings": "embeddings",
}
DURATIONS = ("load_duration", "prompt_eval_duration", "eval_duration")


def instrument() -> None:
    """Record the calls of all clients, also of those that exist already."""
    from ollama import AsyncClient, Client

    reader = Reader(_begin, _result, _chunk, is_lazy=True)
    for client, wrap in ((Client, wrap_sync), (AsyncClient, wrap_async)):
        if not hasattr(client, "_request"):
            raise AttributeError(f"{client.__name__} of this version of ollama has no method _request")
        patch(client, "_request", wrap(reader))


def _begin(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[str, dict[str, Any]] | None:
    """Read the arguments: the client, the class of the result, the method and the path."""
    operation = OPERATIONS.get(args[3])
    if operation is None:
        return None
    body = kwargs["json"]
    options = body.get("options") or {}
    limit = options.get("num_predict")
    fields = {
        "operation": operation,
        "provider": "ollama",
        "temperature": options.get("temperature"),
        "max_tokens": limit if isinstance(limit, int) and limit > 0 else None,  # -1: until the context is full
        "stream": True if kwargs.get("stream") else None,
    }
    return body.get("model") or "unknown", {name: value for name, value in fields.items() if value is not None}


def _chunk(call: Call, chunk: Any) -> None:
    """Read a part of a stream; the last one has the counts and durations."""
    message = getattr(chunk, "message", chunk)
    if any(getattr(message, name, None) for name in ("content", "response", "thinking", "tool_calls")):
        call.first_token()
    if chunk.done:
        _counts(call, chunk)


def _result(call: Call, result: Any) -> None:
    """Read a result that is not streamed. Its first token came when Ollama had done all but generate the others."""
    _counts(call, result)
    total_ns, eval_ns = getattr(result, "total_duration", None), getattr(result, "eval_duration", None)
    if total_ns and eval_ns and eval_ns <= total_ns <= call.response_time_ms * 1e6:
        call.update(ttft_ms=(total_ns - eval_ns) / 1e6)


def _counts(call: Call, response: Any) -> None:
    """Read the counts, which are missing in old versions of Ollama, and that of the prompt where it was cached."""
    tokens, eval_ns = getattr(response, "eval_count", None), getattr(response, "eval_duration", None)
    call.usage(getattr(response, "prompt_eval_count", None), tokens)
    call.update(finish_reason=getattr(response, "done_reason", None))
    if tokens and eval_ns:
        call.update(tokens_per_second=tokens / eval_ns * 1e9, time_per_output_token_ms=eval_ns / tokens / 1e6)
    durations = {f"{name}_ms": value / 1e6 for name in DURATIONS if (value := getattr(response, name, None))}
    if durations:
        call.metadata(**durations)
