"""Parsing of request bodies into items, within limits of size and number.

Accepted are one object, an array, `{"events": [...]}`, and lines of JSON (NDJSON), plain or compressed with gzip. A
line that is not JSON becomes an `Unreadable` item and does not affect the others. For any other error, `BodyError` is
raised with the status of the response.

What common JSON writers produce beyond the standard must not cost the other events of a body: NaN and infinity, numbers
that are too large for a float, control characters in strings, halves of characters, and values nested without a limit.
"""

from __future__ import annotations

import json
import re
import threading
import zlib
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from email.message import Message
from functools import lru_cache
from typing import Any

import orjson

from metrics.events import Unreadable

JSON_TYPES = frozenset({"application/json"})
LINE_TYPES = frozenset(
    {
        "application/x-ndjson",
        "application/ndjson",
        "application/jsonl",
        "application/x-jsonlines",
        "application/jsonlines",
    }
)
CHARSETS = frozenset({"utf-8", "utf8", "us-ascii", "ascii"})
BOM = b"\xef\xbb\xbf"  # PowerShell and some editors write it before JSON

INFLATE_STEP = 65_536  # bytes of input per step
MAX_GZIP_MEMBERS = 1_000  # of one body; each copies the rest of a step
# `[[],[],…` needs 64 bytes of memory for three bytes of JSON. Each event may have a hundred objects and arrays: about
# 64 MB of memory for 10,000 events.
BRACKETS_PER_EVENT = 100

# Deeper values become null. No field has as many levels, so the validation rejects or corrects such a value anyway.
MAX_LEVELS = 100
MAX_INTEGER_DIGITS = 20  # with the sign; longer integers have more than 64 bits

# A larger body is parsed and validated in a thread, a smaller one also on an event loop. 64 KiB take one or two
# milliseconds, as long as the switch to a thread.
MAX_LOOP_BYTES = 65_536

