"""The snippets of the Connect page: for each kind of client what to install, to set and to add.

The text files beside this module are the code as it is shown, copied and run by the tests. In them, __URL__ and __KEY__
stand for the address of the server and for a key.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from dashboard.connect.sdk import WHEEL

FOLDER = Path(__file__).parent
SERVICE = "invoice-bot"  # the name under which the snippets send
TRACKED = "model, tokens, first token, response time, finish reason, type and message of errors"
CONTENT = "prompts, answers, tool arguments, images"


@dataclass(frozen=True)
class Kind:
    """What a person has, and how it is connected. mark: its two letters. effort: what it takes."""

    name: str
    title: str
    mark: str
    covers: str
    where: str
    effort: str = "2 lines"
    recorded: str = TRACKED
    never: str = f"{CONTENT}, the provider's key"
    alternative: str = ""


IN_PROGRAM = "before the client is made; then run your program"
KINDS = {
    kind.name: kind
    for kind in (
        Kind("openai", "OpenAI", "Oa", "chat, responses, embeddings · sync, async, streaming, tools", IN_PROGRAM),
        Kind("anthropic", "Anthropic", "An", "messages · sync, async, streaming, tools", IN_PROGRAM),
        Kind(
            "ollama", "Ollama", "Ol", "chat, generate, embed · sync, async, streaming", IN_PROGRAM,
            never=CONTENT,
        ),
        Kind("huggingface", "Hugging Face", "Hf", "InferenceClient: chat, text, embeddings · sync, async", IN_PROGRAM),
        Kind(
            "transformers", "Transformers", "Tf", "pipelines and generate of models on this machine",
            "before the model is loaded; then run your program", never=CONTENT,
        ),
        Kind("langchain", "LangChain", "Lc", "models in chains, agents, LangGraph · sync, async", IN_PROGRAM),
        Kind(
            "litellm", "LiteLLM", "Li", "completion, embedding, router · or the proxy", IN_PROGRAM,
            effort="2 lines or YAML", alternative="In the config.yaml of the proxy",
        ),
        Kind(
            "grpc", "gRPC", "gR", "unary and streaming calls of any service", "where the channel is made",
            recorded="model, method, response time, first message, status and its text, tokens by a function of yours",
            never="messages, metadata of calls, credentials",
        ),
        Kind(
            "rest", "REST", "⇄", "any service of your own, with any HTTP client", "around the request",
            effort="a with block", never="requests and responses: only what you pass",
        ),
        Kind(
            "curl", "curl", ">_", "from a shell, a cron job or any language", "",
            effort="one command", recorded="the fields that you send",
            never="prompts and answers: fields with such names are dropped",
        ),
    )
}  # fmt: skip
DEFAULT = "openai"


def snippet(kind: str, url: str, key: str) -> dict[str, str]:
    """Return the texts to copy: `install`, `environment`, `code` and `alternative`; empty where there is nothing to do.

    url: of the server, without a slash at its end. key: an API key; empty on loopback, where none is needed.
    """
    texts = {"install": "", "environment": "", "code": _text(kind, url, key), "alternative": ""}
    if kind != "curl":
        texts["install"] = f"pip install {url}/sdk/{WHEEL}"
        texts["environment"] = f"export LLMMONITOR_URL={url}" + (f"\nexport LLMMONITOR_API_KEY={key}" if key else "")
    if KINDS[kind].alternative:
        # The code of the alternative sets no service, and the page waits for this one.
        texts["environment"] += f"\nexport LLMMONITOR_SERVICE={SERVICE}"
        texts["alternative"] = _text(f"{kind}-proxy", url, key)
    return texts


def _text(name: str, url: str, key: str) -> str:
    lines = (FOLDER / f"{name}.txt").read_text(encoding="utf-8").rstrip().splitlines()
    kept = [line for line in lines if key or "__KEY__" not in line]
    return "\n".join(kept).replace("__URL__", url).replace("__KEY__", key)
