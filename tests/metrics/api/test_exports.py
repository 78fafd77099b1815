"""Exports: rows as files, equal to the lists, streamed as the client reads them, at most two at a time."""

from __future__ import annotations

import asyncio
import csv
import io
import json
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from metrics.api import export
from metrics.spreadsheets import unguarded
from tests.metrics.api.asgi_client import AsgiClient, Reply

pytestmark = pytest.mark.store

NOW = datetime.now(UTC).replace(microsecond=0)
COUNT = 1_203  # more than two chunks


@pytest.fixture
def rows(api: AsgiClient) -> list[dict[str, Any]]:
    """Requests, oldest first, with values that are hard to write correctly."""
    events = [
        {
            "timestamp": (NOW - timedelta(seconds=COUNT - number)).isoformat(),
            "request_id": f"r{number:04d}",
            "model_name": ("plain", 'quo"ted, with commas', "zwei\u2028Zeilen 🦙")[number % 3],
            "prompt_tokens": number,
            "response_time_ms": number / 7 if number % 5 else None,
            "success": bool(number % 11),
            "error_message": None if number % 11 else "first line\nsecond; 'third'",
            "metadata": {"user": "ü", "list": [1, None]} if number % 2 else None,
        }
        for number in range(COUNT)
    ]
    assert api.post("/track/inference", events).json()["accepted"] == COUNT
    rows: list[dict[str, Any]] = []
    address, params = "/requests", {"limit": "500"}
    while address:
        page = api.get(address, **params).json()
        rows += page["results"]
        address, params = page["next"], {}
    assert len(rows) == COUNT
    return rows[::-1]


def exported(reply: Reply) -> list[Any]:
    assert reply.status == 200
    text = reply.body.decode()
    match reply.type:
        case "text/csv":
            return list(csv.DictReader(io.StringIO(text, newline="")))
        case "application/x-ndjson":
            return [json.loads(line) for line in text.split("\n") if line]
        case "application/json":
            return list(json.loads(text))
    raise AssertionError(reply.type)


