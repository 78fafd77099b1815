"""`/export/{kind}.{csv,json,ndjson}`: rows as files, streamed in constant memory.

Each export has its own thread. It reads the next chunk of rows after the client has received the previous one, so that
a slow client costs the memory of one chunk. At most two exports run at a time; further ones get the status 503.
"""

from __future__ import annotations

import asyncio
import csv
import io
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, islice
from queue import Empty, SimpleQueue
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
from metrics.spreadsheets import guarded

ROWS_PER_CHUNK = 500
MAX_RUNNING_EXPORTS = 2
CONTENT_TYPES = {"csv": "text/csv; charset=utf-8", "json": "application/json", "ndjson": "application/x-ndjson"}

# A SimpleQueue, because garbage collection may return a slot at any moment, even within `acquire`.
_slots: SimpleQueue[None] = SimpleQueue()
for _ in range(MAX_RUNNING_EXPORTS):
    _slots.put(None)


def write_csv(rows: Iterator[dict[str, Any]], columns: tuple[str, ...]) -> Iterator[bytes]:
    """Yield the rows as CSV with a header row. Objects and arrays are written as JSON."""
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(columns)
    while chunk := list(islice(rows, ROWS_PER_CHUNK)):
        for row in chunk:
            writer.writerow([_cell(row.get(column)) for column in columns])
        yield _flush(buffer)
    yield _flush(buffer)


def _cell(value: Any) -> Any:
    if isinstance(value, dict | list):
        return orjson.dumps(value).decode()
    if isinstance(value, bool):
        return "true" if value else "false"
    return guarded(value) if isinstance(value, str) else value


def _flush(buffer: io.StringIO) -> bytes:
    """Return the content of the buffer, and empty it."""
    text = buffer.getvalue()
    buffer.seek(0)
    buffer.truncate()
    return text.encode()


def write_json(rows: Iterator[dict[str, Any]], columns: tuple[str, ...]) -> Iterator[bytes]:
    """Yield the rows as one JSON array."""
    separator = b"["
    while chunk := list(islice(rows, ROWS_PER_CHUNK)):
        yield separator + b",\n".join(orjson.dumps(row) for row in chunk)
        separator = b",\n"
    yield b"[]\n" if separator == b"[" else b"]\n"


def write_ndjson(rows: Iterator[dict[str, Any]], columns: tuple[str, ...]) -> Iterator[bytes]:
    """Yield the rows as JSON objects, one per line."""
    while chunk := list(islice(rows, ROWS_PER_CHUNK)):
        yield b"".join(orjson.dumps(row) + b"\n" for row in chunk)


WRITERS: dict[str, Callable[[Iterator[dict[str, Any]], tuple[str, ...]], Iterator[bytes]]] = {
    "csv": write_csv,
    "json": write_json,
    "ndjson": write_ndjson,
}


class Slot:
    """The permission to run an export. There are MAX_RUNNING_EXPORTS of them.

    `release` returns it. Garbage collection returns it, too, because a stream is neither read nor closed if the client
    disconnects before the response starts.
    """

    def __init__(self) -> None:
        self.release = weakref.finalize(self, _slots.put, None)

    @classmethod
    def acquire(cls) -> Slot | None:
        """Return a slot, or None if all are in use."""
        try:
            _slots.get_nowait()
        except Empty:
            return None
        return cls()


class Stream:
    """The chunks of one export. Each is read in the thread of the export when the client is ready for it.

    The end of the stream, an error or `close` releases the thread, its database connection and the slot. Django closes
    the stream with its response, also if the client has disconnected.
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
        try:
            chunk = await asyncio.get_running_loop().run_in_executor(self._executor, next, self._chunks, None)
        except BaseException:  # Django does not close a response whose stream fails
            self.close()
            raise
        if chunk is None:
            self.close()
            raise StopAsyncIteration
        return chunk

    def close(self) -> None:
        """Release everything. May be called more than once, and from any thread."""
        executor, self._executor, self._chunks = self._executor, None, iter(())
        if executor is not None:
            executor.submit(connection.close)
            executor.shutdown(wait=False)
        self._slot.release()


class ExportView(ReadView):
    """The rows of one kind as a file."""

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
    )
    def get(self, request: Request, kind: str, extension: str) -> StreamingHttpResponse:
        """The rows of a window, oldest first, as a stream.

        `metric`, `stat`, `step` and `group_by` are only for the kind `history`.
        """
        if kind not in queries.EXPORT_KINDS or extension not in WRITERS:
            detail = f"There is no export {kind[:40]}.{extension[:10]}."
            raise Problem(404, "unknown_export", detail, kinds=list(queries.EXPORT_KINDS), formats=list(WRITERS))
        at = now()
        params = request.query_params
        is_history = kind == "history"
        series_parameters = parameters.SERIES_PARAMETERS if is_history else ()
        window, filters = parameters.parse_window_and_filters(
            params, at, *series_parameters, of_errors=kind == "errors"
        )
        specs = parameters.parse_series(params) if is_history else ()
        step = parameters.parse_step(params.get("step")) if is_history else None
        slot = Slot.acquire()
        if slot is None:
            detail = f"{MAX_RUNNING_EXPORTS} exports are running. Try again when one has finished."
            raise Problem(503, "exports_busy", detail, {"Retry-After": "3"})
        try:
            table = queries.export(kind, window, filters, now=at, specs=specs, step=step)
            chunks = WRITERS[extension](iter(table.rows), table.columns)
            # Read before the response starts, so that a failed query gets an error response, not a broken file.
            first = next(chunks, b"")
        except BaseException:
            slot.release()
            raise
        # A server would read the whole stream for a HEAD, and discard it.
        stream = Stream(iter(()) if request.method == "HEAD" else chain([first], chunks), slot)
        response = StreamingHttpResponse(stream, content_type=CONTENT_TYPES[extension])
        span = f"{window.start:%Y%m%dT%H%M}_{window.end:%Y%m%dT%H%M}"
        response["Content-Disposition"] = f'attachment; filename="llmmonitor_{kind}_{span}.{extension}"'
        return response
