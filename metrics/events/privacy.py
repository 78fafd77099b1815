"""Nothing of a prompt or a completion is stored: what names content by convention is left out at the door.

A key names content when one of its parts (`gen_ai.input.messages` has three) is such a name, or ends in one
(`user_prompt`, `rawResponse`), whatever number or form follows it (`messages[0]`, `prompt_v2`, `response_json`). Case,
punctuation, blanks, camelCase and characters that Unicode shows as nothing make no difference. The value's type makes
none either: a promise that depends on what a value looks like is hard to check. Numbers about content have names of
their own (`prompt_tokens`, `input_tokens`, `prompt_version`) and stay. Text that is itself JSON with such a key goes,
too. It is a list of names, tried against those that the tracing libraries use: what somebody calls `note` is kept.

Left out is not forgotten: each path is counted, and the answer names it. The setting LLMMONITOR_KEEP_CONTENT_KEYS lists
keys that are wanted all the same, each by its own name. Pure: values in, values out.
"""

from __future__ import annotations

import math
import re
import unicodedata
from functools import lru_cache
from typing import Any

import orjson

MAX_STRING = 512  # characters; longer strings are cut
MAX_METADATA_BYTES = 8_192  # of JSON, after cutting and leaving out; larger is refused
MAX_DEPTH = 10  # levels; deeper is refused, so that no walk over metadata can run out of stack
MAX_ENTRIES = 2_000  # keys and list entries in all, those left out among them: more never fit into 8 kB
MAX_KEY = 200  # characters of a key, and of a path that an answer names

# A key, or a part of one, that ends in such a word holds text of a prompt or an answer.
LAST_WORDS = frozenset(
    [
        "prompt", "prompts", "messages", "content", "contents", "completion", "completions", "input", "inputs",
        "output", "outputs", "response", "responses", "answer", "answers", "text", "texts", "instruction",
        "instructions", "transcript", "transcripts", "choices", "query", "queries", "question", "questions",
        "reasoning", "thinking", "arguments", "args", "reply", "replies", "conversation", "candidates", "generations",
        "body", "bodies", "utterance", "utterances",
    ]
)  # fmt: skip
# A key, or a part of one, that is exactly this: alone it names content, at the end of a longer name it need not
# (`error_message`, `trace_context`, `retry_history`).
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
        "all_messages_events",
    ]
)  # fmt: skip
# As the whole of a key alone: elsewhere it is a provider (`gen_ai.system`) or a machine.
SOLE_NAMES = frozenset(["system"])
RUN_TOGETHER = LAST_WORDS | {name.replace("_", "") for name in WHOLE_NAMES}  # `usermessage`, `PrOmPt`
CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
PARTS = re.compile(r"[^\w\s\-]+")
SEPARATORS = re.compile(r"[\s_\-]+")
# Unicode's Default_Ignorable_Code_Point beside the category Cf, after NFKC: joiners, fillers, variation selectors.
SHOWN_AS_NOTHING = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\ufe00-\ufe0f\U000e0100-\U000e01ef]")
# What may follow such a word without making another thing of it: `prompt_v2`, `messages_json`.
FORM = re.compile(r"\d+|v\d*|json|raw|str|string|b64|base64|values?|data|full|preview|parsed|parts?|list|array|object")
# `"content":` inside a string, also where the quotes are escaped or single (JSON in JSON, a printed dictionary).
KEY_IN_TEXT = re.compile(r"""["']([^"'\\]{1,200})\\*["']\s*:""")
ESCAPED = re.compile(r"\\+u([0-9a-fA-F]{4})")  # JSON's way of writing any character


class MetadataRefused(Exception):
    """Metadata that cannot be stored: where, and why."""

    def __init__(self, path: str, error: str) -> None:
        super().__init__(path, error)
        self.path = path[:MAX_KEY]
        self.error = error


