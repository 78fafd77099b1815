"""Reading an archive: each row once and as it was, and files that are damaged."""

from __future__ import annotations

import lzma
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics.archive import chunks
from metrics.archive.chunks import decode, encode, in_chunks
from metrics.archive.reading import BadArchive, read_archive
from tests.metrics.archive.stored_rows import archived, exported, maintain, names
from tests.metrics.importing.test_round_trip import HARD_TEXTS
from tests.metrics.store.kept import ago, failure, record, request

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=("Cs",))),
    lambda values: st.lists(values) | st.dictionaries(st.text(st.characters(exclude_categories=("Cs",))), values),
    max_leaves=8,
)  # fmt: skip

NAMES = [" ".join(text.split()) or "-" for text in HARD_TEXTS]  # without line breaks


def row(at: str = "2026-03-01T12:00:00Z", **more: Any) -> dict[str, Any]:
    return {"timestamp": at, "request_id": "r"} | more


def write(path: Path, *lines: bytes) -> Path:
    path.write_bytes(lzma.compress(b"".join(lines), check=lzma.CHECK_SHA256))
    return path


def problem(directory: Path, kind: str = "inference") -> str:
    with pytest.raises(BadArchive) as raised:
        list(read_archive(directory, kind))
    return str(raised.value)


class ALine:
    @given(st.lists(st.dictionaries(st.sampled_from("abc"), JSON).map(lambda values: row(**values)), min_size=1))
    def test_has_the_values_of_its_rows(self, rows: list[dict[str, Any]]) -> None:
        columns = sorted({name for each in rows for name in each})
        rows = [{name: each.get(name) for name in columns} for each in rows]
        assert decode("inference", encode("inference", rows)) == rows

    def test_has_a_limited_number_of_rows_and_bytes(self, monkeypatch: pytest.MonkeyPatch) -> None:
        rows = [row(n=n) for n in range(12)]
        monkeypatch.setattr(chunks, "CHUNK_ROWS", 5)
        assert [len(chunk) for chunk in in_chunks(rows)] == [5, 5, 2]
        monkeypatch.setattr(chunks, "CHUNK_BYTES", 150)
        assert [each for chunk in in_chunks(rows) for each in chunk] == rows
        assert {len(chunk) for chunk in in_chunks(rows)} == {3}


@pytest.mark.store
@pytest.mark.django_db
class AnArchivedRow:
    def test_is_as_it_was_exported(self, tmp_path: Path) -> None:
        events = [
            request(
                ago(days=40, seconds=n), f"r{n}", NAMES[n], provider=NAMES[n][:3], service=NAMES[n],
                response_time_ms=0.1 + n / 3, cost_usd=1e-9, prompt_tokens=2**31 - 2,
                error_message=text, success=n % 2 == 0, severity="CRITICAL", stack_trace=text,
                metadata={text: [text, 1e300, None, -(2**63)], "nested": {"": text}},
            )
            for n, text in enumerate(HARD_TEXTS)
        ]  # fmt: skip
        errors = [failure(ago(days=95, seconds=n), f"e{n}", error_message=text) for n, text in enumerate(HARD_TEXTS)]
        record([*events, *errors])
        expected = exported("inference"), exported("errors", ago(days=91))

        maintain(tmp_path)

        assert (archived(tmp_path), archived(tmp_path, "errors")) == expected
        assert expected[0][0]["severity"] == "CRITICAL"
        assert len(expected[0]) == len(expected[1]) == len(HARD_TEXTS)


class AWindow:
    def test_has_the_rows_from_its_start_to_before_its_end(self, tmp_path: Path) -> None:
        for day in (1, 2, 3):
            times = [f"2026-03-0{day}T{time}Z" for time in ("00:00:00", "23:59:59.999999")]
            write(tmp_path / f"inference-2026-03-0{day}.0001.jsonl.xz", encode("inference", list(map(row, times))))
        damaged = tmp_path / "inference-2026-03-04.0001.jsonl.xz"
        damaged.write_bytes(b"not read")
        day = ago().replace(2026, 3, 2, 0, 0, 0, 0)

        rows = archived(tmp_path, start=day, end=day.replace(day=3))
        assert [each["timestamp"] for each in rows] == ["2026-03-02T00:00:00Z", "2026-03-02T23:59:59.999999Z"]
        assert len(archived(tmp_path, end=day)) == 2
        assert damaged.name in problem(tmp_path)

    def test_has_the_files_of_its_kind_only(self, tmp_path: Path) -> None:
        write(tmp_path / "errors-2026-03-01.0001.jsonl.xz", encode("errors", [row()]))
        for name in ("inference-2026-02-30.0001.jsonl.xz", "inference-2026-03-01.jsonl.xz", "notes.txt"):
            (tmp_path / name).write_bytes(b"of another program")
        assert archived(tmp_path) == []
        assert archived(tmp_path, "errors") == [row()]


