"""transformers: one request for each generation of a model in this process, with the tokens that it generated."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
import torch
import transformers
from conftest import Recorded
from transformers.generation.streamers import BaseStreamer

PAD, END, WORD = 0, 1, 5
STEP_SECONDS = 0.05
SIZES: Any = {"hidden_size": 16, "num_attention_heads": 2, "num_hidden_layers": 2, "intermediate_size": 16}
IDS: Any = {"pad_token_id": PAD, "eos_token_id": END, "bos_token_id": 2}


@pytest.fixture
def llama(recorded: Recorded, model: str) -> Any:
    """A small model with random weights."""
    built = transformers.LlamaForCausalLM(transformers.LlamaConfig(vocab_size=32, **SIZES, **IDS))
    built.config._name_or_path = model
    return built.eval()


class Ends(transformers.LogitsProcessor):
    """Lets each sequence end after a number of tokens; none of them is padding."""

    def __init__(self, lengths: list[int], seconds: float = 0) -> None:
        self.lengths, self.seconds, self.step = lengths, seconds, 0

    def __call__(self, ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        time.sleep(self.seconds)
        forced = torch.full_like(scores, -1e9)
        for row in range(scores.shape[0]):
            forced[row, END if self.step >= self.lengths[row % len(self.lengths)] else WORD] = 0
        self.step += 1
        return forced


def ends(*lengths: int, seconds: float = 0) -> Any:
    return transformers.LogitsProcessorList([Ends(list(lengths), seconds)])


def prompts(*lengths: int) -> dict[str, torch.Tensor]:
    """Return a batch of prompts, padded on the left."""
    longest = max(lengths)
    ids = [[PAD] * (longest - length) + [7] * length for length in lengths]
    mask = [[0] * (longest - length) + [1] * length for length in lengths]
    return {"input_ids": torch.tensor(ids), "attention_mask": torch.tensor(mask)}


def tokens(stored: dict[str, Any]) -> tuple[int, int]:
    return stored["prompt_tokens"], stored["completion_tokens"]


class Collected(BaseStreamer):
    """The streamer of a caller."""

    def __init__(self) -> None:
        self.shapes: list[tuple[int, ...]] = []
        self.has_ended = False

    def put(self, value: torch.Tensor) -> None:
        self.shapes.append(tuple(value.shape))

    def end(self) -> None:
        self.has_ended = True


class AGeneration:
    def test_is_recorded_once_with_its_tokens_and_this_host(self, llama: Any, recorded: Recorded, model: str) -> None:
        result = llama.generate(
            **prompts(3), max_new_tokens=8, do_sample=True, temperature=0.5, logits_processor=ends(4)
        )

        assert result.tolist() == [[7, 7, 7, WORD, WORD, WORD, WORD, END]]
        stored = recorded.one(model)
        assert tokens(stored) == (3, 4)
        assert (stored["host"], stored["provider"]) == (socket.gethostname(), "transformers")
        assert (stored["temperature"], stored["max_tokens"]) == (0.5, 8)
        assert (stored["finish_reason"], stored["outcome"], stored["stream"]) == ("stop", "ok", False)

    def test_of_a_batch_is_one_request_with_the_tokens_of_all_sequences(
        self, llama: Any, recorded: Recorded, model: str
    ) -> None:
        result = llama.generate(**prompts(3, 1, 5), max_new_tokens=8, logits_processor=ends(2, 6, 0))

        assert result.shape == (3, 12)
        assert tokens(recorded.one(model)) == (9, 8)

    def test_that_reaches_its_limit_ends_with_length(self, llama: Any, recorded: Recorded, model: str) -> None:
        llama.generate(prompts(3)["input_ids"], max_length=8, logits_processor=ends(9))

        stored = recorded.one(model)
        assert (tokens(stored), stored["finish_reason"], stored["max_tokens"]) == ((3, 5), "length", 5)

    def test_with_several_sequences_for_a_prompt_counts_the_prompt_once(
        self, llama: Any, recorded: Recorded, model: str
    ) -> None:
        llama.generate(
            **prompts(3), max_new_tokens=8, do_sample=True, num_return_sequences=2, logits_processor=ends(2, 4)
        )

        assert tokens(recorded.one(model)) == (3, 6)

    def test_that_returns_an_object_has_its_tokens(self, llama: Any, recorded: Recorded, model: str) -> None:
        result = llama.generate(**prompts(3), max_new_tokens=8, return_dict_in_generate=True, logits_processor=ends(4))

        assert result.sequences.shape == (1, 8)
        assert tokens(recorded.one(model)) == (3, 4)

    def test_of_an_encoder_and_decoder_counts_what_was_decoded(self, recorded: Recorded, model: str) -> None:
        config = transformers.T5Config(
            vocab_size=32, d_model=16, d_kv=8, d_ff=16, num_layers=1, num_heads=2, decoder_start_token_id=PAD,
            pad_token_id=PAD, eos_token_id=END,
        )  # fmt: skip
        t5 = transformers.T5ForConditionalGeneration(config).eval()
        t5.config._name_or_path = model
        t5.generate(**prompts(6, 2), max_new_tokens=8, logits_processor=ends(4, 1))

        assert tokens(recorded.one(model)) == (8, 5)

    def test_of_a_pipeline_is_recorded(self, llama: Any, recorded: Recorded, model: str) -> None:
        pipeline = transformers.pipeline("text-generation", model=llama, tokenizer=tokenizer())
        (answer,) = pipeline("say hello now", max_new_tokens=8, logits_processor=ends(4), return_full_text=False)

        assert answer["generated_text"] == "hello hello hello hello"
        stored = recorded.one(model)
        assert tokens(stored) == (3, 4)
        assert "hello" not in str(stored)

    def test_with_an_assistant_is_one_request(self, llama: Any, recorded: Recorded, model: str) -> None:
        assistant = transformers.LlamaForCausalLM(llama.config).eval()
        result = llama.generate(**prompts(3), max_new_tokens=8, min_new_tokens=8, assistant_model=assistant)

        stored = recorded.one(model)
        assert tokens(stored) == (3, result.shape[-1] - 3)
        assert stored["ttft_ms"] <= stored["response_time_ms"]

    def test_of_a_model_in_a_directory_has_the_name_of_the_directory(
        self, llama: Any, recorded: Recorded, model: str
    ) -> None:
        llama.config._name_or_path = f"/home/someone/models/{model}"
        llama.generate(**prompts(3), max_new_tokens=2)

        assert recorded.one(model)["outcome"] == "ok"


class TheFirstToken:
    def test_comes_after_the_prompt(self, llama: Any, recorded: Recorded, model: str) -> None:
        llama.generate(**prompts(3, 2), max_new_tokens=8, logits_processor=ends(4, seconds=STEP_SECONDS))

        stored = recorded.one(model)
        assert stored["ttft_ms"] >= 1000 * STEP_SECONDS
        assert stored["response_time_ms"] - stored["ttft_ms"] >= 4 * 1000 * STEP_SECONDS

    def test_is_observed_beside_the_streamer_of_the_caller(self, llama: Any, recorded: Recorded, model: str) -> None:
        streamer = Collected()
        llama.generate(**prompts(3), max_new_tokens=8, streamer=streamer, logits_processor=ends(4))

        assert (streamer.shapes, streamer.has_ended) == ([(1, 3), *[(1,)] * 5], True)
        stored = recorded.one(model)
        assert (tokens(stored), stored["stream"]) == ((3, 4), True)
        assert 0 < stored["ttft_ms"] < stored["response_time_ms"]

    def test_is_observed_in_a_thread_whose_words_the_caller_reads(
        self, llama: Any, recorded: Recorded, model: str
    ) -> None:
        streamer = transformers.TextIteratorStreamer(tokenizer(), skip_prompt=True, skip_special_tokens=True)
        arguments = {**prompts(3), "max_new_tokens": 8, "streamer": streamer, "logits_processor": ends(4)}
        thread = threading.Thread(target=llama.generate, kwargs=arguments)
        thread.start()
        words = "".join(streamer).split()
        thread.join()

        assert words == ["hello"] * 4
        assert recorded.one(model)["ttft_ms"] > 0

    def test_of_beam_search_is_unknown(self, llama: Any, recorded: Recorded, model: str) -> None:
        llama.generate(**prompts(3), max_new_tokens=8, num_beams=2, logits_processor=ends(4))

        stored = recorded.one(model)
        assert (tokens(stored), stored["ttft_ms"]) == ((3, 4), None)

    def test_of_beam_search_in_the_configuration_is_unknown(self, llama: Any, recorded: Recorded, model: str) -> None:
        config = transformers.GenerationConfig(num_beams=2, max_new_tokens=8)
        llama.generate(**prompts(3), generation_config=config, logits_processor=ends(4))

        assert recorded.one(model)["ttft_ms"] is None


class AnError:
    def test_of_memory_is_recorded_and_raised(
        self, llama: Any, recorded: Recorded, model: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def forward(*args: Any, **kwargs: Any) -> None:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

        monkeypatch.setattr(type(llama), "forward", forward)
        with pytest.raises(torch.OutOfMemoryError):
            llama.generate(**prompts(3), max_new_tokens=8)

        stored = recorded.one(model)
        assert (stored["error_type"], stored["outcome"]) == ("OutOfMemoryError", "server_error")
        assert stored["error_message"] == "CUDA out of memory. Tried to allocate 2.00 GiB"

    @pytest.mark.parametrize(
        "call",
        [
            lambda llama: llama.generate(**prompts(3), num_beams=2, streamer=Collected()),
            lambda llama: llama.generate(**prompts(3), no_such_argument=1),
        ],
    )
    def test_of_arguments_is_the_one_of_the_library(
        self, llama: Any, recorded: Recorded, model: str, call: Callable[[Any], Any]
    ) -> None:
        with pytest.raises(ValueError, match=r"streamer|no_such_argument"):
            call(llama)

        assert recorded.one(model)["error_type"] == "ValueError"


def test_importing_the_library_does_not_import_torch() -> None:
    program = "import llmmonitor, sys; llmmonitor.instrument(disabled=True); import transformers; print(*sys.modules)"
    imported = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout

    assert {"transformers"} <= set(imported.split())
    assert "torch" not in imported.split()


def tokenizer() -> Any:
    from tokenizers import Tokenizer, models, pre_tokenizers

    words = {"<pad>": PAD, "</s>": END, "<s>": 2, "say": 3, "now": 4, "hello": WORD, "<unk>": 6, "there": 7}
    built = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    built.pre_tokenizer = pre_tokenizers.Whitespace()
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=built, pad_token="<pad>", eos_token="</s>", bos_token="<s>", unk_token="<unk>"
    )