@lru_cache(maxsize=8192)
def normalise(key: str) -> str:
    """`key` in lower case, words joined by `_`, parts by `.`: `Gen-AI.inputMessages` → `gen_ai.input_messages`."""
    # NFKC makes one of letters that look alike because they are the same (full-width); Cf is what is not seen at all.
    shown = SHOWN_AS_NOTHING.sub("", unicodedata.normalize("NFKC", key))
    visible = "".join(char for char in shown if unicodedata.category(char) != "Cf")
    parts = (CAMEL.sub("_", part).lower() for part in PARTS.split(visible))
    return ".".join("_".join(word for word in SEPARATORS.split(part) if word) for part in parts)


@lru_cache(maxsize=8192)
def names_content(key: str) -> bool:
    """Whether a key holds content by convention."""
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
    """Cleans the metadata of one event after another. `keep`: keys that stay although they name content."""

    def __init__(self, keep: tuple[str, ...] = ()) -> None:
        self._keep = frozenset(normalise(key) for key in keep)
        self._entries = 0

    def drops(self, key: str) -> bool:
        """Whether what stands under this key is left out."""
        # Longer keys are refused by `clean`; a cache of names must not hold megabytes.
        return len(key) <= MAX_KEY and names_content(key) and normalise(key) not in self._keep

    def clean(self, metadata: dict[str, Any], dropped: list[str]) -> dict[str, Any]:
        """A copy of `metadata` that may be stored; the paths of what was left out are added to `dropped`.

        Raises MetadataRefused for what is nested too deep, too large, or holds what no database can (NUL, infinities).
        """
        self._entries = 0
        cleaned = self._object(metadata, "metadata", dropped, 1)
        try:
            size = len(orjson.dumps(cleaned))
        except TypeError:  # half a surrogate pair, an integer of more than 64 bits, a type that JSON does not know
            raise MetadataRefused("metadata", "holds a value that JSON cannot") from None
        if size > MAX_METADATA_BYTES:
            raise MetadataRefused("metadata", f"must be at most {MAX_METADATA_BYTES} bytes of JSON, got {size}")
        return cleaned

    def _object(self, value: dict[str, Any], path: str, dropped: list[str], depth: int) -> dict[str, Any]:
        kept = {}
        self._count(len(value))
        for key, entry in value.items():
            if not isinstance(key, str) or "\0" in key or len(key) > MAX_KEY:
                raise MetadataRefused(path, f"has a key that is no text of at most {MAX_KEY} characters without NUL")
            here = f"{path}.{key}"
            if self.drops(key) or (isinstance(entry, str) and self._quotes_content(entry)):
                dropped.append(here)
            else:
                kept[key] = self._value(entry, here, dropped, depth)
        return kept

    def _value(self, value: Any, path: str, dropped: list[str], depth: int) -> Any:
        match value:
            case str():
                if "\0" in value:
                    raise MetadataRefused(path, "must not hold a NUL character")
                return value[:MAX_STRING]
            case None | bool() | int():
                return value
            case float():
                if not math.isfinite(value):
                    raise MetadataRefused(path, "must be a finite number")
                return value
            case dict() | list() if depth >= MAX_DEPTH:
                raise MetadataRefused("metadata", f"must be nested at most {MAX_DEPTH} levels deep")
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
        raise MetadataRefused(path, f"must be JSON, got a {type(value).__name__}")

    def _count(self, entries: int) -> None:
        self._entries += entries
        if self._entries > MAX_ENTRIES:
            raise MetadataRefused("metadata", f"must have at most {MAX_ENTRIES} entries")

    def _quotes_content(self, text: str) -> bool:
        # Of what is cut off nothing is stored, so only what stays is looked at.
        head = text[:MAX_STRING]
        if ":" not in head:
            return False
        plain = ESCAPED.sub(lambda found: chr(int(found[1], 16)), head)
        return any(self.drops(found) for found in KEY_IN_TEXT.findall(plain))