class TheRowsOfSeveralFiles:
    def test_of_one_day_are_returned_once(self, tmp_path: Path) -> None:
        def at(second: int, name: str = "r") -> dict[str, Any]:
            return row(f"2026-03-01T12:00:{second:02}Z", request_id=name)

        for number, rows in enumerate(
            [[at(1), at(2), at(3)], [at(2), at(3), at(3, "other")], [at(0), at(3), at(5)], [at(4)], [at(4), at(6)]], 1
        ):
            write(tmp_path / f"inference-2026-03-01.{number:04}.jsonl.xz", encode("inference", rows))

        rows = archived(tmp_path)

        assert rows == [at(1), at(2), at(3), at(3, "other"), at(0), at(5), at(4), at(6)]

    def test_that_differ_in_any_column_are_all_returned(self, tmp_path: Path) -> None:
        rows = [row(model_name="a"), row(model_name="b"), row(model_name="b", x=1)]
        for number, each in enumerate(rows, 1):
            write(tmp_path / f"inference-2026-03-01.{number:04}.jsonl.xz", encode("inference", [each]))
        assert archived(tmp_path) == rows


class ADamagedFile:
    NAME = "inference-2026-03-01.0001.jsonl.xz"

    def test_is_refused_by_name_whichever_byte_is_wrong(self, tmp_path: Path) -> None:
        path = write(tmp_path / self.NAME, encode("inference", [row()]))
        content = path.read_bytes()
        for position in range(len(content)):
            damaged = bytearray(content)
            damaged[position] ^= 0x10
            path.write_bytes(damaged)
            assert str(path) in problem(tmp_path), position

    @pytest.mark.parametrize("size", [0, 1, 40, -1])
    def test_is_refused_if_its_end_is_missing(self, tmp_path: Path, size: int) -> None:
        path = write(tmp_path / self.NAME, encode("inference", [row()]))
        path.write_bytes(path.read_bytes()[:size])
        assert str(path) in problem(tmp_path)

    def test_returns_none_of_its_rows(self, tmp_path: Path) -> None:
        path = write(tmp_path / self.NAME, *[encode("inference", [row()])] * 3)
        content = bytearray(path.read_bytes())
        content[-40] ^= 1
        path.write_bytes(content)
        read: list[Any] = []
        with pytest.raises(BadArchive):
            read.extend(read_archive(tmp_path, "inference"))
        assert read == []

    @pytest.mark.parametrize(
        ("line", "reason"),
        [
            (b"nonsense\n", "is not JSON"),
            (b"[]\n", "has no rows of the kind inference"),
            (encode("errors", [row()]), "has no rows of the kind inference"),
            (b'{"kind":"inference","rows":1,"columns":{}}', "has no rows of the kind inference"),
            (b'{"kind":"inference","rows":1,"columns":{"timestamp":[]}}', "has columns of different lengths"),
            (encode("inference", [row("noon")]), "has a row without a time"),
            (encode("inference", [row("2026-03-01T12:00:00")]), "has a row without a time"),
        ],
    )
    def test_that_is_not_of_an_archive_is_refused(self, tmp_path: Path, line: bytes, reason: str) -> None:
        write(tmp_path / self.NAME, encode("inference", [row()]), line)
        assert f"{self.NAME}: line 2 {reason}" in problem(tmp_path)

    def test_that_has_a_longer_line_than_any_archive_is_refused(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("metrics.archive.reading.MAX_LINE_BYTES", 50)
        write(tmp_path / self.NAME, encode("inference", [row()]))
        assert "line 1 is longer" in problem(tmp_path)

    def test_is_named_if_there_is_no_directory(self, tmp_path: Path) -> None:
        assert "missing cannot be read (No such file or directory)" in problem(tmp_path / "missing")


def test_the_names_of_files_are_in_order(tmp_path: Path) -> None:
    for number in (2, 10_000, 1):
        write(tmp_path / f"inference-2026-03-01.{number:04}.jsonl.xz", encode("inference", [row(n=number)]))
    assert [each["n"] for each in archived(tmp_path)] == [1, 2, 10_000]
    assert len(names(tmp_path)) == 3
