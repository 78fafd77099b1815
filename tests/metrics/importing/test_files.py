"""Reading rows from files: formats, limits, and files that are not what they should be."""

from __future__ import annotations

import gzip
import io
import itertools
import json
from pathlib import Path
from typing import Any

import pytest

from metrics.events import Unreadable
from metrics.importing import files
from metrics.importing.files import FileProblem, Row, open_file, read_rows

ROWS = [{"a": 1, "b": "x]"}, {"a": 2, "b": "},"}, {"a": 3, "b": "[\n"}]


def read(content: bytes) -> tuple[str, list[Row]]:
    file_format, rows = read_rows(io.BytesIO(content))
    return file_format, list(rows)


def values(content: bytes) -> list[Any]:
    return [row.value for row in read(content)[1]]


def problem(content: bytes) -> str:
    with pytest.raises(FileProblem) as raised:
        read(content)
    return str(raised.value)


class Endless(io.RawIOBase):
    """A file of one line, then another without an end."""

    def __init__(self, first: bytes, line: bytes) -> None:
        self._lines = itertools.chain([first], itertools.repeat(line))
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._rest = self._rest or next(self._lines)
        size = min(len(buffer), len(self._rest))
        buffer[:size], self._rest = self._rest[:size], self._rest[size:]
        return size


