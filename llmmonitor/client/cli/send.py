"""Send one request to a model as an event, and wait until it is stored. The exit status is 0 if it is.

llmmonitor send --model llama-3-8b --response-time-ms 820 --prompt-tokens 300 --completion-tokens 90
llmmonitor send --model nightly --error TimeoutError --set error_message="no response" --set team=search
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from typing import Any, TypeVar

from llmmonitor.client.connection import Connection, NoResponse
from llmmonitor.client.events import INFERENCE, Recorded, batches
from llmmonitor.client.settings import read_settings

Number = TypeVar("Number", int, float)

SUMMARY = "send one event and wait until it is stored"
TIMEOUT_SECONDS = 10.0
ATTEMPTS = 3


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the fields of the event."""
    parser.add_argument("--model", required=True, dest="model_name", metavar="NAME")
    parser.add_argument("--provider", metavar="NAME")
    parser.add_argument("--response-time-ms", type=milliseconds, metavar="MS")
    parser.add_argument("--ttft-ms", type=milliseconds, metavar="MS", help="time to first token")
    parser.add_argument("--prompt-tokens", type=tokens, metavar="N")
    parser.add_argument("--completion-tokens", type=tokens, metavar="N")
    parser.add_argument("--error", dest="error_type", metavar="TYPE", help="the request failed, such as TimeoutError")
    parser.add_argument(
        "--set",
        dest="more",
        action="append",
        default=[],
        type=_field,
        metavar="NAME=VALUE",
        help="another field, or metadata, several times; a value is JSON, and otherwise text",
    )


def milliseconds(text: str) -> float:
    """Return the value of an option. argparse reports the errors; a ValueError with the name of this function."""
    return _not_negative(float(text), text)


def tokens(text: str) -> int:
    """Return the value of an option, as `milliseconds` does."""
    return _not_negative(int(text), text)


def _not_negative(value: Number, text: str) -> Number:
    if not 0 <= value < math.inf:
        raise argparse.ArgumentTypeError(f"must be 0 or more, got {text}")
    return value


def run(options: argparse.Namespace) -> int:
    """Send the event."""
    settings = read_settings(options.url, None, None, None, None, None)
    if settings.is_disabled:
        print("Nothing was sent, because LLMMONITOR_DISABLED is set.", file=sys.stderr)
        return 0
    if settings.problem:
        return _failed(settings.problem)
    given = {name: value for name, value in vars(options).items() if name in _FIELDS and value is not None}
    common = {"service": settings.service} if settings.service else {}
    event = Recorded(INFERENCE, {**given, **dict(options.more)})
    batch = next(batches([event], common), None)  # with an id, so that a second attempt is not counted twice
    if batch is None:
        return _failed("The event was not sent, because it is too large.")
    connection = Connection(settings, TIMEOUT_SECONDS)
    for attempt in range(1, ATTEMPTS + 1):
        try:
            response = connection.send("POST", batch.path, batch.body, is_compressed=batch.is_compressed)
        except NoResponse as error:
            problem, retry_after = str(error), 0.0
        else:
            rejected = response.rejected_of(1)
            if rejected is not None:
                return _failed(f"The event was rejected: {response.reason}") if rejected else _stored(response.body)
            problem, retry_after = f"{settings.url} did not accept the event: {response.reason}", response.retry_after
            if response.status < 500 and response.status != 429:
                break
        if attempt < ATTEMPTS:
            time.sleep(min(retry_after or attempt, TIMEOUT_SECONDS))
    return _failed(f"{problem.rstrip('.')}. Run `llmmonitor check`.")


_FIELDS = frozenset(
    ("model_name", "provider", "response_time_ms", "ttft_ms", "prompt_tokens", "completion_tokens", "error_type")
)


def _field(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise argparse.ArgumentTypeError(f"expected NAME=VALUE, got {text!r}")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def _stored(body: Any) -> int:
    for what, why in (("corrected", "its value is not valid"), ("dropped", "it holds content")):
        for name in body.get(what) or ():
            print(f"{name} was {what}: {why}.", file=sys.stderr)
    return 0


def _failed(problem: str) -> int:
    print(problem, file=sys.stderr)
    return 1