def cell(value: Any) -> str:
    """Return the CSV cell of a JSON value."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict | list):
        return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    return str(value)


def complete(row: dict[str, Any]) -> dict[str, Any]:
    """Return a listed request with what an export has beyond it: values of the error that was sent with it."""
    return row | {"severity": "ERROR" if row["error_message"] else None, "stack_trace": None}


def in_csv(value: Any) -> str:
    """Return a value from the cell of an export in CSV."""
    written = b"".join(export.write_csv(iter([{"a": value, "b": 1}]), ("a", "b"))).decode()
    (row,) = csv.DictReader(io.StringIO(written, newline=""))
    return str(row["a"])


class AnExport:
    @pytest.mark.parametrize("extension", ["json", "ndjson"])
    def test_in_json_equals_the_rows(self, api: AsgiClient, rows: list[dict[str, Any]], extension: str) -> None:
        exported_rows = exported(api.get(f"/export/inference.{extension}"))
        assert exported_rows == [{name: complete(row)[name] for name in exported_rows[0]} for row in rows]
        assert {"request_id", "model_name", "error_message", "metadata", "response_time_ms"} <= exported_rows[0].keys()

    def test_in_csv_equals_the_rows(self, api: AsgiClient, rows: list[dict[str, Any]]) -> None:
        exported_rows = exported(api.get("/export/inference.csv"))
        assert exported_rows == [{name: cell(complete(row)[name]) for name in exported_rows[0]} for row in rows]

    def test_holds_the_window_and_the_filters_that_were_asked(self, api: AsgiClient, rows: list[Any]) -> None:
        start = (NOW - timedelta(seconds=100)).isoformat()
        exported_rows = exported(api.get("/export/inference.ndjson", **{"from": start, "model": "plain"}))
        expected = [row for row in rows if row["model_name"] == "plain" and int(row["request_id"][1:]) >= COUNT - 100]
        assert [row["request_id"] for row in exported_rows] == [row["request_id"] for row in expected]

    def test_of_errors_equals_the_list(self, api: AsgiClient, rows: list[Any]) -> None:
        listed = api.get("/errors", limit=500).json()["results"][::-1]
        exported_rows = exported(api.get("/export/errors.json"))
        assert len(exported_rows) == len(listed) == -(-COUNT // 11)
        own = [{"stamped": True, "named_model_name": row["model_name"], "named_provider": ""} for row in listed]
        assert exported_rows == [
            {name: (row | more)[name] for name in exported_rows[0]} for row, more in zip(listed, own, strict=True)
        ]

    def test_of_a_history_equals_the_series(self, api: AsgiClient, rows: list[Any]) -> None:
        params = {"metric": ["inference.requests", "inference.response_time_ms"], "stat": ["sum", "p95"]}
        window = {"range": "1h", "step": 60, "group_by": "model"}
        series = api.get("/metrics/history", **params, **window).json()["series"]
        exported_rows = exported(api.get("/export/history.json", **params, **window))
        assert [(row["metric"], row["stat"], row["labels"], row["value"]) for row in exported_rows] == [
            (line["metric"], line["stat"], line["labels"], value) for line in series for _, value in line["points"]
        ]

    def test_of_nothing_is_a_file_with_nothing_in_it(self, api: AsgiClient) -> None:
        assert exported(api.get("/export/inference.json")) == []
        assert exported(api.get("/export/inference.ndjson")) == []
        csv_file = api.get("/export/inference.csv")
        assert exported(csv_file) == []
        assert csv_file.body.startswith(b"id,timestamp,") or b"request_id" in csv_file.body.split(b"\r\n")[0]

    def test_has_a_name_to_be_saved_under(self, api: AsgiClient) -> None:
        window = {"from": "2026-01-01T00:00:00Z", "to": "2026-01-02T12:30:00Z"}
        reply = api.get("/export/inference.csv", **window)
        assert reply.headers["content-disposition"] == (
            'attachment; filename="llmmonitor_inference_20260101T0000_20260102T1230.csv"'
        )

    @pytest.mark.parametrize(
        "hidden", ["", "\n", "\r\n", "\t", " ", "\ufeff", "\ufeff\n ", "\u200b", "\u202e", "\x00", "\xa0"]
    )
    @pytest.mark.parametrize("start", "=+-@＝＋－＠﹦﹢﹣﹫")
    def test_in_csv_runs_nothing_in_a_spreadsheet(self, hidden: str, start: str) -> None:
        assert in_csv(f"{hidden}{start}SUM(1)") == f"'{hidden}{start}SUM(1)"

    @pytest.mark.parametrize("text", ["=1", "'=1", "''=1", "'a", "'", "", "-1", "+a", "\t'=1", "'\t=1", "a'=1"])
    def test_in_csv_is_written_so_that_each_text_can_be_read_again(self, text: str) -> None:
        assert unguarded(in_csv(text)) == text

    @pytest.mark.parametrize("text", ["\tSUM(1)", "\rSUM(1)", "\nSUM(1)", "-2+3", "-5%", "--5", "+", "-", "@"])
    def test_in_csv_guards_what_a_spreadsheet_may_take_for_a_formula(self, text: str) -> None:
        assert in_csv(text) == f"'{text}"

    @pytest.mark.parametrize(
        "value", [-5, -0.25, -1e-7, "-5", "+1.5e+10", "a=1", " a", "\ufeffa", "'a", "−5", "…", "🦙", "", " ", "\u200b"]
    )
    def test_in_csv_leaves_numbers_and_other_texts_as_they_are(self, value: Any) -> None:
        assert in_csv(value) == str(value)


class TheStream:
    """A stream of rows from a generator, which records how far it was read."""

    def rows(self, count: int, read: list[int]) -> Any:
        for number in range(count):
            read.append(number)
            yield {"number": number}

    async def test_reads_no_further_than_its_client(self) -> None:
        read: list[int] = []
        slot = export.Slot.acquire()
        assert slot is not None
        chunks = export.Stream(export.write_ndjson(self.rows(100_000, read), ("number",)), slot)
        await anext(chunks)
        await anext(chunks)
        assert len(read) == 2 * export.ROWS_PER_CHUNK
        chunks.close()
        assert [chunk async for chunk in chunks] == []
        assert len(read) == 2 * export.ROWS_PER_CHUNK


class TheTwoSlots:
    """`open` reads only the head of a response, so the export keeps running."""

    async def test_let_two_exports_run_and_refuse_a_third(self, api: AsgiClient, rows: list[Any]) -> None:
        async with AsyncExitStack() as running:
            for _ in range(2):
                reply, _chunks = await running.enter_async_context(api.open("GET", "/export/inference.csv"))
                assert reply.status == 200
            third = await api.arequest("GET", "/export/inference.csv")
            third.problem(503, "exports_busy")
        assert (await api.arequest("GET", "/export/inference.csv")).status == 200

    async def test_are_free_again_when_a_client_disconnects_early(self, api: AsgiClient, rows: list[Any]) -> None:
        for _ in range(5):
            async with api.open("GET", "/export/inference.json") as (reply, chunks):
                assert reply.status == 200
                await anext(chunks)

    async def test_are_free_again_when_an_export_is_refused(self, api: AsgiClient) -> None:
        for _ in range(5):
            (
                await api.arequest(
                    "GET", "/export/history.csv", params={"metric": "ttft_ms", "step": "7", "range": "30d"}
                )
            ).problem(400, "bad_query")
        assert (await api.arequest("GET", "/export/inference.csv")).status == 200

    async def test_are_free_again_when_a_stream_was_never_read(self) -> None:
        for _ in range(5):
            slot = export.Slot.acquire()
            assert slot is not None
            stream = export.Stream(iter([b"x"]), slot)
            del slot, stream
        await asyncio.sleep(0)


class AStreamThatFails:
    @pytest.fixture(autouse=True)
    def failing_csv(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def failing(rows: Any, columns: Any) -> Any:
            yield b"begin"
            raise RuntimeError("the database failed")

        monkeypatch.setitem(export.WRITERS, "csv", failing)

    async def test_in_the_middle_is_cut_off_rather_than_ended(self, api: AsgiClient, rows: list[Any]) -> None:
        with pytest.raises(RuntimeError, match="database failed"):
            async with api.open("GET", "/export/inference.csv") as (reply, chunks):
                assert [chunk async for chunk in chunks] == [b"begin"]
        assert reply.status == 200
        assert not reply.complete

    async def test_returns_its_slot_at_once(self, api: AsgiClient, rows: list[Any]) -> None:
        failures = []  # keeps what a traceback refers to
        for _ in range(export.MAX_RUNNING_EXPORTS):
            with pytest.raises(RuntimeError, match="database failed") as failure:
                await api.arequest("GET", "/export/inference.csv")
            failures.append(failure)
        assert (await api.arequest("GET", "/export/inference.json")).status == 200
