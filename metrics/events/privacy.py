"""Dropping the text of prompts, completions and tools, and credentials, from metadata and from the texts of errors.

Content is recognized by its name (`metrics.events.content_names`): the key of a value, the `name` beside a `value`, or
the first of two entries of a list. The type of a value does not matter, because a rule about values would be hard to
check; only names of text and of its amount (`tokens`, `chunks`) keep their numbers. A text in metadata is dropped if it
quotes content (`metrics.events.content_in_text`). The text of an error is kept without the content that it quotes.

Each dropped path is counted and returned to the client. The setting LLMMONITOR_KEEP_CONTENT_KEYS lists keys to keep
although they name content.
"""

from __future__ import annotations

import math
import re
from contextlib import suppress
from typing import Any

import orjson

from metrics.events.content_in_text import Follows, may_quote, quotes_content, without_content
from metrics.events.content_names import SPEAKERS, Names, is_count, names, names_content, normalise

REPLACEMENT = "\ufffd"  # of NUL, which PostgreSQL cannot hold
MAX_STRING = 512  # characters; longer strings are cut
MAX_METADATA_BYTES = 8_192  # of JSON, after cutting and dropping; larger metadata is rejected
MAX_DEPTH = 10  # levels; deeper metadata is rejected, so that recursion over it is limited
MAX_ENTRIES = 2_000  # keys and list entries in total, including dropped ones: more do not fit into 8 KiB
MAX_KEY = 200  # characters of a key, and of a path in a response
SPACE = re.compile(r"[\s\"'{]")
# In the texts of errors, these keys hold the error itself. The latter do if their value is an object; it is searched.
ERROR_NAMES = frozenset(["message", "msg"])
ERROR_OBJECTS = frozenset(["body", "response"])


class InvalidMetadata(Exception):
    """Raised for metadata that cannot be stored. `path`: where; `error`: why."""

    def __init__(self, path: str, error: str) -> None:
        super().__init__(path, error)
        self.path = path[:MAX_KEY]
        self.error = error


class Cleaner:
    """Drops content from the metadata of events. `keep`: keys to keep although they name content."""

    def __init__(self, keep: tuple[str, ...] = ()) -> None:
        self._keep = frozenset(normalise(key) for key in keep)
        self._entries = 0
        self._corrected: list[str] = []

    def drops(self, key: str, value: Any) -> bool:
        """Whether the value of this key is dropped."""
        # Longer keys are rejected by `clean`. They are not looked up here, because the caches of names would grow.
        return len(key) <= MAX_KEY and self._drops(key, value)

    def without_content(self, name: str, text: str) -> str:
        """The text of the field `name` without the content that it quotes; the same object if it quotes none."""
        drops = self._drops_in_text if name == "endpoint" else self._drops_in_error
        return without_content(text, drops, is_trace=name == "stack_trace")

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
        has_value = False
        for key, entry in value.items():
            if not isinstance(key, str) or len(key) > MAX_KEY:
                raise InvalidMetadata(path, f"must have keys of at most {MAX_KEY} characters")
            key = key.replace("\0", REPLACEMENT)
            here = f"{path}.{key}"
            if named := names(key):
                if self._drops(key, entry):
                    dropped.append(here)
                    continue
                has_value = has_value or named is Names.VALUE
            if isinstance(entry, str) and may_quote(entry) and self._quotes_content(entry):
                dropped.append(here)
            else:
                kept[key] = self._value(entry, here, dropped, depth)
        if has_value and any(map(self._names_value_beside, kept, kept.values())):
            for key in [key for key, entry in kept.items() if names(key) is Names.VALUE and not is_count(entry)]:
                dropped.append(f"{path}.{key}")
                del kept[key]
        return kept

    def _names_value_beside(self, key: str, entry: Any) -> bool:
        """Whether an entry of an object names the content, or the speaker of the message, that is its value."""
        named = names(key)
        if named is Names.SPEAKER:
            return isinstance(entry, str) and entry.lower() in SPEAKERS
        if named is not Names.NAME:
            return False
        entries = entry if isinstance(entry, list) else [entry]
        return any(isinstance(name, str) and self.drops(name, "") for name in entries)

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
                if self._is_pair_of_content(value):
                    dropped.append(path)
                    return value[:1]
                for entry in value:
                    if isinstance(entry, str) and may_quote(entry) and self._quotes_content(entry):
                        dropped.append(path)
                    else:
                        kept.append(self._value(entry, path, dropped, depth + 1))
                return kept
        raise InvalidMetadata(path, f"must be JSON, got a {type(value).__name__}")

    def _count(self, entries: int) -> None:
        self._entries += entries
        if self._entries > MAX_ENTRIES:
            raise InvalidMetadata("metadata", f"must have at most {MAX_ENTRIES} entries")

    def _is_pair_of_content(self, value: list[Any]) -> bool:
        """Whether a list is a name and its content, and not two names, such as `["text", "image"]`."""
        if len(value) != 2 or is_count(value[1]):
            return False
        name, content = value
        return _is_name(name) and not _is_name(content) and names(name) is Names.CONTENT and self.drops(name, content)

    def _quotes_content(self, text: str) -> bool:
        # Of a text that is not JSON, only the part that is stored is searched.
        return self._is_json_with_content(text) or quotes_content(text[:MAX_STRING], self._drops_in_text)

    def _is_json_with_content(self, text: str) -> bool:
        if not text.startswith(("{", "[")):
            return False
        dropped: list[str] = []
        with suppress(orjson.JSONDecodeError, InvalidMetadata):
            Cleaner(tuple(self._keep)).clean({"json": orjson.loads(text)}, dropped, [])
        return bool(dropped)

    def _drops(self, key: str, value: Any) -> bool:
        if not names_content(key) or normalise(key) in self._keep:
            return False
        return names(key) is Names.CONTENT or not is_count(value)

    def _drops_in_text(self, key: str, follows: Follows) -> bool:
        return self._drops(key, 0 if follows is Follows.COUNT else "")

    def _drops_in_error(self, key: str, follows: Follows) -> bool:
        # A number is about content (`input=9000`). An error in JSON has its own text under `message`, perhaps in the
        # `body` of the `response`.
        name = normalise(key)
        own = follows is Follows.COUNT or name in ERROR_NAMES
        return not own and not (follows is Follows.OBJECT and name in ERROR_OBJECTS) and self._drops(key, "")


def _is_name(value: Any) -> bool:
    """Whether an entry of a list is a name of content, and no text that ends in such a word."""
    return isinstance(value, str) and len(value) <= MAX_KEY and not SPACE.search(value) and names_content(value)
