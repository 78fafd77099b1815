"""Dropping the text of prompts, completions and tools from metadata, by the names of its keys.

A key names content if one of its parts (`gen_ai.input.messages` has three) is a name for content or ends in one
(`user_prompt`, `rawResponse`). A number or a word for a format may follow (`messages[0]`, `prompt_v2`,
`response_json`).
Case, punctuation, spaces, camelCase and invisible characters are ignored. The type of the value does not matter,
because a rule about values would be hard to check. Numbers about content have other names (`prompt_tokens`,
`input_tokens`, `prompt_version`) and are kept. A string that is itself JSON with such a key is dropped, too. The names
are those that providers and tracing libraries use; a key with an unusual name, such as `note`, is kept.

Each dropped path is counted and returned to the client. The setting LLMMONITOR_KEEP_CONTENT_KEYS lists keys to keep
although they name content.
"""

from __future__ import annotations

import math
import re
import unicodedata
from functools import lru_cache
from typing import Any

import orjson

REPLACEMENT = "\ufffd"  # of NUL, which PostgreSQL cannot hold
MAX_STRING = 512  # characters; longer strings are cut
MAX_METADATA_BYTES = 8_192  # of JSON, after cutting and dropping; larger metadata is rejected
MAX_DEPTH = 10  # levels; deeper metadata is rejected, so that recursion over it is limited
MAX_ENTRIES = 2_000  # keys and list entries in total, including dropped ones: more do not fit into 8 KiB
MAX_KEY = 200  # characters of a key, and of a path in a response

# A key, or a part of a key, that ends in one of these words holds the text of a prompt or a completion.
LAST_WORDS = frozenset(
    [
        "prompt", "prompts", "messages", "content", "contents", "completion", "completions", "input", "inputs",
        "output", "outputs", "response", "responses", "answer", "answers", "text", "texts", "instruction",
        "instructions", "transcript", "transcripts", "choices", "query", "queries", "question", "questions",
        "reasoning", "thinking", "arguments", "args", "reply", "replies", "conversation", "candidates", "generations",
        "body", "bodies", "utterance", "utterances",
    ]
)  # fmt: skip
# Names of content only if they are the whole key or a whole part of it. At the end of a longer name they may mean
# something else (`error_message`, `trace_context`, `retry_history`).
WHOLE_NAMES = frozenset(
    [
        "message", "user_message", "system_message", "assistant_message", "human_message", "ai_message",
        "developer_message", "tool_message", "chat_message", "input_message", "output_message", "first_message",
        "last_message", "last_user_message", "chat_history", "history", "dialog", "dialogue", "context", "contexts",
        "retrieved_context", "documents", "retrieved_documents", "generation", "delta", "parts", "prompt_template",
        "thought", "thoughts", "chain_of_thought", "tool_call", "tool_calls", "function_call", "function_calls",
        "tool_use", "tool_result", "tool_results", "tool_definitions", "payload", "image", "images", "image_url",
        "audio", "video", "attachments", "transcription", "call_result", "tool_call_result", "tool_parameters",
        "call_parameters", "span_inputs", "retrieved_chunks", "msg", "msgs", "completion_message", "response_message",
        "message_body", "user_msg", "assistant_msg", "chat_ctx", "llm_request", "result_object",
        "all_messages_events", "tools", "tool_choice", "functions", "function_declarations", "function_result",
        "function_results", "mcp_servers", "result", "results", "search_results", "parsed", "partial_json", "refusal",
        "prediction", "suffix", "response_format", "output_format", "json_schema", "response_schema",
        "response_json_schema", "input_schema", "output_schema",
    ]
)  # fmt: skip
# Names of content only if they are the whole key: elsewhere `system` is a provider (`gen_ai.system`) or a host.
SOLE_NAMES = frozenset(["system"])
RUN_TOGETHER = LAST_WORDS | {name.replace("_", "") for name in WHOLE_NAMES}  # `usermessage`, `PrOmPt`
CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
PARTS = re.compile(r"[^\w\s\-]+")
SEPARATORS = re.compile(r"[\s_\-]+")
# Unicode's Default_Ignorable_Code_Point beside the category Cf, after NFKC: joiners, fillers, variation selectors.
SHOWN_AS_NOTHING = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\ufe00-\ufe0f\U000e0100-\U000e01ef]")
# Suffixes that do not change the meaning of such a word: `prompt_v2`, `messages_json`.
FORM = re.compile(r"\d+|v\d*|json|raw|str|string|b64|base64|values?|data|full|preview|parsed|parts?|list|array|object")
# `"content":` in a string, also with escaped or single quotes (JSON in JSON, a printed dictionary).
KEY_IN_TEXT = re.compile(r"""["']([^"'\\]{1,200})\\*["']\s*:""")
ESCAPED = re.compile(r"\\+u([0-9a-fA-F]{4})")  # an escaped character in JSON


class InvalidMetadata(Exception):
    """Raised for metadata that cannot be stored. `path`: where; `error`: why."""

    def __init__(self, path: str, error: str) -> None:
        super().__init__(path, error)
        self.path = path[:MAX_KEY]
        self.error = error