LINE = re.compile(rb"\S[^\n]*")
SURROGATE = re.compile(r"\\u[dD][89a-fA-F][0-9a-fA-F]{2}")
LOW_SURROGATE = re.compile(r"\\u[dD][c-fC-F][0-9a-fA-F]{2}")
HIGH = "89abAB"  # the second digit of a high surrogate
BACKSLASH = "\\"
# The brackets of JSON. Strings match, too, so that those inside of them do not.
BRACKET = re.compile(r'"(?:[^"\\]++|\\.)*+"?|[\[\]{}]', re.DOTALL)
OPENING, CLOSING = ("[", "{"), ("]", "}")
# A body of 16 MiB takes seconds and hundreds of MiB to mend.
_mending = threading.Lock()


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of one request. `max_body_bytes` is checked after decompression; `http` checks it before."""

    max_body_bytes: int
    max_events: int


class BodyError(Exception):
    """Raised for a body that cannot be parsed: the HTTP status, a code for programs, a sentence for people."""

    def __init__(self, status: int, code: str, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail


def read_items(
    body: bytes, content_type: str | None, content_encoding: str | None, limits: Limits
) -> tuple[list[Any], int]:
    """The items of a body, and its size after decompression. A line that is not JSON is an `Unreadable`.

    Raises BodyError: 415 for an unsupported type or encoding, 413 over a limit, 400 for an empty body or invalid JSON.
    """
    by_line = _is_by_line(content_type)
    encoding = (content_encoding or "identity").strip().lower()
    if encoding not in ("", "identity", "gzip", "x-gzip"):
        raise BodyError(415, "unsupported_encoding", "Content-Encoding must be gzip or absent.")
    if encoding.endswith("gzip"):
        body = inflate(body, limits)
    body = body.removeprefix(BOM)
    if not body.strip():
        raise BodyError(400, "empty_body", "The body is empty; send one event, an array of events, or lines of JSON.")
    max_brackets = BRACKETS_PER_EVENT * limits.max_events
    if len(body) > max_brackets and body.count(b"[") + body.count(b"{") > max_brackets:
        raise BodyError(413, "too_many_values", f"The body holds more than {max_brackets} objects and arrays.")
    items = list(_lines(body, limits)) if by_line else _document(body)
    if not items:
        raise BodyError(400, "empty_batch", "The batch holds no event.")
    if len(items) > limits.max_events:
        raise _too_many(limits)
    return items, len(body)


@lru_cache(maxsize=64)
def _is_by_line(content_type: str | None) -> bool:
    """Whether the type is NDJSON. Raises BodyError for an unsupported type, such as the types that a form can send."""
    wanted = "Content-Type must be application/json or application/x-ndjson"
    if not content_type:
        raise BodyError(415, "unsupported_media_type", f"{wanted}; it is missing.")
    message = Message()
    message["Content-Type"] = content_type.replace("\r", " ").replace("\n", " ")
    media_type = content_type.split(";", 1)[0].strip().lower()
    if media_type not in JSON_TYPES | LINE_TYPES:
        raise BodyError(415, "unsupported_media_type", f"{wanted}, not {media_type[:60]!r}.")
    charset = message.get_param("charset", "utf-8")
    if not isinstance(charset, str) or charset.strip().lower() not in CHARSETS:
        raise BodyError(415, "unsupported_charset", "The charset must be utf-8.")
    return media_type in LINE_TYPES


def inflate(body: bytes, limits: Limits) -> bytes:
    """Decompress a gzip body with all its members. Stops at the limit, which bounds compression bombs."""
    parts: list[bytes] = []
    remaining = limits.max_body_bytes
    members = 1
    stream = zlib.decompressobj(wbits=31)
    try:
        for start in range(0, len(body), INFLATE_STEP):
            step = body[start : start + INFLATE_STEP]
            while step:
                if stream.eof:
                    members += 1
                    if members > MAX_GZIP_MEMBERS:
                        raise BodyError(400, "bad_gzip", f"The body has more than {MAX_GZIP_MEMBERS} gzip members.")
                    stream = zlib.decompressobj(wbits=31)
                part = stream.decompress(step, remaining + 1)
                remaining -= len(part)
                if remaining < 0:
                    detail = (
                        f"The body is larger than {limits.max_body_bytes} bytes after decompression; send it in parts."
                    )
                    raise BodyError(413, "too_large", detail)
                parts.append(part)
                # The rest is the next member, or empty: all output of this one fitted.
                step = stream.unused_data if stream.eof else stream.unconsumed_tail
    except zlib.error:
        raise BodyError(400, "bad_gzip", "The body is not valid gzip.") from None
    if not stream.eof:
        raise BodyError(400, "bad_gzip", "The gzip body ends too early.")
    return b"".join(parts)


def _parse(text: bytes) -> Any:
    """The value of JSON text. Raises JSONDecodeError.

    Numbers may be NaN or infinite, and strings may have control characters, as shell scripts write them. Each half of a
    character is U+FFFD: clients cut text by UTF-16 units, or by bytes.
    """
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        with _mending if len(text) > MAX_LOOP_BYTES else nullcontext():  # an event loop must not wait for the lock
            return _parse_mended(_without_halves(text.decode(errors="replace")))


def _parse_mended(text: str) -> Any:
    try:
        return json.loads(text, parse_int=_integer, parse_float=_float, strict=False)
    except RecursionError:
        return json.loads(_without_deep_values(text), parse_int=_integer, parse_float=_float, strict=False)


def _integer(digits: str) -> int | float:
    """As orjson: an integer of more than 64 bits is a float."""
    value = int(digits) if len(digits) <= MAX_INTEGER_DIGITS else float(digits)
    return value if -(2**63) <= value < 2**64 else float(value)


def _float(digits: str) -> float:
    # Not `float` itself: other threads run only while a function of Python is called.
    return float(digits)


def _without_halves(text: str) -> str:
    """The JSON text with U+FFFD instead of the escape of each surrogate that is not one of a pair."""
    # A loop, not a substitution: during that, no other thread would run.
    mended = []
    copied = after_pair = 0
    for match in SURROGATE.finditer(text):
        start, end = match.span()
        if start < after_pair or _is_escaped(text, start):
            continue
        if text[start + 3] in HIGH and LOW_SURROGATE.match(text, end):
            after_pair = end + 1
        else:
            mended += [text[copied:start], "\ufffd"]
            copied = end
    return "".join(mended) + text[copied:]


def _is_escaped(text: str, position: int) -> bool:
    """Whether the backslash at this position belongs to an escape that begins before it."""
    start = position
    while start > 0 and text[start - 1] == BACKSLASH:
        start -= 1
    return (position - start) % 2 == 1


def _without_deep_values(text: str) -> str:
    """The JSON text with null instead of each value below MAX_LEVELS. After a value that is not closed, it ends."""
    kept = []
    level = copied = 0
    for match in BRACKET.finditer(text):
        bracket = match[0]
        if bracket in OPENING:
            level += 1
            if level == MAX_LEVELS + 1:
                kept += [text[copied : match.start()], "null"]
        elif bracket in CLOSING:
            if level == MAX_LEVELS + 1:
                copied = match.end()
            level -= 1
    return "".join(kept) + (text[copied:] if level <= MAX_LEVELS else "")


def _document(body: bytes) -> list[Any]:
    try:
        parsed = _parse(body)
    except json.JSONDecodeError as error:
        raise BodyError(400, "bad_json", f"The body is not JSON: {error}.") from None
    if isinstance(parsed, list):
        return parsed
    if isinstance(parsed, dict):
        events = parsed.get("events", [parsed])
        if not isinstance(events, list):
            raise BodyError(400, "bad_batch", 'In {"events": …} there must be an array of events.')
        return events
    raise BodyError(400, "bad_batch", 'The body must be an object, an array of objects, or {"events": [...]}.')


def _lines(body: bytes, limits: Limits) -> Iterator[Any]:
    for index, line in enumerate(LINE.finditer(body)):
        if index >= limits.max_events:
            raise _too_many(limits)
        try:
            yield _parse(line[0])
        except json.JSONDecodeError as error:
            yield Unreadable(f"is not JSON: {error.msg} at character {error.pos}")


def _too_many(limits: Limits) -> BodyError:
    return BodyError(413, "too_many_events", f"The batch holds more than {limits.max_events} events; send it in parts.")
