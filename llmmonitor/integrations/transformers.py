"""transformers: `generate` of models in this process, which pipelines call, too.

Recorded: the model, this host, temperature and the token limit, token counts, the times, finish reason and errors.
Never recorded: texts, token ids, tensors. A batch is one request with the tokens of all its sequences.
"""

from __future__ import annotations

import functools
import inspect
import socket
from pathlib import PurePath
from typing import Any

from llmmonitor.client.call import Call
from llmmonitor.integrations.patching import patch
from llmmonitor.integrations.reading import read
from llmmonitor.integrations.recording import current_call, monitor, recording


def instrument() -> None:
    """Record the calls of all models, also of those that exist already."""
    from transformers.generation.utils import GenerationMixin

    patch(GenerationMixin, "generate", _wrap)


def _wrap(function: Any) -> Any:
    signature = inspect.signature(function)

    @functools.wraps(function)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        generation = read(_Generation, signature, args, kwargs) if current_call() is None else None
        begun = read(generation.begin) if generation is not None else None
        if generation is None or begun is None:
            return function(*args, **kwargs)
        call = monitor().start(begun[0], **begun[1])
        arguments = read(generation.observed, call) or signature.bind(*args, **kwargs)
        try:
            with recording(call):
                result = function(*arguments.args, **arguments.kwargs)
        except BaseException as error:
            call.end(error)
            raise
        read(generation.result, call, result)
        call.end()
        return result

    return wrapped


class _Generation:
    """The arguments of a call of `generate`."""

    def __init__(self, signature: inspect.Signature, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self._bound = signature.bind(*args, **kwargs)
        self._named = self._bound.arguments | self._bound.arguments.get("kwargs", {})
        self._model = self._named["self"]

    def _setting(self, name: str) -> Any:
        """Return a setting of the generation: the argument, or that of the given configuration or the model's."""
        given, own = self._named.get("generation_config"), getattr(self._model, "generation_config", None)
        for source in (self._named, given, own):
            value = source.get(name) if isinstance(source, dict) else getattr(source, name, None)
            if value is not None:
                return value
        return None

    def begin(self) -> tuple[str, dict[str, Any]]:
        """Return the model and the fields of the event."""
        config = self._model.config
        name = getattr(config, "_name_or_path", "") or type(self._model).__name__
        fields = {
            "operation": "text_completion",
            "provider": "transformers",
            "host": socket.gethostname(),
            "temperature": self._setting("temperature") if self._setting("do_sample") else None,
            "max_tokens": self._max_tokens(),
            "stream": self._named.get("streamer") is not None,
        }
        name = PurePath(name).name if PurePath(name).is_absolute() else name  # of a directory
        return name, {name: value for name, value in fields.items() if value is not None}

    def observed(self, call: Call) -> inspect.BoundArguments:
        """Return the arguments with a streamer that observes the first token, where `generate` takes a streamer."""
        streamer = self._named.get("streamer")
        if streamer is not None or self._takes_streamer():
            self._bound.arguments["streamer"] = _Streamer(call, streamer)
        return self._bound

    def _takes_streamer(self) -> bool:
        """Return whether this is greedy search, sampling or assisted generation, with this library's own loop."""
        return (
            (self._setting("num_beams") or 1) == 1
            and self._setting("cache_implementation") != "paged"
            and not any(map(self._setting, ("custom_generate", "constraints", "force_words_ids", "penalty_alpha")))
            and self._setting("dola_layers") is None
        )

    def _prompt(self) -> Any:
        """Return the ids of the prompts, one row for each; None if the input is something else."""
        for name in ("input_ids", "inputs"):
            ids = self._named.get(name)
            if getattr(ids, "ndim", 0) == 2:
                return ids
        return None

    def _max_tokens(self) -> Any:
        limit, length, prompt = self._setting("max_new_tokens"), self._setting("max_length"), self._prompt()
        if limit is not None or length is None:
            return limit
        if self._model.config.is_encoder_decoder:
            return length - 1
        return length - prompt.shape[-1] if prompt is not None else None

    def result(self, call: Call, result: Any) -> None:
        """Count the tokens of the prompts and of what was generated, without padding and ends of sequences."""
        prompt, mask = self._prompt(), self._named.get("attention_mask")
        if prompt is not None:
            is_masked = mask is not None and mask.shape == prompt.shape
            call.usage(int(mask.sum()) if is_masked else prompt.numel())
        sequences = getattr(result, "sequences", result)
        if sequences.ndim != 2:
            return
        if self._model.config.is_encoder_decoder:
            given = self._named.get("decoder_input_ids")
            skipped = 1 if given is None else given.shape[-1]
        else:
            skipped = 0 if prompt is None else prompt.shape[-1]
        ends = _ids(self._setting("eos_token_id")) | _ids(self._setting("pad_token_id"))
        rows = sequences[:, skipped:].tolist()
        lengths = [_length(row, ends) for row in rows]
        call.usage(completion_tokens=sum(lengths))
        if all(length < len(row) for length, row in zip(lengths, rows, strict=True)):
            call.update(finish_reason="stop")
        elif sequences.shape[-1] - skipped == self._max_tokens():
            call.update(finish_reason="length")


class _Streamer:
    """A streamer that observes the first token, and passes everything to that of the caller."""

    def __init__(self, call: Call, streamer: Any) -> None:
        self._call = call
        self._streamer = streamer
        self._is_prompt = True

    def put(self, value: Any) -> None:
        """Take the prompt first, and then tokens."""
        if not self._is_prompt:
            self._call.first_token()
        self._is_prompt = False
        if self._streamer is not None:
            self._streamer.put(value)

    def end(self) -> None:
        """Take the end."""
        if self._streamer is not None:
            self._streamer.end()


def _ids(value: Any) -> set[int]:
    """Return ids of tokens: there may be none, one or several, also in a tensor."""
    value = value.tolist() if hasattr(value, "tolist") else value
    return set() if value is None else set(value) if isinstance(value, (list, tuple)) else {value}


def _length(row: list[int], ends: set[int]) -> int:
    """Return the length of a sequence without padding and ends of sequences at its end."""
    length = len(row)
    while length and row[length - 1] in ends:
        length -= 1
    return length
