"""The snippets of LiteLLM, run as they stand."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import Recorded
from provider import Provider
from snippets import MODELS, check, programs


@pytest.mark.parametrize("name", MODELS["litellm"])
def test_a_snippet_sends_its_request(name: str, recorded: Recorded, provider: Provider, tmp_path: Path) -> None:
    variables = {"OPENAI_BASE_URL": f"{provider.url}/v1", "OPENAI_API_KEY": "none"}
    check(
        programs()[name], MODELS["litellm"][name], recorded, tmp_path, LITELLM_LOCAL_MODEL_COST_MAP="True", **variables
    )
