"""`/export/{kind}.{csv,json,ndjson}`: rows as files, streamed in constant memory.

Rows are read by one thread of its own, some hundred at a time, and only when the client has taken the ones before: a
client that stalls costs one chunk. Two exports run at a time; a third is told to come back.
"""

from __future__ import annotations

import asyncio
import csv
import io
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, islice
from threading import BoundedSemaphore
from typing import Any

import orjson
from django.db import connection
from django.http import StreamingHttpResponse
from django.utils.timezone import now
from rest_framework.request import Request

from metrics import queries
from metrics.api.base_views import ReadView
from metrics.api.error_handlers import Problem
from metrics.api.openapi.description import Parameter, describe
from metrics.api.openapi.parameters import SERIES, WINDOW_AND_FILTERS
from metrics.api.openapi.response_schemas import PROBLEMS, list_of, problems
from metrics.queries import parameters

ROWS_PER_CHUNK = 500
EXPORTS_AT_A_TIME = 2
CONTENT_TYPES = {"csv": "text/csv; charset=utf-8", "json": "application/json", "ndjson": "application/x-ndjson"}

_slots = BoundedSemaphore(EXPORTS_AT_A_TIME)


def write_csv(rows: Iterator[dict[str, Any]], columns: tuple[str, ...]) -> Iterator[bytes]:
    """Comma-separated values with a head; nested values as JSON."""
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(columns)
    while chunk := list(islice(rows, ROWS_PER_CHUNK)):
        for row in chunk:
            writer.writerow([_cell(row.get(column)) for column in columns])
        yield _take(buffer)
    yield _take(buffer)


def _cell(value: Any) -> Any:
    if isinstance(value, dict | list):
        return orjson.dumps(value).decode()
    if isinstance(value, bool):
        return "true" if value else "false"
    # A cell that begins like a formula is run by spreadsheets when the file is opened; the quote keeps it text.
    if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r"):
        return "'" + value
    return value


def _take(buffer: io.StringIO) -> bytes:
    text = buffer.getvalue()
    buffer.seek(0)
    buffer.truncate()
    return text.encode()


def write_json(rows: Iterator[dict[str, Any]], columns: tuple[str, ...]) -> Iterator[bytes]:
    """One JSON array."""
    separator = b"["
    while chunk := list(islice(rows, ROWS_PER_CHUNK)):
        yield separator + b",\n".join(orjson.dumps(row) for row in chunk)
        separator = b",\n"
    yield b"[]\n" if separator == b"[" else b"]\n"


def write_ndjson(rows: Iterator[dict[str, Any]], columns: tuple[str, ...]) -> Iterator[bytes]:
    """One JSON object a line."""
    while chunk := list(islice(rows, ROWS_PER_CHUNK)):
        yield b"".join(orjson.dumps(row) + b"\n" for row in chunk)


WRITERS: dict[str, Callable[[Iterator[dict[str, Any]], tuple[str, ...]], Iterator[bytes]]] = {
    "csv": write_csv,
    "json": write_json,
    "ndjson": write_ndjson,
}


class Slot:
    """One of the exports that run at a time. Given back by `release`, and also when nobody holds it any more: a client
    that goes before its answer begins leaves a stream that never runs, and so never comes to its end."""

    def __init__(self) -> None:
        self.release = weakref.finalize(self, _slots.release)

    @classmethod
    def take(cls) -> Slot | None:
        """A slot, or None when all are taken."""
        return cls() if _slots.acquire(blocking=False) else None


class Stream:
    """The pieces of one export, each made on its thread when the client asks for it.

    Its end, or `close`, gives everything back. Django closes the answer that holds it, also when the client has gone.
    """

    def __init__(self, chunks: Iterator[bytes], slot: Slot) -> None:
        self._chunks = chunks
        self._slot = slot
        self._executor: ThreadPoolExecutor | None = None

    def __aiter__(self) -> Stream:
        return self

    async def __anext__(self) -> bytes:
        if self._executor is None:
            self._executor = ThreadPoolExecutor(1, thread_name_prefix="export")
        chunk = await asyncio.get_running_loop().run_in_executor(self._executor, next, self._chunks, None)
        if chunk is None:
            self.close()
            raise StopAsyncIteration
        return chunk

    def close(self) -> None:
        """Ends it. May be called more than once, and from any thread."""
        executor, self._executor, self._chunks = self._executor, None, iter(())
        if executor is not None:
            executor.submit(connection.close)
            executor.shutdown(wait=False)
        self._slot.release()


class ExportView(ReadView):
    """One kind of rows as a file."""

    @describe(
        parameters=[
            Parameter("kind", enum=tuple(queries.EXPORT_KINDS), location="path"),
            Parameter("extension", enum=tuple(CONTENT_TYPES), location="path"),
            *WINDOW_AND_FILTERS,
            *SERIES,
        ],
        responses={
            (200, "text/csv"): str,
            (200, "application/json"): list_of({"type": "object", "additionalProperties": True}),
            (200, "application/x-ndjson"): str,
            **problems(404),
            **PROBLEMS,
        },
        summary="Rows as a file",
        description="The rows of a window, oldest first, streamed. `metric`, `stat`, `step` and `group_by` belong to "
        "the kind `history`.",
    )
    def get(self, request: Request, kind: str, extension: str) -> StreamingHttpResponse:
        """The rows of a window, oldest first, streamed."""
        if kind not in queries.EXPORT_KINDS or extension not in WRITERS:
            raise Problem(
                404,
                "unknown_export",
                f"There is no export {kind[:40]}.{extension[:10]}.",
                kinds=list(queries.EXPORT_KINDS),
                formats=list(WRITERS),
            )
        at = now()
        params = request.query_params
        is_history = kind == "history"
        further = parameters.SERIES_PARAMETERS if is_history else ()
        window, filters = parameters.parse_window_and_filters(params, at, *further)
        specs = parameters.parse_series(params) if is_history else ()
        step = parameters.parse_step(params.get("step")) if is_history else None
        slot = Slot.take()
        if slot is None:
            raise Problem(
                503,
                "exports_busy",
                f"{EXPORTS_AT_A_TIME} exports are running; try again when one has ended.",
                headers={"Retry-After": "3"},
            )
        try:
            table = queries.export(kind, window, filters, now=at, specs=specs, step=step)
            chunks = WRITERS[extension](iter(table.rows), table.columns)
            # Read before the answer begins: what goes wrong with the question is then a problem, not a broken file.
            first = next(chunks, b"")
        except BaseException:
            slot.release()
            raise
        response = StreamingHttpResponse(Stream(chain([first], chunks), slot), content_type=CONTENT_TYPES[extension])
        span = f"{window.start:%Y%m%dT%H%M}_{window.end:%Y%m%dT%H%M}"
        response["Content-Disposition"] = f'attachment; filename="llmmonitor_{kind}_{span}.{extension}"'
        return response
