"""Rows of a file in CSV, JSON or lines of JSON, plain or compressed with gzip, in constant memory.

The format follows from the content. A JSON array is read by line if it has one object per line, as exports have. Any
other JSON document is read as a whole, up to MAX_DOCUMENT_BYTES.
"""

from __future__ import annotations

import csv
import gzip
import sys
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import chain
from typing import IO, Any, Literal

from metrics.events import Unreadable
from metrics.ingest.body import BOM, BodyError, Limits, read_items

MAX_LINE_BYTES = 16 * 2**20  # as a post
MAX_DOCUMENT_BYTES = 64 * 2**20  # parsed, it takes several times as much memory
MAX_DOCUMENT_ROWS = 50_000
SKIP_BYTES = 65_536  # read at once of a line that is too long
NDJSON = "application/x-ndjson"

Format = Literal["csv", "json", "ndjson"]
Lines = Iterator[tuple[int, bytes | None]]  # number and content; None: longer than MAX_LINE_BYTES

GZIP = b"\x1f\x8b"
OTHER_FORMATS = {
    b"PAR1": 'is a Parquet file. Write JSON lines instead: pandas.read_parquet("…").to_json("….jsonl", '
    'orient="records", lines=True)',
    b"PK\x03\x04": "is a ZIP archive. Unpack it first.",
    b"\x28\xb5\x2f\xfd": "is compressed with zstd. Decompress it first, or use gzip.",
    b"BZh": "is compressed with bzip2. Decompress it first, or use gzip.",
    b"\xfd7zXZ": "is compressed with xz. Decompress it first, or use gzip.",
    b"SQLite format 3": "is an SQLite database. Export its rows as CSV or JSON lines.",
    b"\xff\xfe": "is UTF-16. Save it as UTF-8.",
    b"\xfe\xff": "is UTF-16. Save it as UTF-8.",
}


class FileProblem(Exception):
    """The file cannot be read, or not to its end. The message says what to do."""


@dataclass(frozen=True, slots=True)
class Row:
    """A row, the line where it begins, and its size in bytes. The values of CSV are text.

    numbered: what `line` is. The lines of a JSON document mean little, so its rows are numbered.
    """

    line: int
    value: dict[str, Any] | Unreadable
    size: int
    numbered: Literal["line", "row"] = "line"


@contextmanager
def open_file(name: str) -> Iterator[IO[bytes]]:
    """Open a file, or standard input for `-`, and decompress it if it is compressed. Raises FileProblem."""
    with ExitStack() as stack:
        try:
            stream: Any = sys.stdin.buffer if name == "-" else stack.enter_context(open(name, "rb"))
            opened = _decompressed(stream)
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else "its name has a NUL"
            raise FileProblem(f"cannot be opened: {reason}.") from None
        yield opened


def _decompressed(stream: Any) -> Any:
    return gzip.GzipFile(fileobj=stream) if stream.peek(2)[:2] == GZIP else stream


def read_rows(stream: IO[bytes]) -> tuple[Format, Iterator[Row]]:
    """Return the format and the rows of a file. Raises FileProblem here, and while the rows are read."""
    lines = _lines(stream)
    number, first = next(((number, line) for number, line in lines if line is None or line.strip()), (1, b""))
    if first is None:
        raise _too_long(number)
    for magic, problem in OTHER_FORMATS.items():
        if first.startswith(magic):
            raise FileProblem(problem)
    start = first.lstrip()[:1]
    if start == b"[":
        return "json", _json_rows(number, first, lines)
    if start == b"{":
        if isinstance(_parse(first), dict):
            return "ndjson", _line_rows(chain([(number, first)], lines))
        return "json", _document_rows(first, lines)
    return "csv", _csv_rows(number, first, lines)


def _lines(stream: IO[bytes]) -> Lines:
    """Yield the number and the content of each line; None if it is too long. Raises FileProblem."""
    number = 0
    try:
        while line := stream.readline(MAX_LINE_BYTES + 1):
            number += 1
            line = line.removeprefix(BOM) if number == 1 else line
            if len(line) > MAX_LINE_BYTES and not line.endswith(b"\n"):
                while (rest := stream.readline(SKIP_BYTES)) and not rest.endswith(b"\n"):
                    pass
                yield number, None
            else:
                yield number, line
    except (EOFError, gzip.BadGzipFile, zlib.error):
        raise FileProblem(
            f"is damaged gzip after line {number}: it ends too early, or its bytes were changed."
        ) from None
    except OSError as error:
        raise FileProblem(f"cannot be read after line {number}: {error.strerror}.") from None


def _too_long(line: int) -> FileProblem:
    return FileProblem(
        f"line {line} is longer than {MAX_LINE_BYTES // 2**20} MiB. Write one row per line (CSV or NDJSON)."
    )


def _parse(line: bytes) -> Any:
    """Return the value of a line as a post has it: an object, or `Unreadable`."""
    try:
        items, _ = read_items(line, NDJSON, None, Limits(MAX_LINE_BYTES, MAX_DOCUMENT_ROWS))
    except BodyError as error:
        return Unreadable(error.detail)
    item = items[0]
    if isinstance(item, dict | Unreadable):
        return item
    return Unreadable("is not an object")


