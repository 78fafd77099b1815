"""Stands for llama-cpp-python (version 0.3.36), which compiles llama.cpp when it is installed."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Any

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
