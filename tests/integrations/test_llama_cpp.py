"""llama-cpp-python: one request for each completion, with the tokens that the library counted.

The library compiles llama.cpp when it is installed, so a class with its methods stands for it (version 0.3.36).
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Generator, Iterator
from types import ModuleType
from typing import Any

import pytest
from conftest import Recorded

PROMPT, WORDS, END = [1, 2, 3], [10, 11, 12, 13], 2
USAGE = {"prompt_tokens": len(PROMPT), "completion_tokens": len(WORDS), "total_tokens": len(PROMPT) + len(WORDS)}


class Llama:
    """The methods of `llama_cpp.Llama`, with its signatures and the formats of its results."""

    def __init__(self, model_path: str) -> None:
        self.model_path = model_path
        self.error: Exception | None = None

    def token_eos(self) -> int:
        return END

    def generate(  # type: ignore[no-untyped-def]
        self, tokens, top_k=40, top_p=0.95, min_p=0.05, typical_p=1.0, temp=0.80, repeat_penalty=1.0, reset=True,
        frequency_penalty=0.0, presence_penalty=0.0, tfs_z=1.0, mirostat_mode=0, mirostat_tau=5.0, mirostat_eta=0.1,
        penalize_nl=True, logits_processor=None, stopping_criteria=None, grammar=None,
    ) -> Generator[int, Any, None]:  # fmt: skip
        if self.error is not None:
            raise self.error
        for token in (*WORDS, END):
            if (yield token) is not None:
                raise AssertionError("nothing is sent")

    def create_completion(  # type: ignore[no-untyped-def]
        self, prompt, suffix=None, max_tokens=16, temperature=0.8, top_p=0.95, min_p=0.05, typical_p=1.0, logprobs=None,
        echo=False, stop=(), frequency_penalty=0.0, presence_penalty=0.0, repeat_penalty=1.0, top_k=40, stream=False,
        seed=None, tfs_z=1.0, mirostat_mode=0, mirostat_tau=5.0, mirostat_eta=0.1, model=None, stopping_criteria=None,
        logits_processor=None, grammar=None, logit_bias=None,
    ) -> Any:  # fmt: skip
        chunks = self._create_completion(max_tokens, stream)
        return chunks if stream else next(chunks)

    def _create_completion(self, max_tokens: int, stream: bool) -> Iterator[dict[str, Any]]:
        completion: list[int] = []
        reason = "length"
        for token in self.generate(PROMPT):
            if token == END:
                reason = "stop"
                break
            completion.append(token)
            if stream:
                yield {"choices": [{"text": f"SECRET {token}", "index": 0, "finish_reason": None}]}
            if len(completion) >= max_tokens:
                break
        last: dict[str, Any] = {"choices": [{"text": "" if stream else "SECRET", "index": 0, "finish_reason": reason}]}
        usage = {"prompt_tokens": len(PROMPT), "completion_tokens": len(completion)}
        yield last if stream else last | {"usage": usage | {"total_tokens": len(PROMPT) + len(completion)}}

    def __call__(self, prompt: Any, **settings: Any) -> Any:
        return self.create_completion(prompt=prompt, **settings)

    def create_chat_completion(  # type: ignore[no-untyped-def]
        self, messages, functions=None, function_call=None, tools=None, tool_choice=None, temperature=0.2, top_p=0.95,
        top_k=40, min_p=0.05, typical_p=1.0, stream=False, stop=(), seed=None, response_format=None, max_tokens=None,
        presence_penalty=0.0, frequency_penalty=0.0, repeat_penalty=1.0, tfs_z=1.0, mirostat_mode=0, mirostat_tau=5.0,
        mirostat_eta=0.1, model=None, logits_processor=None, grammar=None, logit_bias=None, logprobs=None,
        top_logprobs=None,
    ) -> Any:  # fmt: skip
        result = self.create_completion(PROMPT, max_tokens=max_tokens or 99, stream=stream)
        return map(self._as_chat, result) if stream else self._as_chat(result)

    def _as_chat(self, part: dict[str, Any]) -> dict[str, Any]:
        ((choice),) = part["choices"]
        delta = {"content": choice["text"]} if choice["finish_reason"] is None else {}
        return part | {"choices": [{"index": 0, "delta": delta, "finish_reason": choice["finish_reason"]}]}

    def create_embedding(self, input: Any, model: str | None = None) -> dict[str, Any]:
        return {"object": "list", "data": [], "usage": {"prompt_tokens": 3, "total_tokens": 3}}


sys.modules["llama_cpp"] = ModuleType("llama_cpp")
sys.modules["llama_cpp"].Llama = Llama  # type: ignore[attr-defined]

HELLO: Any = [{"role": "user", "content": "SECRET"}]


@pytest.fixture
def llama(recorded: Recorded, model: str) -> Llama:
    return Llama(f"/home/someone/models/{model}")


def tokens(stored: dict[str, Any]) -> tuple[int, int]:
    return stored["prompt_tokens"], stored["completion_tokens"]


COUNTED = (len(PROMPT), len(WORDS))


class ACompletion:
    def test_is_recorded_once_with_its_tokens_and_this_host(self, llama: Llama, recorded: Recorded, model: str) -> None:
        answer = llama.create_completion("SECRET", max_tokens=20)

        assert answer["usage"] == USAGE
        stored = recorded.one(model)
        assert (tokens(stored), stored["finish_reason"], stored["outcome"]) == (COUNTED, "stop", "ok")
        assert (stored["host"], stored["provider"], stored["stream"]) == (socket.gethostname(), "llama.cpp", False)
        assert (stored["temperature"], stored["max_tokens"]) == (0.8, 20)
        assert 0 < stored["ttft_ms"] <= stored["response_time_ms"]
        assert "SECRET" not in str(stored)

    def test_of_a_model_that_is_called_is_recorded_once(self, llama: Llama, recorded: Recorded, model: str) -> None:
        llama("SECRET", max_tokens=2)

        stored = recorded.one(model)
        assert (tokens(stored), stored["finish_reason"]) == ((3, 2), "length")

    def test_of_a_chat_is_recorded_once(self, llama: Llama, recorded: Recorded, model: str) -> None:
        llama.create_chat_completion(HELLO)

        stored = recorded.one(model)
        assert (tokens(stored), stored["operation"], stored["max_tokens"]) == (COUNTED, "chat", None)

    def test_has_the_name_that_the_caller_gives(self, llama: Llama, recorded: Recorded, model: str) -> None:
        llama.create_completion("SECRET", model=f"named-{model}")

        assert tokens(recorded.one(f"named-{model}")) == COUNTED

    def test_that_fails_is_recorded_and_raised(self, llama: Llama, recorded: Recorded, model: str) -> None:
        llama.error = ValueError("Requested tokens (9) exceed context window of 8")
        with pytest.raises(ValueError, match="exceed context window"):
            llama.create_completion("SECRET")

        assert recorded.one(model)["error_type"] == "ValueError"


class AStream:
    @pytest.mark.parametrize("operation", ["chat", "text_completion"])
    def test_has_the_tokens_that_were_generated(
        self, llama: Llama, recorded: Recorded, model: str, operation: str
    ) -> None:
        if operation == "chat":
            chunks = list(llama.create_chat_completion(HELLO, stream=True))
        else:
            chunks = list(llama("SECRET", stream=True))

        assert len(chunks) == len(WORDS) + 1
        stored = recorded.one(model)
        assert (tokens(stored), stored["finish_reason"], stored["operation"]) == (COUNTED, "stop", operation)
        assert stored["stream"] is True
        assert 0 < stored["ttft_ms"] <= stored["response_time_ms"]
        assert "SECRET" not in str(stored)

    def test_that_is_left_early_is_cancelled(self, llama: Llama, recorded: Recorded, model: str) -> None:
        stream = llama.create_completion("SECRET", stream=True)
        next(stream)
        stream.close()

        stored = recorded.one(model)
        assert (stored["outcome"], tokens(stored)) == ("cancelled", (3, 1))

    def test_that_is_never_read_is_not_recorded(self, llama: Llama, recorded: Recorded, model: str) -> None:
        llama.create_completion("SECRET", stream=True)

        assert recorded.requests(model) == []

    def test_that_fails_is_recorded_and_raised(self, llama: Llama, recorded: Recorded, model: str) -> None:
        llama.error = RuntimeError("llama_decode returned -3")
        with pytest.raises(RuntimeError):
            next(llama.create_completion("SECRET", stream=True))

        assert recorded.one(model)["error_type"] == "RuntimeError"


def test_an_embedding_has_the_tokens_of_its_input(llama: Llama, recorded: Recorded, model: str) -> None:
    llama.create_embedding("SECRET")

    stored = recorded.one(model)
    assert (stored["prompt_tokens"], stored["operation"]) == (3, "embeddings")
