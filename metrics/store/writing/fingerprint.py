"""Which errors belong to one group: same type, same message without numbers and ids, same top three frames.

Line numbers are not used, so errors of a function that moves within its file stay in their group.

Beyond the limit on groups (`metrics.store.labels.error_groups`), all errors of a type are in one group; beyond a second
limit, errors of all types are. The digests of these groups start with OTHER_PREFIX, so they differ from all others.
"""

from __future__ import annotations

import hashlib
import re
from typing import NamedTuple

from metrics.events.types import OTHER_MODEL as OTHER

NO_ID, NO_NUMBER = "<id>", "<n>"
TOP_FRAMES = 3
MAX_TYPE = 200  # characters; the column
MAX_MESSAGE = 500  # characters of the group's message; the raw rows of errors hold the whole message
OTHER_PREFIX = "other:"

# The order matters: a later pattern would replace only parts of what an earlier one matches.
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

# Frames of Python: the innermost is the last. Of chained tracebacks, the last is that of the raised error.
_PYTHON = re.compile(r'^[ \t]*File "(?P<file>[^"\n]+)", line \d+(?:, in (?P<function>[^\n]+))?', re.MULTILINE)
_PYTHON_HEAD = "Traceback (most recent call last)"
# Frames of JavaScript and Java, innermost first: `at f (file.js:1:2)`, `at file.js:1:2`, `at a.b.C.d(C.java:5)`.
_AT = re.compile(r"^[ \t]*at (?P<frame>[^\n]+)", re.MULTILINE)
_POSITION = re.compile(r":\d+(?::\d+)?(?=\)|$)")


class Fingerprint(NamedTuple):
    """Identifies an error group by its digest. message: the beginning of the message, without numbers and ids."""

    digest: str
    error_type: str
    message: str


def fingerprint(error_type: str, message: str | None, stack_trace: str | None) -> Fingerprint:
    """Return the group of an error."""
    grouped = grouped_message(message or "")
    digest = _digest(error_type, grouped, *top_frames(stack_trace or ""))
    shown = grouped if len(grouped) <= MAX_MESSAGE else f"{grouped[: MAX_MESSAGE - 1]}…"
    return Fingerprint(digest, error_type[:MAX_TYPE], shown)


def other_of_type(group: Fingerprint) -> Fingerprint:
    """Return the group for errors of a type that are beyond the limit on groups."""
    return Fingerprint(OTHER_PREFIX + _digest(group.error_type)[len(OTHER_PREFIX) :], group.error_type, OTHER)


def other_of_all(group: Fingerprint) -> Fingerprint:
    """Return the group for errors of all types that have no other group."""
    return Fingerprint(OTHER_PREFIX, OTHER, OTHER)


def _digest(*parts: str) -> str:
    return hashlib.sha1("\0".join(parts).encode(errors="replace"), usedforsecurity=False).hexdigest()


def grouped_message(message: str) -> str:
    """Return a message with its ids and numbers replaced."""
    return _NUMBERS.sub(NO_NUMBER, _IDS.sub(NO_ID, message)).strip()


def top_frames(stack_trace: str) -> list[str]:
    """Return the three innermost frames without line numbers. For an unknown format: the first three lines."""
    last = stack_trace.rpartition(_PYTHON_HEAD)[2]
    frames = [f"{match['file']} {match['function'] or ''}".strip() for match in _PYTHON.finditer(last)]
    if frames:
        return frames[: -TOP_FRAMES - 1 : -1]
    frames = [_POSITION.sub("", match["frame"].strip()) for match in _AT.finditer(stack_trace)]
    if frames:
        return frames[:TOP_FRAMES]
    lines = [line.strip() for line in stack_trace.splitlines() if line.strip()]
    return [grouped_message(line) for line in lines[:TOP_FRAMES]]
