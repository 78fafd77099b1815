"""The snippets of transformers, run as they stand, with small models in the place of those that they name."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import Recorded
from snippets import MODELS, check, programs
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

WORDS = ["<end>", "Say", "hello", "."]
REVISION = "0" * 40


def save(cache: Path, name: str) -> None:
    """Build a model with random weights where the library keeps a download of this name."""
    folder = cache / f"models--{name.replace('/', '--')}"
    snapshot = folder / "snapshots" / REVISION
    snapshot.mkdir(parents=True)
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text(REVISION)
    sizes = {"hidden_size": 16, "num_attention_heads": 2, "num_hidden_layers": 2, "intermediate_size": 16}
    LlamaForCausalLM(LlamaConfig(vocab_size=len(WORDS), **sizes)).save_pretrained(snapshot)
    words = Tokenizer(models.WordLevel({word: number for number, word in enumerate(WORDS)}, unk_token="<end>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=words, eos_token="<end>").save_pretrained(snapshot)


@pytest.mark.parametrize("name", MODELS["local"])
def test_a_snippet_sends_its_request(name: str, recorded: Recorded, tmp_path: Path) -> None:
    [model] = MODELS["local"][name]
    save(tmp_path / "cache", model)
    check(programs()[name], [model], recorded, tmp_path, HF_HUB_CACHE=str(tmp_path / "cache"), HF_HUB_OFFLINE="1")
