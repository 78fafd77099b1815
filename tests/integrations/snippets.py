"""The programs of the Connect page and of docs/integrations, and a process in which one runs as it stands."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

from conftest import SERVER, Recorded

ROOT = Path(__file__).resolve().parents[2]
TIMEOUT_SECONDS = 300  # some libraries import for a minute on a slow machine
# Group -> program -> the models of the requests that it makes. A page with several programs has them numbered.
MODELS = {
    "clients": {
        "anthropic.txt": ["claude-sonnet-4-5"],
        "grpc.txt": ["llama-3-8b"],
        "huggingface.txt": ["meta-llama/Llama-3.1-8B-Instruct"],
        "langchain.txt": ["gpt-4o-mini"],
        "ollama.txt": ["llama3.2"],
        "openai.txt": ["gpt-4o-mini"],
        "anthropic.md": ["claude-sonnet-4-5"],
        "grpc.md": ["llama-3-8b"],
        "grpc.md 2": ["llama-3-8b"],
        "grpc.md 3": ["llama-3-8b"],
        "http.md": ["llama-3-8b", "ranker"],
        "huggingface_hub.md": ["meta-llama/Llama-3.1-8B-Instruct"],
        "langchain.md": ["gpt-4o-mini"],
        "langchain.md 2": ["gpt-4o-mini"],
        "llama_cpp.md": ["llama-3-8b-instruct.Q4_K_M.gguf"],
        "ollama.md": ["llama3.2"],
        "openai.md": ["gpt-4o-mini", "gpt-4o-mini"],
    },
    "litellm": {"litellm.txt": ["gpt-4o-mini"], "litellm.md": ["gpt-4o-mini"]},
    "local": {
        "transformers.txt": ["Qwen/Qwen2.5-0.5B-Instruct"],
        "transformers.md": ["HuggingFaceTB/SmolLM2-135M-Instruct"],
    },
}
# tests/dashboard/connect runs these; test_litellm.py starts a proxy with the YAML.
ELSEWHERE = {"curl.txt", "rest.txt", "litellm-proxy.txt"}


def blocks(page: str, language: str) -> list[str]:
    """Return the blocks of code in a page of docs/integrations."""
    text = (ROOT / "docs" / "integrations" / page).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def snippet(name: str) -> str:
    """Return a snippet of the Connect page."""
    return (ROOT / "dashboard" / "connect" / "snippets" / name).read_text(encoding="utf-8")


def programs() -> dict[str, str]:
    """Return all programs by name. A block without imports continues the program before it."""
    found = {path.name: snippet(path.name) for path in (ROOT / "dashboard/connect/snippets").glob("*.txt")}
    for page in (ROOT / "docs/integrations").glob("*.md"):
        parts: list[str] = []
        for block in blocks(page.name, "python"):
            if block.startswith(("import ", "from ")):
                parts.append(block)
            else:
                parts[-1] += block
        names = [page.name, *(f"{page.name} {number}" for number in range(2, len(parts) + 1))]
        found |= zip(names, parts, strict=True)
    return found


def check(program: str, models: list[str], recorded: Recorded, folder: Path, **variables: str) -> None:
    """Run a program, and check that it has made the requests of these models, without an error."""
    expected = Counter(models)
    before = {model: len(recorded.requests(model)) for model in expected}
    (folder / "program.py").write_text(program, encoding="utf-8")
    kept = {name: value for name, value in os.environ.items() if not re.match("(?i)llmmonitor_|.*_proxy$", name)}
    env = kept | {"LLMMONITOR_URL": SERVER} | variables
    result = subprocess.run(
        [sys.executable, "program.py"], cwd=folder, env=env, timeout=TIMEOUT_SECONDS, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    service = re.search('service="(.*?)"', program)
    for model, count in expected.items():
        requests = recorded.requests(model)
        assert len(requests) - before[model] == count, result.stderr
        newest = {(request["outcome"], request["service"]) for request in requests[:count]}
        assert newest == {("ok", service[1] if service else "")}
