"""The names under which the text of prompts, completions and tools is sent, and those of credentials.

A key names content if one of its parts (`gen_ai.input.messages` has three) is such a name or ends in one
(`user_prompt`, `rawResponse`). A number or a word for a form may follow (`messages[0]`, `prompt_v2`, `prompt_html`).
Case, punctuation, spaces, camelCase and invisible characters are ignored. Numbers about content have other names
(`prompt_tokens`, `prompt_version`). The names are those that providers and tracing libraries use; a key with an
unusual name, such as `note`, does not name content.
"""

from __future__ import annotations

import re
import unicodedata
from enum import Enum
from functools import lru_cache
from typing import Any

# A key, or a part of a key, that ends in one of these names holds content. A name has one word or two.
LAST_WORDS = frozenset(
    [
        "prompt", "prompts", "messages", "content", "contents", "completion", "completions", "input", "inputs",
        "output", "outputs", "response", "responses", "answer", "answers", "text", "texts", "txt", "instruction",
        "instructions", "transcript", "transcripts", "choices", "query", "queries", "question", "questions",
        "reasoning", "thinking", "arguments", "args", "reply", "replies", "conversation", "conversations",
        "candidates", "generations", "body", "bodies", "utterance", "utterances",
        # Tokens: a tokenizer turns them back into the text.
        "token_ids", "input_ids", "output_ids", "decoded_token",
        # Credentials.
        "authorization", "password", "passwd", "passphrase", "cookie", "cookies", "secret", "secrets", "credential",
        "credentials", "apikey", "api_key", "api_keys", "access_key", "secret_key", "private_key", "access_token",
        "auth_token", "refresh_token", "id_token", "session_token", "api_token", "bearer_token", "security_token",
    ]
)  # fmt: skip
# Names of content only if they are the whole key or a whole part of it. At the end of a longer name they may mean
# something else (`error_message`, `trace_context`, `retry_history`).
WHOLE_NAMES = frozenset(
    [
        "message", "user_message", "system_message", "assistant_message", "human_message", "ai_message",
        "developer_message", "tool_message", "chat_message", "input_message", "output_message", "first_message",
        "last_message", "last_user_message", "chat_history", "history", "dialog", "dialogue", "context", "contexts",
        "retrieved_context", "document", "documents", "retrieved_documents", "generation", "delta", "parts",
        "prompt_template", "thought", "thoughts", "chain_of_thought", "tool_call", "tool_calls", "function_call",
        "function_calls",
        "tool_use", "tool_result", "tool_results", "tool_definitions", "payload", "image", "images", "image_url",
        "audio", "video", "attachments", "transcription", "call_result", "tool_call_result", "tool_parameters",
        "call_parameters", "span_inputs", "msg", "msgs", "completion_message", "response_message",
        "message_body", "user_msg", "assistant_msg", "chat_ctx", "llm_request", "raw_request", "guardrail_request",
        "result_object", "all_messages_events", "tools", "tool_choice", "functions", "function_declarations",
        "function_result", "function_results", "mcp_servers", "result", "results", "search_results", "parsed",
        "partial_json", "refusal", "prediction", "suffix", "response_format", "output_format", "json_schema",
        "response_schema", "response_json_schema", "input_schema", "output_schema", "serialized", "reasoning_summary",
        "conversation_summary", "completion_probabilities", "prefill", "tok",
        "headers", "request_headers", "extra_headers", "default_headers", "proxy_headers",
    ]
)  # fmt: skip
# Names of content only if they are the whole key: elsewhere `system` is a provider (`gen_ai.system`) or a host.
SOLE_NAMES = frozenset(["system"])
# Names of text, but of numbers about it, too (`tokens: 512`, `logprobs: true`, `chunks: 8`). Numbers are kept. They
# name content only at the end of the last part of a key, the latter only if they are the whole part.
COUNTED_LAST_WORDS = frozenset(["logprobs", "words", "segments", "chunks", "passages", "snippets", "excerpts", "turns"])
COUNTED_NAMES = frozenset(["token", "tokens", "top_tokens", "word", "chunk", "passage", "chat"])
RUN_TOGETHER = LAST_WORDS | {name.replace("_", "") for name in LAST_WORDS | WHOLE_NAMES}  # `usermessage`, `PrOmPt`
CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
PARTS = re.compile(r"[^\w\s\-]+")
SEPARATORS = re.compile(r"[\s_\-]+")
# Unicode's Default_Ignorable_Code_Point beside the category Cf, after NFKC: joiners, fillers, variation selectors.
SHOWN_AS_NOTHING = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\ufe00-\ufe0f\U000e0100-\U000e01ef]")
# Suffixes that do not change the meaning of such a word: `prompt_v2`, `messages_json`, `prompt_variables`.
FORM = re.compile(
    r"\d+|v\d*|json|xml|yaml|html|markdown|md|txt|raw|str|string|b64|base64|values?|data|full|preview|snippet|excerpt"
    r"|parsed|formatted|rendered|escaped|encoded|prefix|suffix|variables|vars|parts?|list|array|object"
)
# An object that names a value beside it: `{"key": "prompt", "value": "…"}`, `{"columns": ["prompt"], "data": […]}`.
NAMING_WORDS = frozenset(
    ["key", "keys", "k", "name", "names", "field", "fields", "label", "attribute", "column", "columns", "type"]
)
VALUE_WORDS = frozenset(["value", "values", "val", "v", "data", "rows"])
# The same for a message: `{"from": "human", "value": "…"}`.
SPEAKER_WORDS = frozenset(["role", "from", "speaker", "author"])
SPEAKERS = frozenset(["user", "human", "assistant", "ai", "gpt", "bot", "model", "system", "developer", "tool"])