class AFileOfJson:
    @pytest.mark.parametrize(
        "text",
        [
            json.dumps(ROWS),
            json.dumps(ROWS, indent=2),
            json.dumps(ROWS, indent=0),
            "[" + ",\n".join(map(json.dumps, ROWS)) + "]\n",
            "[\n" + ",\n".join(map(json.dumps, ROWS)) + "\n]\n",
            "\n\n [\r\n" + ",\r\n".join(map(json.dumps, ROWS)) + "\r\n]",
            json.dumps({"data": ROWS, "next_cursor": None}, indent=1),
        ],
    )
    def test_may_have_any_layout(self, text: str) -> None:
        for content in (text.encode(), b"\xef\xbb\xbf" + text.encode()):
            file_format, rows = read(content)
            assert (file_format, [row.value for row in rows]) == ("json", ROWS)

    def test_names_the_line_of_each_row(self) -> None:
        _, rows = read(b'[\n{"a": 1},\n\n{"a": 2},\nnonsense,\n{"a": 3}]')
        assert [row.line for row in rows] == [2, 4, 5, 6]
        assert isinstance(rows[2].value, Unreadable)

    @pytest.mark.parametrize("text", ["[]", "[ ]\n", "[\n]", "", "\n", "a,b\n"])
    def test_may_have_no_rows(self, text: str) -> None:
        assert values(text.encode()) == []

    @pytest.mark.parametrize("end", [b"", b",", b",\n", b'\n{"a"'])
    def test_whose_end_is_missing_is_a_problem_after_its_rows(self, end: bytes) -> None:
        _, rows = read_rows(io.BytesIO(b'[{"a": 1},\n{"a": 2}' + end))
        assert [next(rows).value, next(rows).value] == [{"a": 1}, {"a": 2}]
        with pytest.raises(FileProblem, match="end of the file is missing"):
            list(rows)

    def test_that_continues_after_its_end_is_a_problem(self) -> None:
        assert "follows the end" in problem(b'[{"a": 1}]\n{"a": 2}\n')

    @pytest.mark.parametrize("text", [b"[1, 2]", b'["a"]', b"[[]]"])
    def test_without_objects_has_rows_that_cannot_be_read(self, text: bytes) -> None:
        assert all(isinstance(value, Unreadable) for value in values(text))

    @pytest.mark.parametrize("text", [b'{"a": ', b'[{"a": 1},{"a"', b"[{\n1}\n]", b'{\n"a": nope\n}'])
    def test_that_is_damaged_is_a_problem(self, text: bytes) -> None:
        assert "is not valid JSON" in problem(text)

    def test_that_is_large_and_not_by_line_names_the_form_that_is_read(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(files, "MAX_DOCUMENT_BYTES", 2_000)
        document = json.dumps([{"a": 1}] * 300, indent=0).encode()
        assert "NDJSON" in problem(document)
        assert len(values(document.replace(b"\n", b"").replace(b"},{", b"},\n{"))) == 300


class AFileOfLines:
    def test_has_a_row_for_each_line_that_is_not_empty(self) -> None:
        file_format, rows = read(b'{"a": 1}\n\n  \n{"a": 2}\r\nnonsense\n[]\n{"a": 3}')
        assert file_format == "ndjson"
        assert [(row.line, row.value) for row in rows if isinstance(row.value, dict)] == [
            (1, {"a": 1}),
            (4, {"a": 2}),
            (7, {"a": 3}),
        ]
        errors = {row.line: row.value.error for row in rows if isinstance(row.value, Unreadable)}
        assert errors.keys() == {5, 6}
        assert errors[5].startswith("is not JSON")
        assert errors[6] == "is not an object"

    def test_goes_on_after_a_line_that_is_too_long(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(files, "MAX_LINE_BYTES", 100)
        monkeypatch.setattr(files, "SKIP_BYTES", 7)
        long = b'{"a": "' + b"x" * 1_000 + b'"}\n'
        _, rows = read(b'{"a": 1}\n' + long + b'{"a": 2}\n' + long)
        assert [row.value for row in rows[::2]] == [{"a": 1}, {"a": 2}]
        assert [row.value.error for row in rows[1::2] if isinstance(row.value, Unreadable)] == [
            "is longer than 0 MiB"
        ] * 2

    def test_may_be_pages_of_an_api(self) -> None:
        pages = b'{"data": [{"a": 1}, {"a": 2}], "next_cursor": "x"}\n{"data": [], "next_cursor": null}\n'
        assert values(pages) == [{"a": 1}, {"a": 2}]


class AFileOfCsv:
    def test_has_texts_under_the_names_of_its_header(self) -> None:
        content = b'a,b\r\n1,"x\r\ny"\r\n,"q""q"\r\n'
        file_format, rows = read(content)
        assert file_format == "csv"
        assert [(row.line, row.value) for row in rows] == [(2, {"a": "1", "b": "x\r\ny"}), (4, {"a": "", "b": 'q"q'})]

    def test_rejects_rows_with_missing_cells_alone(self) -> None:
        assert values(b"a,b\n1\n1,2\n1,2,3\n") == [
            Unreadable("has 1 cells, but the header has 2"),
            {"a": "1", "b": "2"},
            Unreadable("has 3 cells, but the header has 2"),
        ]

    def test_that_is_not_utf8_is_a_problem_of_a_line(self) -> None:
        assert "line 3 is not UTF-8" in problem(b"a\nx\n\xff\xfe\n")

    def test_keeps_a_nul(self) -> None:
        assert values(b"a\nx\0y\n") == [{"a": "x\0y"}]

    def test_with_a_quote_that_is_never_closed_ends_at_the_limit(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(files, "MAX_LINE_BYTES", 1_000)
        assert "is not CSV" in problem(b'a,b\n"' + b"x,y\n" * 1_000)


class AFileInAnotherForm:
    @pytest.mark.parametrize(
        ("content", "expected"),
        [
            (b"PAR1\x15\x04", "orient="),
            (b"PK\x03\x04xx", "ZIP"),
            (b"\xff\xfea\0,\0b\0", "UTF-16"),
            ("a,b\n1,2\n".encode("utf-16-be"), "UTF-8"),
            (b"SQLite format 3\0", "SQLite"),
            (b"BZh91AY", "bzip2"),
        ],
    )
    def test_is_named(self, content: bytes, expected: str) -> None:
        if content.startswith(b"\0"):
            content = b"\xfe\xff" + content
        assert expected in problem(content)


class AFile:
    @pytest.mark.parametrize(
        ("first", "line"),
        [(b"[", b'{"a": 1},\n'), (b"", b'{"a": 1}\n'), (b"a\n", b"1\n"), (b'[{"a": 1},\n', b'{"a": 1},\n')],
    )
    def test_is_read_row_by_row(self, first: bytes, line: bytes) -> None:
        _, rows = read_rows(io.BufferedReader(Endless(first, line)))
        assert all(row.value in ({"a": 1}, {"a": "1"}) for row in itertools.islice(rows, 5_000))

    def test_may_be_compressed(self, tmp_path: Path) -> None:
        path = tmp_path / "rows"
        path.write_bytes(gzip.compress(b'{"a": 1}\n') + gzip.compress(b'{"a": 2}\n'))
        with open_file(str(path)) as stream:
            assert [row.value for row in read_rows(stream)[1]] == [{"a": 1}, {"a": 2}]

    @pytest.mark.parametrize("damage", ["cut", "changed"])
    def test_that_is_damaged_gzip_is_a_problem(self, tmp_path: Path, damage: str) -> None:
        data = gzip.compress(b"".join(b'{"a": %d}\n' % number for number in range(100_000)))
        path = tmp_path / "rows.gz"
        path.write_bytes(data[:-2_000] if damage == "cut" else data[:50_000] + b"xxxx" + data[50_004:])
        with open_file(str(path)) as stream:
            rows = read_rows(stream)[1]
            assert next(rows).value == {"a": 0}
            with pytest.raises(FileProblem, match="damaged gzip after line"):
                list(rows)

    def test_that_cannot_be_opened_is_a_problem(self, tmp_path: Path) -> None:
        assert "Is a directory" in self.problem_of(str(tmp_path))
        assert "No such file" in self.problem_of(str(tmp_path / "missing"))
        assert "NUL" in self.problem_of("a\0b")

    def test_that_cannot_be_read_is_a_problem(self) -> None:
        assert "Input/output error" in self.problem_of("/proc/self/mem")

    def problem_of(self, name: str) -> str:
        with pytest.raises(FileProblem) as raised, open_file(name):
            pass
        return str(raised.value)
