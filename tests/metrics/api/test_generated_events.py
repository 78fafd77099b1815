"""Random events with odd but valid fields: no response is 5xx, and each accepted event is in lists, in filtered lists
and in exports, with the values that were sent or with the corrections that the response has named."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random, SystemRandom
from typing import Any

import pytest
from django.test import override_settings

from llmmonitor.environment import read_environment
from metrics.events import Kind
from tests.metrics.api.asgi_client import JSON, AsgiClient
from tests.metrics.api.test_exports import cell
from tests.support.event_generator import EventGenerator, cut_texts, differences, error_of, random_day, random_kind
from tests.support.odd_events import Item

pytestmark = pytest.mark.store

# Rounds, and the events of each. The events of a round are of one day, and have the same few names.
FULL, SHORT = (20, 5_000), (1, 2_000)
WRONG_EVENTS = 60
PAGE = 500
NDJSON = "application/x-ndjson"
PATHS = {Kind.INFERENCE: "/requests", Kind.ERROR: "/errors"}
EXPORTS = {Kind.INFERENCE: "inference", Kind.ERROR: "errors", Kind.QUEUE: "queue", Kind.SYSTEM: "system"}
LABELS = {"model": "model_name", "provider": "provider", "service": "service", "endpoint": "endpoint"}
# The column of each filter.
FILTERS = {
    Kind.INFERENCE: LABELS
    | {name: name for name in ("status_code", "finish_reason", "error_type", "operation", "trace_id", "stream")},
    Kind.ERROR: LABELS | {"error_type": "error_type", "severity": "severity"},
    Kind.QUEUE: {"model": "model_name"},
    Kind.SYSTEM: {"host": "host"},
}
# An error that belongs to a failed request has these labels of the request.
OF_REQUEST = frozenset({"provider", "service", "endpoint"})
LOOKED_UP = 20  # requests and errors that are read by their ids, in a round


@dataclass(frozen=True)
class Sent:
    """An accepted event, with its id.

    named: the fields that the response names as dropped or corrected, but for texts that are cut.
    """

    kind: Kind
    item: Item
    named: frozenset[str]


def body_of(events: list[Item], random: Random) -> tuple[bytes, str, dict[str, str]]:
    """Return the events as a body in one of the accepted forms, its content type and its headers."""
    ascii_only = random.random() < 0.5
    form = random.randrange(3)
    if form == 0:
        text = "\n".join(json.dumps(event, ensure_ascii=ascii_only) for event in events)
    else:
        text = json.dumps({"events": events} if form == 1 else events, ensure_ascii=ascii_only)
    body, headers = text.encode(), {}
    if random.random() < 0.3:
        body, headers = gzip.compress(body), {"content_encoding": "gzip"}
    return body, NDJSON if form == 0 else JSON, headers


def post(api: AsgiClient, kind: Kind, events: list[Item], random: Random, valid: bool = True) -> Iterator[Sent]:
    """Post the events. Yield those that were accepted."""
    body, content_type, headers = body_of(events, random)
    reply = api.post(f"/track/{kind}", body, content_type, **headers)
    assert reply.status in (200, 422), reply.body
    answer = reply.json()
    rejected = {item["index"] for item in answer["rejected"]}
    accepted = [event for index, event in enumerate(events) if index not in rejected]
    assert (answer["accepted"], answer["duplicates"]) == (len(accepted), 0), answer
    corrected = Counter(answer["corrected"])
    cut = Counter(name for event in accepted for name in cut_texts(event))
    assert {name: corrected.pop(name) for name in cut} == cut, answer
    in_metadata = {name for name in corrected if name.startswith("metadata.")}
    assert not (valid and (rejected or corrected.keys() - in_metadata)), answer
    ids = iter(answer["request_ids"])
    named = frozenset({*answer["dropped"], *(corrected.keys() - in_metadata)})
    for event in accepted:
        has_id = kind in PATHS and event.get("request_id") is None
        yield Sent(kind, {**event, "request_id": next(ids)} if has_id else event, named)


def post_all(api: AsgiClient, generator: EventGenerator, count: int, random: Random) -> list[Sent]:
    sent: list[Sent] = []
    by_kind: dict[Kind, list[Item]] = defaultdict(list)
    for _ in range(count - WRONG_EVENTS):
        kind = random_kind(random)
        by_kind[kind].append(generator.event(kind))
    for kind, items in by_kind.items():
        while items:
            size = random.choice([1, 20, 300])
            sent += post(api, kind, items[:size], random)
            del items[:size]
    for _ in range(WRONG_EVENTS):  # each in its own post, whose response names the corrections of this event
        kind = random_kind(random)
        sent += post(api, kind, [generator.wrong_event(kind)], random, valid=False)
    return sent


def post_again(api: AsgiClient, sent: list[Sent], random: Random) -> None:
    for event in random.sample([event for event in sent if "timestamp" in event.item], 20):
        answer = api.post(f"/track/{event.kind}", json.dumps(event.item).encode()).json()
        assert (answer["accepted"], answer["duplicates"]) == (0, 1), (event, answer)


def listed(api: AsgiClient, path: str, **params: Any) -> list[Item]:
    rows: list[Item] = []
    address, query = path, {"limit": PAGE, **params}
    while address:
        reply = api.get(address, **query)
        assert reply.status == 200, (path, params, reply.body)
        rows += reply.json()["results"]
        address, query = reply.json()["next"], {}
    return rows


def exported(api: AsgiClient, name: str, **params: Any) -> list[Item]:
    """Return the rows of an export, and check that its three forms agree."""
    replies = {form: api.get(f"/export/{name}.{form}", **params) for form in ("json", "ndjson", "csv")}
    assert {(reply.status, reply.complete) for reply in replies.values()} == {(200, True)}, (name, params)
    rows: list[Item] = replies["json"].json()
    assert [json.loads(line) for line in replies["ndjson"].body.split(b"\n") if line] == rows
    written = list(csv.DictReader(io.StringIO(replies["csv"].body.decode(), newline="")))
    assert len(written) == len(rows)
    for row, cells in zip(rows, written, strict=True):
        wrong = {key: (value, cells[key]) for key, value in row.items() if not is_cell_of(cells[key], value)}
        assert wrong == {}, name
    return rows


def is_cell_of(written: str, value: Any) -> bool:
    if isinstance(value, dict | list):
        return bool(json.loads(written) == value)
    # A quote before a text keeps a spreadsheet from running it.
    return written in (cell(value), f"'{cell(value)}")


class AnAcceptedEvent:
    def test_is_returned_with_the_values_that_were_sent(self, api: AsgiClient, full: bool) -> None:
        seed = SystemRandom().randrange(2**32) if full else 0
        limits = {"rate_limit_read_per_minute": 10**9, "rate_limit_ingest_per_minute": 10**9, "max_series": 100_000}
        with override_settings(LLMMONITOR=read_environment().model_copy(update=limits)):
            rounds, events = FULL if full else SHORT
            for number in range(rounds):
                try:
                    check_round(api, Random(seed + number), events)
                except AssertionError as error:
                    error.add_note(f"The seed of this round is {seed + number}.")
                    raise


def check_round(api: AsgiClient, random: Random, events: int) -> None:
    started = datetime.now(UTC)
    day = random_day(random, started)
    sent = post_all(api, EventGenerator(random, day), events, random)
    post_again(api, sent, random)
    # Events without a timestamp have the time of their arrival.
    windows = [
        {"from": day.isoformat(), "to": (day + timedelta(days=1)).isoformat()},
        {"from": started.replace(microsecond=0).isoformat()},
    ]
    rows = {
        kind: [row for window in windows for row in exported(api, name, **window)] for kind, name in EXPORTS.items()
    }
    gpus = [row for window in windows for row in exported(api, "gpu", **window)]
    check_values(sent, rows, gpus)
    for kind, path in PATHS.items():  # exports have further columns
        columns = listed(api, path, **windows[0])[0].keys()
        rows[kind] = [{name: row[name] for name in columns} for row in rows[kind]]
    check_lists(api, rows, windows)
    check_filters(api, rows, windows[0], random)


def check_lists(api: AsgiClient, rows: dict[Kind, list[Item]], windows: list[dict[str, str]]) -> None:
    """Check that the lists have the rows of the exports."""
    for kind, path in PATHS.items():
        in_list = [row for window in windows for row in listed(api, path, **window)]
        assert {row["id"]: row for row in in_list} == {row["id"]: row for row in rows[kind]}


def check_values(sent: list[Sent], rows: dict[Kind, list[Item]], gpus: list[Item]) -> None:
    """Check that each event has a row without differences."""
    rows_of: dict[tuple[Kind, str], list[Item]] = defaultdict(list)
    identity = {Kind.QUEUE: "source", Kind.SYSTEM: "host"}
    for kind, listed_rows in rows.items():
        for row in listed_rows:
            rows_of[kind, row[identity.get(kind, "request_id")]].append(row)
    gpus_of_host: dict[str, list[Item]] = defaultdict(list)
    for gpu in gpus:
        gpus_of_host[gpu["host"]].append(gpu)
    requests = {event.item["request_id"] for event in sent if event.kind is Kind.INFERENCE}
    for event in sent:
        item, named = event.item, event.named
        if event.kind is Kind.ERROR and item["request_id"] in requests:
            named |= OF_REQUEST
        if event.kind is Kind.INFERENCE and error_of(item) is None:
            named |= {"severity", "stack_trace"}  # of an error that was not sent
        check(item, rows_of[event.kind, item[identity.get(event.kind, "request_id")]], named)
        if event.named - {"metadata.prompt"}:
            continue
        error = error_of(item) if event.kind is Kind.INFERENCE else None
        if error is not None:
            check(error, rows_of[Kind.ERROR, item["request_id"]], frozenset({"metadata"}))
        for gpu in item.get("gpu_metrics") or ():
            check({**gpu, "host": item["host"], "timestamp": item["timestamp"]}, gpus_of_host[item["host"]], named)


def check(item: Item, rows: list[Item], named: frozenset[str]) -> None:
    """Check that one of the rows has the values of the item."""
    nearest = min((differences(item, row, named) for row in rows), key=len, default={"row": (item, None)})
    assert not nearest, item


def check_filters(api: AsgiClient, rows: dict[Kind, list[Item]], window: dict[str, str], random: Random) -> None:
    """Check that each filter matches the rows that have its value."""
    day = window["from"][:10]
    for kind, filters in FILTERS.items():
        in_window = [row for row in rows[kind] if row["timestamp"][:10] == day]
        for name, column in filters.items():
            for value in {row[column] for row in in_window} - {None, ""}:
                params = {name: cell(value), **window}
                path = PATHS.get(kind)
                matching = listed(api, path, **params) if path else api.get(f"/export/{name_of(kind)}", **params).json()
                expected = [row for row in in_window if row[column] == value]
                assert sorted(map(key_of, matching)) == sorted(map(key_of, expected)), (kind, params)
    for kind, path in PATHS.items():
        for row in random.sample(rows[kind], LOOKED_UP):
            assert row in listed(api, path, request_id=row["request_id"])
            if kind is Kind.INFERENCE:
                shown = api.get(f"/requests/{row['id']}").json()
                assert {name: shown[name] for name in row} == row


def name_of(kind: Kind) -> str:
    return f"{EXPORTS[kind]}.json"


def key_of(row: Item) -> str:
    return str(row.get("id") or sorted(row.items(), key=str))
