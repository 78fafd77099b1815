"""llama-cpp-python: one request for each completion, with the tokens that the library counted."""

from __future__ import annotations

import socket
from typing import Any

import pytest
from conftest import Recorded
from llama_cpp import PROMPT, USAGE, WORDS, Llama

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
