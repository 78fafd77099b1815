"""The screen of `llmmonitor top`: lines of text for a tick, within the width and the height of a terminal."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

NO_DATA = "—"
BOLD, RED, PLAIN = "\x1b[1m", "\x1b[31m", "\x1b[0m"
FRAME_LINES = 8  # those that are not rows of models or hosts
# Heading and width of each column; the first has the rest of the line.
MODELS = (("MODEL", 0), ("REQ/S", 8), ("TOK/S", 8), ("P50", 8), ("P95", 8), ("TTFT P95", 9), ("ERR", 7), ("FLIGHT", 7))
HOSTS = (("HOST", 0), ("CPU", 7), ("MEMORY", 8), ("DISK", 7), ("GPU", 7), ("GPU MEM", 8))


def screen(tick: Mapping[str, Any], url: str, problem: str, width: int, height: int) -> list[str]:
    """Return the lines. problem: why this tick is not that of the current second."""
    overall, queue, alerts = (_dict(tick.get(name)) for name in ("overall", "queue", "alerts"))
    models = [_model(name, _dict(of)) for name, of in _dict(tick.get("models")).items()]
    hosts = [_host(_dict(host)) for host in tick.get("hosts") or ()]
    room = max(2, height - FRAME_LINES)
    host_rows = min(len(hosts), max(1, room // 3, room - len(models)))
    model_rows = min(len(models), max(1, room - host_rows))
    omitted = len(models) - model_rows + int(tick.get("models_omitted") or 0)
    firing = int(alerts.get("firing") or 0)
    lines = [
        _between(f"LLM Monitor  {_printable(url)}", f"{str(tick.get('at'))[11:19]} UTC", width, BOLD),
        _cut(
            f"{_number(overall.get('requests_per_second'))} requests/s   "
            f"{_number(overall.get('tokens_per_second'))} tokens/s   "
            f"errors {_number(overall.get('error_rate_percent'), ' %')}   "
            f"in flight {_number(overall.get('in_flight'))}",
            width,
        ),
        _cut(
            f"Response time {_percentiles(overall, 'response_time_ms')}   TTFT {_percentiles(overall, 'ttft_ms')}",
            width,
        ),
        _cut(_queue(queue), width),
        "",
        *_table(MODELS, models[:model_rows], width),
        *_table(HOSTS, hosts[:host_rows], width),
    ]
    lines = lines[: height - 1]
    notes = [f"Alerts that fire: {firing}" if firing else "", f"Further models: {omitted}" if omitted else ""]
    left = problem or "   ".join(note for note in notes if note)
    return [*lines, _between(_printable(left), "q ends", width, RED if problem or firing else "")]


def _model(name: str, of: Mapping[str, Any]) -> list[str]:
    response, ttft = _dict(of.get("response_time_ms")), _dict(of.get("ttft_ms"))
    return [
        name,
        _number(of.get("requests_per_second")),
        _number(of.get("tokens_per_second")),
        _duration(response.get("p50")),
        _duration(response.get("p95")),
        _duration(ttft.get("p95")),
        _number(of.get("error_rate_percent"), " %"),
        _number(of.get("in_flight")),
    ]


def _host(host: Mapping[str, Any]) -> list[str]:
    gpus = [_dict(gpu) for gpu in host.get("gpu_metrics") or ()]
    if host.get("state") != "up":
        return [f"{host.get('host')} ({host.get('state')})", *[NO_DATA] * 5]
    return [
        str(host.get("host")),
        *(_number(host.get(f"{name}_percent"), " %") for name in ("cpu", "memory", "disk")),
        *(_number(_mean([gpu.get(f"{name}_percent") for gpu in gpus]), " %") for name in ("utilization", "memory")),
    ]


def _queue(queue: Mapping[str, Any]) -> str:
    parts = [f"Queue: {_number(queue.get('pending'))} wait, {_number(queue.get('processing'))} in processing"]
    if (oldest := queue.get("oldest_seconds")) is not None:
        parts.append(f"oldest {_duration(oldest * 1_000)}")
    remaining = [(unit, queue.get(f"ratelimit_remaining_{unit}")) for unit in ("requests", "tokens")]
    if any(value is not None for _, value in remaining):
        parts.append("left: " + ", ".join(f"{_number(value)} {unit}" for unit, value in remaining))
    return "   ".join(parts)


def _percentiles(of: Mapping[str, Any], name: str) -> str:
    return "  ".join(f"{stat} {_duration(_dict(of.get(name)).get(stat))}" for stat in ("p50", "p95", "p99"))


def _table(columns: Sequence[tuple[str, int]], rows: Sequence[Sequence[str]], width: int) -> list[str]:
    first = max(12, width - sum(of for _, of in columns))
    lines = [[heading for heading, _ in columns], *rows]
    cut = [
        _padded(row[0], first) + "".join(f"{text:>{columns[n][1]}}" for n, text in enumerate(row) if n) for row in lines
    ]
    return [BOLD + _cut(cut[0], width) + PLAIN, *(_cut(line, width) for line in cut[1:])]


def _between(left: str, right: str, width: int, style: str) -> str:
    text = _padded(left, max(0, width - len(right) - 1)) + " " + right
    return style + _cut(text, width) + PLAIN if style else _cut(text, width)


def _padded(text: str, cells: int) -> str:
    text = _cut(_printable(text), cells - 1)
    return text + " " * (cells - sum(map(_cells, text)))


def _cut(text: str, cells: int) -> str:
    """Return the beginning of a text that has room in these cells."""
    for end, character in enumerate(text):
        cells -= _cells(character)
        if cells < 0:
            return text[:end]
    return text


def _cells(character: str) -> int:
    return 0 if unicodedata.combining(character) else 2 if unicodedata.east_asian_width(character) in "WF" else 1


def _printable(text: str) -> str:
    """Return a text without control characters, which could change the terminal."""
    return "".join(character if character.isprintable() else "·" for character in text)


def _number(value: Any, unit: str = "") -> str:
    if not isinstance(value, int | float):
        return NO_DATA
    for divisor, letter in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= divisor:
            return f"{value / (1_000 if letter == 'k' else divisor):.3g}{letter}{unit}"
    places = 0 if value == int(value) or abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    return f"{value:.{places}f}{unit}"


def _duration(milliseconds: Any) -> str:
    if not isinstance(milliseconds, int | float):
        return NO_DATA
    if milliseconds < 999.5:
        return f"{milliseconds:.3g} ms"
    seconds = milliseconds / 1_000
    return f"{seconds:.3g} s" if seconds < 999.5 else f"{math.floor(seconds / 60):,} m"


def _mean(values: Sequence[Any]) -> float | None:
    known = [value for value in values if isinstance(value, int | float)]
    return sum(known) / len(known) if known else None


def _dict(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