def _line_rows(lines: Lines) -> Iterator[Row]:
    for number, line in lines:
        if line is None:
            yield Row(number, Unreadable(f"is longer than {MAX_LINE_BYTES // 2**20} MiB"), 0)
        elif line.strip():
            yield from _rows_of(number, _parse(line), len(line))


def _rows_of(line: int, value: Any, size: int) -> Iterator[Row]:
    """Yield the rows of a value: those of its list `data` if it is a page of an API, otherwise the value itself."""
    data = value.get("data") if isinstance(value, dict) else None
    if isinstance(data, list) and value.keys() <= {"data", "next_cursor"}:
        for item in data:
            yield Row(line, item if isinstance(item, dict) else Unreadable("is not an object"), size // len(data))
    else:
        yield Row(line, value, size)


def _json_rows(number: int, first: bytes, lines: Lines) -> Iterator[Row]:
    """Yield the rows of an array: by line if its first line is `[` with at most one object, otherwise as a whole."""
    rest = first.strip()[1:].strip()
    text, _ = _without_end(rest)
    if rest and not (rest == b"]" or (rest != text and isinstance(_parse(text), dict))):
        yield from _document_rows(first, lines)
        return
    head: list[tuple[int, bytes | None]] = [(number, rest)] if rest else []
    if not rest and (following := next((each for each in lines if each[1] is None or each[1].strip()), None)):
        head = [following]
        if (line := following[1]) is not None and line.strip() != b"]":
            text, _ = _without_end(line.strip())
            if not isinstance(_parse(text or b"?"), dict):
                yield from _document_rows(first + line, lines)
                return
    ended = False
    for number, line in chain(head, lines):
        piece = line.strip() if line is not None else None
        if piece == b"":
            continue
        if ended:
            raise FileProblem(f"line {number} follows the end of the array.")
        if piece is None:
            yield Row(number, Unreadable(f"is longer than {MAX_LINE_BYTES // 2**20} MiB"), 0)
            continue
        text, ended = _without_end(piece)
        if text:
            yield Row(number, _parse(text), len(text))
    if not ended:
        raise FileProblem("ends before the end of its array: the end of the file is missing.")


def _without_end(piece: bytes) -> tuple[bytes, bool]:
    """Return a line of an array without what follows its object, and whether that ends the array."""
    if piece.endswith(b"]"):
        return piece[:-1].rstrip(), True
    return piece.removesuffix(b",").rstrip(), False


def _document_rows(first: bytes, lines: Lines) -> Iterator[Row]:
    """Yield the rows of a JSON document that is not one object per line."""
    document = bytearray(first)
    for _, line in lines:
        if line is None or len(document) + len(line) > MAX_DOCUMENT_BYTES:
            raise FileProblem(
                f"is one JSON document of more than {MAX_DOCUMENT_BYTES // 2**20} MiB, which would have to be held in "
                "memory. Write it as lines of JSON (NDJSON), for instance with `jq -c '.[]'`."
            )
        document += line
    try:
        items, size = read_items(
            bytes(document), "application/json", None, Limits(MAX_DOCUMENT_BYTES, MAX_DOCUMENT_ROWS)
        )
    except BodyError as error:
        if error.status == 413:
            raise FileProblem(
                "is one JSON document with too many values to be held in memory. Write it as lines of JSON (NDJSON), "
                "for instance with `jq -c '.[]'`."
            ) from None
        if error.code == "empty_batch":
            return
        raise FileProblem(f"is not valid JSON: {error.detail.removeprefix('The body is not JSON: ')}") from None
    rows = (row for item in items for row in _rows_of(0, item, size // len(items)))
    for number, row in enumerate(rows, 1):
        value = row.value if isinstance(row.value, dict) else Unreadable("is not an object")
        yield Row(number, value, row.size, "row")


def _csv_rows(number: int, first: bytes, lines: Lines) -> Iterator[Row]:
    csv.field_size_limit(MAX_LINE_BYTES)
    reader = csv.reader(_decoded(chain([(number, first)], lines)))
    columns: list[str] = []
    line = number
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise FileProblem(f"line {number + reader.line_num - 1} is not CSV: {error}.") from None
        if not columns:
            columns = [cell.strip() for cell in cells]
        elif cells:
            size = sum(map(len, cells))
            if len(cells) == len(columns):
                yield Row(line, dict(zip(columns, cells, strict=True)), size)
            else:
                yield Row(line, Unreadable(f"has {len(cells)} cells, but the header has {len(columns)}"), size)
        line = number + reader.line_num


def _decoded(lines: Lines) -> Iterator[str]:
    for number, line in lines:
        if line is None:
            raise _too_long(number)
        try:
            yield line.decode()
        except UnicodeDecodeError:
            raise FileProblem(f"line {number} is not UTF-8. Save the file as UTF-8.") from None