class Names(Enum):
    """What a key names. TEXTS: content, but a number under this key is a count. NAME, SPEAKER: the name of the VALUE
    beside it, or the speaker of this message.
    """

    CONTENT = 1
    TEXTS = 2
    NAME = 3
    SPEAKER = 4
    VALUE = 5


@lru_cache(maxsize=8192)
def normalise(key: str) -> str:
    """`key` in lower case, words joined by `_`, parts by `.`: `Gen-AI.inputMessages` → `gen_ai.input_messages`."""
    if not key.isascii():
        # NFKC unifies variants of a letter (full-width); characters of category Cf are invisible.
        shown = SHOWN_AS_NOTHING.sub("", unicodedata.normalize("NFKC", key))
        key = "".join(char for char in shown if unicodedata.category(char) != "Cf")
    parts = (CAMEL.sub("_", part).lower() for part in PARTS.split(key))
    return ".".join("_".join(word for word in SEPARATORS.split(part) if word) for part in parts)


@lru_cache(maxsize=8192)
def names(key: str) -> Names | None:
    """What a key names; None if it is none of these."""
    parts = [part for part in normalise(key).split(".") if part and not part.isdigit()]
    words: list[str] = []
    for part in parts:
        words = part.split("_")
        while len(words) > 1 and FORM.fullmatch(words[-1]):
            words.pop()
        words[-1] = words[-1].rstrip("0123456789")  # prompt2
        ends_in_name = words[-1] in LAST_WORDS or "_".join(words[-2:]) in LAST_WORDS
        if ends_in_name or "_".join(words) in WHOLE_NAMES or "".join(words) in RUN_TOGETHER:
            return Names.CONTENT
    if "_".join(parts[-2:]) in WHOLE_NAMES or (len(parts) == 1 and parts[0] in SOLE_NAMES):  # tool.definitions
        return Names.CONTENT
    if words and (words[-1] in COUNTED_LAST_WORDS or "_".join(words) in COUNTED_NAMES):
        return Names.TEXTS
    words = parts[-1].split("_") if parts else [""]
    if words[-1] in NAMING_WORDS:
        return Names.NAME
    if words[-1] in SPEAKER_WORDS:
        return Names.SPEAKER
    return None if VALUE_WORDS.isdisjoint(words) else Names.VALUE  # stringValue, v_str


@lru_cache(maxsize=8192)
def names_content(key: str) -> bool:
    """Whether a key names content, perhaps only if its value is no number."""
    return names(key) in (Names.CONTENT, Names.TEXTS)


def is_count(value: Any) -> bool:
    """Whether a value is a number, or an object of numbers, so that it holds no text."""
    if isinstance(value, dict):
        return all(entry is None or isinstance(entry, (int, float)) for entry in value.values())
    return value is None or isinstance(value, (int, float))
