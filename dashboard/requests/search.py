"""What people type into the search of the Requests page, as filters of the API: `ttft>2s status:429 timeout`.

Pure functions. The page calls them through an address, so that the grammar is written once.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

TERM = re.compile(r'(?P<name>[a-z_.]+)\s*(?P<operator>>=|<=|[:=<>])\s*(?P<value>"[^"]*"|\S+)|"(?P<quoted>[^"]*)"|(?P<word>\S+)', re.IGNORECASE)  # fmt: skip # noqa: E501
DURATION = re.compile(r"(?P<number>\d+(\.\d+)?)(?P<unit>ms|s|m|min|h)?", re.IGNORECASE)
COUNT = re.compile(r"(?P<number>\d+(\.\d+)?)(?P<unit>k|m)?", re.IGNORECASE)
UNIT_MS = {"ms": 1, "s": 1_000, "m": 60_000, "min": 60_000, "h": 3_600_000}
UNIT_COUNT = {"k": 1_000, "m": 1_000_000}
# What people call a value: the filter of `>`, that of `<`, and the pattern of the value.
COMPARED = {
    **dict.fromkeys(("response", "latency", "time", "response_time"), ("min_response_time_ms", "max_response_time_ms")),
    **dict.fromkeys(("ttft", "first_token"), ("min_ttft_ms", "")),
    **dict.fromkeys(("tokens", "total_tokens"), ("min_total_tokens", "")),
}
# What people call a text: the parameter of the API.
NAMED = {
    "status": "status_code",
    "code": "status_code",
    "finish": "finish_reason",
    "error": "error_type",
    "type": "error_type",
    "trace": "trace_id",
    "id": "request_id",
    "group": "group",
    "request": "request_id",
    **{
        name: name
        for name in (
            "status_code", "finish_reason", "error_type", "trace_id", "request_id", "operation", "stream", "has_error",
            "outcome", "model", "provider", "service", "endpoint",
        )
    },
}  # fmt: skip
MAX_TAGS = 12  # in a message
FLAGS = {"yes": "true", "no": "false", "true": "true", "false": "false", "1": "true", "0": "false"}
FIELDS = (
    "Fields: response, ttft and tokens with >; status, error, outcome, finish, model, provider, service, endpoint,"
    " operation, stream, has_error, trace, id and group with :."
)


@dataclass
class Search:
    """The parameters to set, by name, and what was not understood, in sentences."""

    parameters: dict[str, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


def parse(text: str, tags: Sequence[str] = ()) -> Search:
    """Return the filters of a search text. `tags`: the metadata keys that are labels."""
    search = Search()
    words: list[str] = []
    for term in TERM.finditer(text):
        name, operator, value = (term[group] for group in ("name", "operator", "value"))
        if name is None or "//" in value:  # an address in an error message
            words.append(term["quoted"] if term["quoted"] is not None else term[0])
            continue
        _add(search, name.lower(), operator, value.strip('"'), tags)
    if words:
        search.parameters["search"] = " ".join(words)
    return search


def _add(search: Search, name: str, operator: str, value: str, tags: Sequence[str]) -> None:
    shown = f"{name}{operator}{value}"
    if name in COMPARED:
        least, most = COMPARED[name]
        if operator in ":=":
            search.problems.append(f"{shown}: compare {name} with > or <.")
            return
        parameter = least if operator.startswith(">") else most
        number = _number(value, UNIT_COUNT if "tokens" in name else UNIT_MS)
        if not parameter:
            search.problems.append(f"{shown}: {name} can be compared with > only.")
        elif number is None:
            search.problems.append(f"{shown}: {value} is not a number{'' if 'tokens' in name else ' with ms, s or m'}.")
        else:
            search.parameters[parameter] = f"{number:.15g}"
    elif operator not in ":=":
        search.problems.append(f"{shown}: only response, ttft and tokens can be compared with {operator}.")
    elif name in tags or name.removeprefix("tag.") in tags:
        search.parameters["tag." + name.removeprefix("tag.")] = value
    elif name in NAMED:
        parameter = NAMED[name]
        if parameter in ("stream", "has_error"):
            value = FLAGS.get(value.lower(), value)
        search.parameters[parameter] = value
    else:
        search.problems.append(f"{shown}: {name} is not a field that can be searched. {FIELDS} {_of_metadata(tags)}")


def _of_metadata(tags: Sequence[str]) -> str:
    shown = f"{', '.join(tags[:MAX_TAGS])}{' and others' if len(tags) > MAX_TAGS else ''}"
    return f"Of metadata, the promoted tags can be searched: {shown or 'none is promoted'}."


def _number(text: str, units: dict[str, int]) -> float | None:
    match = (COUNT if units is UNIT_COUNT else DURATION).fullmatch(text)
    return float(match["number"]) * units.get((match["unit"] or "").lower(), 1) if match else None
