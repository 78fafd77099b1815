"""llama-cpp-python: completions, chat and embeddings of `Llama` models in this process.

Recorded: the name of the model's file, this host, temperature and the token limit, token counts, the times, finish
reason and errors. Never recorded: prompts, messages, answers, tool calls, embeddings.

`Llama.__call__` and `create_chat_completion_openai_v1` call methods that are recorded.
"""

from __future__ import annotations

import functools
import inspect
import socket
from collections.abc import Generator
from contextlib import closing
from pathlib import PurePath
from typing import Any

from llmmonitor.client.call import Call
from llmmonitor.integrations.patching import patch
from llmmonitor.integrations.reading import Reader, read
from llmmonitor.integrations.recording import current_call
from llmmonitor.integrations.wrapping import wrap_sync

OPERATIONS = {
    "create_completion": "text_completion",
    "create_chat_completion": "chat",
    "create_embedding": "embeddings",
}


def instrument() -> None:
    """Record the calls of all models, also of those that exist already."""
    from llama_cpp import Llama

    for method, operation in OPERATIONS.items():
        begin = _begin(inspect.signature(getattr(Llama, method)), operation)
        patch(Llama, method, wrap_sync(Reader(begin, _result, _chunk, is_lazy=True)))
    patch(Llama, "generate", _wrap_generate)


def _begin(signature: inspect.Signature, operation: str) -> Any:
    def begin(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        given = bound.arguments
        limit = given.get("max_tokens")
        fields = {
            "operation": operation,
            "provider": "llama.cpp",
            "host": socket.gethostname(),
            "temperature": given.get("temperature"),
            "max_tokens": limit if limit is not None and limit > 0 else None,  # 0: until the context is full
            "stream": bool(given.get("stream")),
        }
        model = given.get("model") or PurePath(given["self"].model_path).name
        return model, {name: value for name, value in fields.items() if value is not None}

    return begin


def _result(call: Call, result: Any) -> None:
    """Read a response."""
    usage = result["usage"]
    call.usage(usage["prompt_tokens"], usage.get("completion_tokens"))
    _finish(call, result)


def _chunk(call: Call, chunk: Any) -> None:
    """Read a part of a stream. It has no token counts."""
    _finish(call, chunk)


def _finish(call: Call, part: Any) -> None:
    for choice in part.get("choices", ()):
        call.update(finish_reason=choice["finish_reason"])


def _wrap_generate(function: Any) -> Any:
    """Wrap the loop that makes the tokens of all completions, to count those of streams, and for the first token."""

    @functools.wraps(function)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        call, tokens = current_call(), function(*args, **kwargs)
        return tokens if call is None else _observed(tokens, call, *args, **kwargs)

    return wrapped


def _observed(
    generated: Generator[int, Any, None], call: Call, llama: Any, tokens: Any, *_: Any, **__: Any
) -> Generator[int, Any, None]:
    # A chat may call this several times; then its prompt is the first one.
    call.fields.setdefault("prompt_tokens", len(tokens))
    call.fields.setdefault("completion_tokens", 0)
    end = read(llama.token_eos)
    sent = None
    with closing(generated):
        while True:
            try:
                token = generated.send(sent)
            except StopIteration:
                return
            call.first_token()
            call.fields["completion_tokens"] += token != end
            sent = yield token