@lru_cache(maxsize=8192)
def normalise(key: str) -> str:
    """`key` in lower case, words joined by `_`, parts by `.`: `Gen-AI.inputMessages` → `gen_ai.input_messages`."""
    # NFKC unifies variants of a letter (full-width); characters of category Cf are invisible.
    shown = SHOWN_AS_NOTHING.sub("", unicodedata.normalize("NFKC", key))
    visible = "".join(char for char in shown if unicodedata.category(char) != "Cf")
    parts = (CAMEL.sub("_", part).lower() for part in PARTS.split(visible))
    return ".".join("_".join(word for word in SEPARATORS.split(part) if word) for part in parts)


@lru_cache(maxsize=8192)
def names_content(key: str) -> bool:
    """Whether a key names content."""
    parts = [part for part in normalise(key).split(".") if part and not part.isdigit()]
    for part in parts:
        words = part.split("_")
        while len(words) > 1 and FORM.fullmatch(words[-1]):
            words.pop()
        words[-1] = words[-1].rstrip("0123456789")  # prompt2
        if words[-1] in LAST_WORDS or "_".join(words) in WHOLE_NAMES or "".join(words) in RUN_TOGETHER:
            return True
    return "_".join(parts[-2:]) in WHOLE_NAMES or (len(parts) == 1 and parts[0] in SOLE_NAMES)  # tool.definitions


class Cleaner:
    """Drops content from the metadata of events. `keep`: keys to keep although they name content."""

    def __init__(self, keep: tuple[str, ...] = ()) -> None:
        self._keep = frozenset(normalise(key) for key in keep)
        self._entries = 0
        self._corrected: list[str] = []

    def drops(self, key: str) -> bool:
        """Whether the value of this key is dropped."""
        # Longer keys are rejected by `clean`. They are not looked up here, because the caches of names would grow.
        return len(key) <= MAX_KEY and names_content(key) and normalise(key) not in self._keep

    def clean(self, metadata: dict[str, Any], dropped: list[str], corrected: list[str]) -> dict[str, Any]:
        """A copy of `metadata` without content. The paths of dropped values, of cut strings and of NaN and infinity are
        added.

        Raises InvalidMetadata if it is too deeply nested or too large, or has keys or values that cannot be stored.
        """
        self._entries = 0
        self._corrected = corrected
        cleaned = self._object(metadata, "metadata", dropped, 1)
        try:
            size = len(orjson.dumps(cleaned))
        except TypeError:  # half a surrogate pair, an integer of more than 64 bits, a type without a JSON form
            raise InvalidMetadata("metadata", "has a value that cannot be written as JSON") from None
        if size > MAX_METADATA_BYTES:
            raise InvalidMetadata("metadata", f"must be at most {MAX_METADATA_BYTES} bytes of JSON, got {size}")
        return cleaned

    def _object(self, value: dict[str, Any], path: str, dropped: list[str], depth: int) -> dict[str, Any]:
        kept = {}
        self._count(len(value))
        for key, entry in value.items():
            if not isinstance(key, str) or len(key) > MAX_KEY:
                raise InvalidMetadata(path, f"must have keys of at most {MAX_KEY} characters")
            key = key.replace("\0", REPLACEMENT)
            here = f"{path}.{key}"
            if self.drops(key) or (isinstance(entry, str) and self._quotes_content(entry)):
                dropped.append(here)
            else:
                kept[key] = self._value(entry, here, dropped, depth)
        return kept

    def _value(self, value: Any, path: str, dropped: list[str], depth: int) -> Any:
        match value:
            case str():
                if len(value) > MAX_STRING:
                    self._corrected.append(path)
                return value[:MAX_STRING].replace("\0", REPLACEMENT)
            case None | bool() | int():
                return value
            case float():
                if math.isfinite(value):
                    return value
                self._corrected.append(path)
                return None
            case dict() | list() if depth >= MAX_DEPTH:
                raise InvalidMetadata("metadata", f"must be nested at most {MAX_DEPTH} levels deep")
            case dict():
                return self._object(value, path, dropped, depth + 1)
            case list():
                kept = []
                self._count(len(value))
                for entry in value:
                    if isinstance(entry, str) and self._quotes_content(entry):
                        dropped.append(path)
                    else:
                        kept.append(self._value(entry, path, dropped, depth + 1))
                return kept
        raise InvalidMetadata(path, f"must be JSON, got a {type(value).__name__}")

    def _count(self, entries: int) -> None:
        self._entries += entries
        if self._entries > MAX_ENTRIES:
            raise InvalidMetadata("metadata", f"must have at most {MAX_ENTRIES} entries")

    def _quotes_content(self, text: str) -> bool:
        # Only the part that is stored is searched.
        head = text[:MAX_STRING]
        if ":" not in head:
            return False
        plain = ESCAPED.sub(lambda match: chr(int(match[1], 16)), head)
        return any(self.drops(key) for key in KEY_IN_TEXT.findall(plain))
