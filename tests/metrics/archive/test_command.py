"""`manage.py archive query`."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from metrics.archive.chunks import encode
from metrics.models import RawFloor
from tests.metrics.archive.stored_rows import archived, exported, maintain
from tests.metrics.archive.test_reading import row, write
from tests.metrics.importing.instances import empty, run_import
from tests.metrics.importing.test_round_trip import HARD_TEXTS
from tests.metrics.store.kept import ago, failure, record, request
from tests.support.server import ROOT

pytestmark = [pytest.mark.store, pytest.mark.django_db]


@pytest.fixture
def archive(tmp_path: Path, settings: Any) -> Path:
    settings.LLMMONITOR = settings.LLMMONITOR.model_copy(update={"archive_dir": tmp_path})
    record([request(ago(days=40 + n), f"r{n}", ["chatty", "=quiet"][n % 2], provider="vllm") for n in range(6)])
    record([failure(ago(days=95), "e")])
    maintain(tmp_path)
    return tmp_path


def query(*arguments: str) -> str:
    out = io.StringIO()
    call_command("archive", "query", *arguments, stdout=out)
    return out.getvalue()


def ids(*arguments: str) -> list[str]:
    return [json.loads(line)["request_id"] for line in query(*arguments).splitlines()]


class AQuery:
    def test_prints_rows_as_an_export_does(self, archive: Path) -> None:
        assert [json.loads(line) for line in query().splitlines()] == archived(archive)
        assert query("--json") == query()
        assert len(query().splitlines()) == 6

    def test_prints_errors(self, archive: Path) -> None:
        assert ids("--kind", "errors") == ["e"]

    def test_prints_csv(self, archive: Path) -> None:
        rows = list(csv.DictReader(io.StringIO(query("--csv", "--model", "=quiet"))))
        assert [row["request_id"] for row in rows] == ["r5", "r3", "r1"]
        assert {row["model_name"] for row in rows} == {"'=quiet"}
        assert list(rows[0]) == list(archived(archive)[0])

    @pytest.mark.parametrize(
        ("arguments", "expected"),
        [
            (["--model", "chatty"], ["r4", "r2", "r0"]),
            (["--request-id", "r1", "--request-id", "r2"], ["r2", "r1"]),
            (["--model", "chatty", "--request-id", "r1"], []),
            (["--from", "2025-12-09", "--to", "2025-12-11T00:00:00+01:00"], ["r2", "r1"]),
            (["--provider", "vllm", "--from", "2025-12-10"], ["r1", "r0"]),
            (["--service", "none"], []),
        ],
    )
    def test_prints_rows_that_match(self, archive: Path, arguments: list[str], expected: list[str]) -> None:
        assert ids(*arguments) == expected

    def test_reads_another_directory(self, archive: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
        other = tmp_path_factory.mktemp("other")
        write(other / "inference-2026-03-01.0001.jsonl.xz", encode("inference", [row()]))
        assert ids("--dir", str(other)) == ["r"]

    def test_of_a_damaged_file_fails_with_its_name(self, archive: Path) -> None:
        path = next(archive.glob("inference-*"))
        path.write_bytes(path.read_bytes()[:-5])
        with pytest.raises(CommandError, match=path.name):
            query()

    def test_without_an_archive_names_the_setting(self) -> None:
        with pytest.raises(CommandError, match="LLMMONITOR_ARCHIVE_DIR"):
            query()

    def test_of_a_wrong_time_names_the_form(self, archive: Path) -> None:
        with pytest.raises(CommandError, match="is not a time such as 2026-03-01"):
            query("--from", "yesterday")

    def test_may_be_read_in_part(self, tmp_path: Path) -> None:
        write(tmp_path / "inference-2026-03-01.0001.jsonl.xz", *[encode("inference", [row(t="x" * 500)] * 5_000)] * 2)
        command = [sys.executable, "manage.py", "archive", "query", "--dir", str(tmp_path)]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            assert process.stdout.readline()
            process.stdout.close()
            assert process.stderr.read() == b""
        assert process.returncode == 0


@pytest.mark.django_db(transaction=True)
class ThePrintedRows:
    @pytest.mark.parametrize("form", ["--json", "--csv"])
    def test_can_be_imported_as_the_same_rows(self, tmp_path: Path, settings: Any, form: str) -> None:
        now = datetime.now(UTC).replace(microsecond=0)
        old = now - timedelta(days=35)
        texts = list(enumerate(HARD_TEXTS))
        record([request(old + timedelta(seconds=n), f"r{n}", metadata={"note": text}) for n, text in texts], at=now)
        rows = exported("inference")
        maintain(tmp_path, now)
        path = tmp_path / "rows"
        path.write_text(query(form, "--dir", str(tmp_path)), newline="")
        empty()
        RawFloor.objects.all().delete()
        settings.LLMMONITOR = settings.LLMMONITOR.model_copy(update={"raw_inference_days": 60.0})

        run_import(path)

        assert exported("inference") == rows
        assert len(rows) == len(HARD_TEXTS)
