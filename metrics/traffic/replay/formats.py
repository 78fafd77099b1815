"""Parse recorded traces in their published formats: lines in, requests out.

- Azure LLM inference trace (CSV: TIMESTAMP, ContextTokens, GeneratedTokens). Arrival times with seven fractional
  digits, without a zone; no latency, model or failure. Patel et al., "Splitwise", ISCA 2024; data under CC-BY 4.0.
- BurstGPT (CSV: Timestamp, Model, Request tokens, Response tokens, Total tokens, Log Type; newer files add Session ID
  and Elapsed time). Seconds since the start; a response of 0 tokens is a failure. Wang et al., "BurstGPT", 2024.
- Mooncake (JSON lines: timestamp, input_length, output_length, hash_ids). Milliseconds since the start. Qin et al.,
  "Mooncake", FAST 2025.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain

MAX_LINE_CHARACTERS = 100_000
MAX_NUMBER = 1e15  # in ms, thirty thousand years; a float is still exact there


class BadTrace(Exception):
    """The file is not a known trace, or a line is invalid. The message has the line and what was expected."""


@dataclass(frozen=True, slots=True)
class TracedRequest:
    """One request of a trace. `offset_seconds` is relative to the first request."""

    offset_seconds: float
    prompt_tokens: int
    completion_tokens: int
    model_name: str | None = None
    failed: bool = False
    response_time_ms: float | None = None


AZURE = "azure"
BURSTGPT = "burstgpt"
MOONCAKE = "mooncake"
NAMES = (AZURE, BURSTGPT, MOONCAKE)


def detect(first_line: str) -> str:
    """Return the format of the trace that begins with this line. Raises BadTrace."""
    head = first_line.strip().lstrip("\ufeff")
    columns = {column.strip().strip('"').lower() for column in head.split(",")}
    if {"timestamp", "contexttokens", "generatedtokens"} <= columns:
        return AZURE
    if {"timestamp", "request tokens", "response tokens"} <= columns:
        return BURSTGPT
    if head.startswith("{"):
        try:
            keys = set(json.loads(head))
        except ValueError:
            keys = set()
        if {"timestamp", "input_length", "output_length"} <= keys:
            return MOONCAKE
    raise BadTrace(
        "line 1: not a known trace. The known formats are Azure (TIMESTAMP,ContextTokens,GeneratedTokens), BurstGPT "
        "(Timestamp,Model,Request tokens,Response tokens,…) and Mooncake (JSON lines with timestamp, input_length, "
        "output_length)."
    )


def read(lines: Iterable[str], name: str | None = None) -> Iterator[TracedRequest]:
    """Yield the requests of a trace in the order of the file. Raises BadTrace with the line number."""
    lines = iter(lines)
    first = next(lines, None)
    if first is None:
        raise BadTrace("the file is empty")
    name = name or detect(first)
    if name == MOONCAKE:
        rows = _mooncake(chain([first], lines))
    else:
        reader = csv.DictReader(chain([first.lstrip("\ufeff")], lines), skipinitialspace=True)
        rows = _azure(reader) if name == AZURE else _burstgpt(reader)
    origin: float | None = None
    for at, request in rows:
        origin = at if origin is None else origin
        yield TracedRequest(max(0.0, at - origin), *request)


Row = tuple[float, tuple[int, int, str | None, bool, float | None]]


def _azure(reader: csv.DictReader[str]) -> Iterator[Row]:
    for row in reader:
        with _at_line(reader.line_num):
            # The fraction has seven digits, one more than datetime supports.
            text, _, fraction = row["TIMESTAMP"].strip().partition(".")
            at = datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() + float(f"0.{fraction or 0}")
            yield at, (_tokens(row["ContextTokens"]), _tokens(row["GeneratedTokens"]), None, False, None)


def _burstgpt(reader: csv.DictReader[str]) -> Iterator[Row]:
    for row in reader:
        with _at_line(reader.line_num):
            completion = _tokens(row["Response tokens"])
            elapsed = (row.get("Elapsed time") or "").strip()
            model = (row.get("Model") or "").strip() or None
            response = _number(elapsed) * 1_000 if elapsed else None
            prompt = _tokens(row["Request tokens"])
            yield _number(row["Timestamp"]), (prompt, completion, model, completion == 0, response)


def _mooncake(lines: Iterable[str]) -> Iterator[Row]:
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        with _at_line(number):
            if len(line) > MAX_LINE_CHARACTERS:
                raise ValueError(f"longer than {MAX_LINE_CHARACTERS} characters")
            row = json.loads(line)
            tokens = _tokens(row["input_length"]), _tokens(row["output_length"])
            yield _number(row["timestamp"]) / 1_000, (*tokens, None, False, None)


def _tokens(value: str | int | None) -> int:
    try:
        tokens = int(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        tokens = -1
    if tokens < 0:
        raise ValueError(f"expected a number of tokens, got {value!r}")
    return tokens


def _number(value: str | float | None) -> float:
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        number = -1.0
    if not 0 <= number < MAX_NUMBER:
        raise ValueError(f"expected a time since the start, got {value!r}")
    return number


class _at_line:  # noqa: N801 - a context manager, read as a verb
    """Translate the errors of an invalid line into BadTrace with the line number."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __enter__(self) -> None: ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, KeyError):
            raise BadTrace(f"line {self.number}: {error.args[0]} is missing") from None
        if isinstance(error, ValueError | TypeError | AttributeError):
            raise BadTrace(f"line {self.number}: {error}") from None
