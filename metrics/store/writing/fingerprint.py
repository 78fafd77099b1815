"""Which errors are the same: same type, same message but for numbers and ids, same top three frames.

Pure. A line number is no part of it: a release that moves a function does not make its errors new ones.

Beyond the cap on groups (`metrics.store.labels.error_groups`) errors of one type are one group, and beyond that all
are. The digest of these begins with OTHER_PREFIX, so that no error's own digest, whatever its words are, is theirs.
"""

from __future__ import annotations

import hashlib
import re
from typing import NamedTuple

from metrics.events.types import OTHER_MODEL as OTHER

NO_ID, NO_NUMBER = "<id>", "<n>"
TOP_FRAMES = 3
MAX_TYPE = 200  # characters; the column
MAX_MESSAGE = 500  # characters that a group shows; whole messages stand with the errors, and are shed with them
OTHER_PREFIX = "other:"

# In this order: what a later pattern would cut to pieces goes first.
_IDS = re.compile(
    r"""
    \b[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\b             # UUID
    | \b0x[0-9a-f]+\b                                          # an address
    | \b[a-z]+[_-](?=[a-z]*\d)[a-z0-9]{5,}\b                     # req_8f3kd92, chatcmpl-9aBc12
    | \b(?=[0-9a-f]*\d)(?=\d*[a-f])[0-9a-f]{8,}\b                # a hash
    | \b(?=[a-z]*\d)[a-z0-9]{16,}\b                             # any other long word with a digit in it
    """,
    re.VERBOSE | re.IGNORECASE,
)
_NUMBERS = re.compile(r"\d+(?:[.,:]\d+)*")

# Frames as Python writes them: the innermost is the last. Of chained tracebacks the last one is what was raised.
_PYTHON = re.compile(r'^[ \t]*File "(?P<file>[^"\n]+)", line \d+(?:, in (?P<function>[^\n]+))?', re.MULTILINE)
_PYTHON_HEAD = "Traceback (most recent call last)"
# JavaScript and Java, the innermost first: `at f (file.js:1:2)`, `at file.js:1:2`, `at a.b.C.d(C.java:5)`.
_AT = re.compile(r"^[ \t]*at (?P<frame>[^\n]+)", re.MULTILINE)
_POSITION = re.compile(r":\d+(?::\d+)?(?=\)|$)")


class Fingerprint(NamedTuple):
    """What an error's group is known by: a digest, the type, the beginning of the message as grouped."""

    digest: str
    error_type: str
    message: str


def fingerprint(error_type: str, message: str | None, stack_trace: str | None) -> Fingerprint:
    """The group that an error belongs to."""
    grouped = grouped_message(message or "")
    digest = _digest(error_type, grouped, *top_frames(stack_trace or ""))
    shown = grouped if len(grouped) <= MAX_MESSAGE else f"{grouped[: MAX_MESSAGE - 1]}…"
    return Fingerprint(digest, error_type[:MAX_TYPE], shown)


def other_of_type(one: Fingerprint) -> Fingerprint:
    """The group of all errors of this one's type that have none of their own."""
    return Fingerprint(OTHER_PREFIX + _digest(one.error_type)[len(OTHER_PREFIX) :], one.error_type, OTHER)


def other_of_all(one: Fingerprint) -> Fingerprint:
    """The group of all errors whose type has none either."""
    return Fingerprint(OTHER_PREFIX, OTHER, OTHER)


def _digest(*parts: str) -> str:
    return hashlib.sha1("\0".join(parts).encode(errors="replace"), usedforsecurity=False).hexdigest()


def grouped_message(message: str) -> str:
    """The message with its ids and numbers replaced."""
    return _NUMBERS.sub(NO_NUMBER, _IDS.sub(NO_ID, message)).strip()


def top_frames(stack_trace: str) -> list[str]:
    """The three frames nearest to where the error was raised, without line numbers; what is no known trace, none."""
    last = stack_trace.rpartition(_PYTHON_HEAD)[2]
    frames = [f"{found['file']} {found['function'] or ''}".strip() for found in _PYTHON.finditer(last)]
    if frames:
        return frames[: -TOP_FRAMES - 1 : -1]
    frames = [_POSITION.sub("", found["frame"].strip()) for found in _AT.finditer(stack_trace)]
    if frames:
        return frames[:TOP_FRAMES]
    lines = [line.strip() for line in stack_trace.splitlines() if line.strip()]
    return [grouped_message(line) for line in lines[:TOP_FRAMES]]
