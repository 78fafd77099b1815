"""The command `import`: its report, its exit status, a dry run, hostile files, and stopping it."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from concurrent.futures import Future
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from metrics.importing import sources
from metrics.importing.files import Row
from metrics.importing.importer import Importer
from metrics.models import GPUMetrics, InferenceMetrics, RawFloor, SystemMetrics
from metrics.store.commit_result import CommitResult
from metrics.store.unavailable import StoreUnavailable
from metrics.store.writing.transaction import Store
from tests.metrics.api.asgi_client import AsgiClient
from tests.metrics.importing.instances import ago, failed_import, run_import
from tests.support.server import ROOT, copy_prepared, environment

pytestmark = pytest.mark.store

DEADLINE_SECONDS = 60


def row(number: int = 0, **more: Any) -> dict[str, Any]:
    """Return a row of an export of requests."""
    base = {"timestamp": ago(seconds=10 + number / 1000), "request_id": f"r{number}", "model_name": "m"}
    return base | {"response_time_ms": 12.5, "success": True, "metadata": None} | more


def write(folder: Path, rows: list[dict[str, Any]]) -> Path:
    path = folder / "rows"
    path.write_text("".join(json.dumps(each) + "\n" for each in rows))
    return path


class AnImport:
    def test_reports_what_it_read_and_stored(self, api: AsgiClient, tmp_path: Path) -> None:
        path = write(tmp_path, [row(0), row(1), row(1), row(2, metadata={"prompt": "secret", "team": "a"})])

        report = run_import(path)

        assert "export of inference, NDJSON" in report
        assert "4 rows read: 3 stored, 1 duplicates, 0 rejected" in report
        assert "1  metadata.prompt" in report
        assert "secret" not in report

    def test_with_rejected_rows_fails_after_the_others_are_stored(self, api: AsgiClient, tmp_path: Path) -> None:
        rows = [row(0), row(1, model_name=""), row(2), *(row(number, model_name=None) for number in range(3, 13))]
        rows += [row(13, request_id=None), row(14, timestamp=None), row(15, timestamp="noon")]
        path = write(tmp_path, rows)

        report, error = failed_import(path)

        assert error == "14 rows were rejected."
        assert "16 rows read: 2 stored, 14 rejected" in report
        assert "line 2: model_name must not be empty" in report
        assert "10  model_name is required" in report
        assert "1  request_id is missing; without it, another import would store the row again" in report
        assert InferenceMetrics.objects.count() == 2

    def test_names_the_number_of_a_row_in_a_document(self, api: AsgiClient, tmp_path: Path) -> None:
        path = tmp_path / "rows.json"
        path.write_text(json.dumps([row(0), row(1, model_name=""), row(2)], indent=2))

        assert "row 2: model_name must not be empty" in failed_import(path)[0]

    def test_skips_rows_older_than_raw_rows_are_kept_and_names_the_setting(
        self, api: AsgiClient, tmp_path: Path
    ) -> None:
        path = write(tmp_path, [row(0), row(1, timestamp=ago(days=31)), row(2, timestamp=ago(days=500))])

        report = run_import(path)

        assert "3 rows read: 1 stored, 0 rejected, 2 skipped" in report
        assert "2  older than 30 days, which LLMMONITOR_RAW_INFERENCE_DAYS keeps" in report

    def test_skips_rows_before_the_raw_floor(self, api: AsgiClient, tmp_path: Path) -> None:
        RawFloor.objects.create(kind="inference", at=datetime.now(UTC) - timedelta(days=2))
        errors = [
            {
                "timestamp": ago(days=3),
                "request_id": "e",
                "error_type": "E",
                "severity": "ERROR",
                "counted_outcome": None,
            }
        ]

        assert "rows of that time are deleted already (LLMMONITOR_RAW_INFERENCE_DAYS" in run_import(
            write(tmp_path, [row(0, timestamp=ago(days=3))])
        )
        assert "rows of that time are deleted already (LLMMONITOR_RAW_INFERENCE_DAYS" in run_import(
            write(tmp_path, errors)
        )
        assert not InferenceMetrics.objects.exists()

    def test_of_gpus_alone_stores_them(self, api: AsgiClient, tmp_path: Path) -> None:
        samples = [
            {"timestamp": ago(seconds=5), "host": "a", "gpu_id": gpu, "utilization_percent": 5.0} for gpu in (0, "0:1")
        ]

        assert "2 stored" in run_import(write(tmp_path, samples))
        assert sorted(GPUMetrics.objects.values_list("gpu_id", flat=True)) == ["0", "0:1"]
        assert SystemMetrics.objects.get().cpu_percent is None

    def test_takes_rows_like_those_that_are_posted_if_their_kind_is_given(
        self, api: AsgiClient, tmp_path: Path
    ) -> None:
        posted = [{"timestamp": ago(seconds=5), "request_id": "a", "model": "m", "latency_ms": 5, "team": "x"}]
        path = write(tmp_path, posted)
        assert "has no known columns" in failed_import(path)[1]

        assert "1 stored" in run_import(path, "--kind", "inference")
        stored = InferenceMetrics.objects.get()
        assert (stored.response_time_ms, stored.metadata) == (5.0, {"team": "x"})

    @pytest.mark.parametrize(
        ("columns", "kind"),
        [
            ({"timestamp": 1, "metric": 1, "stat": 1, "unit": 1, "labels": {}, "value": 1}, "history"),
            ({"id": 1, "rule": 1, "state": 1, "severity": 1, "metric_name": 1, "threshold": 1}, "alerts"),
            ({"id": 1, "at": 1, "to": 1, "alert": 1, "rule": 1, "threshold": 1, "metric_name": 1}, "alert_history"),
            ({"timestamp": 1, "source": 1, "model_name": 1, "kv_cache_usage_percent": 1}, "engines"),
        ],
    )
    def test_of_another_kind_is_refused_with_the_reason(
        self, tmp_path: Path, columns: dict[str, Any], kind: str
    ) -> None:
        _report, error = failed_import(write(tmp_path, [columns]))
        assert f"is an export of {kind}, which is not imported:" in error

    def test_of_what_an_export_of_alerts_has_is_recognized(self, api: AsgiClient, tmp_path: Path) -> None:
        for kind in ("alerts", "alert_history", "engines", "history"):
            path = tmp_path / kind
            more = {"metric": "requests"} if kind == "history" else {}
            header = api.get(f"/export/{kind}.csv", range="1h", **more).body.split(b"\r\n")[0]
            path.write_bytes(header + b"\r\n" + b"," * header.count(b",") + b"\r\n")
            assert f"is an export of {kind}, which is not imported" in failed_import(path)[1]


class ADryRun:
    def test_shows_the_first_rows_and_stores_nothing(self, api: AsgiClient, tmp_path: Path) -> None:
        rows = [row(number, id=number, outcome="ok", metadata={"prompt": "secret"}) for number in range(20)]
        path = write(tmp_path, [*rows, row(21, model_name="")])

        report, _error = failed_import(path, "--dry-run")

        assert "Nothing is stored." in report
        shown = [json.loads(line) for line in report.splitlines() if line.startswith("{")]
        assert [event["request_id"] for event in shown] == ["r0", "r1", "r2", "r3", "r4"]
        assert shown[0]["model_name"] == "m"
        assert "21 rows read: 20 valid, 1 rejected" in report
        assert "20  metadata.prompt" in report
        assert "outcome: is computed again" in report
        assert "secret" not in report
        assert not InferenceMetrics.objects.exists()


class AHostileFile:
    @pytest.mark.parametrize(
        ("content", "expected"),
        [
            (b"\xff\xfe{\0}\0", "UTF-16"),
            (b"PAR1", "Parquet"),
            (b"hello world\nfoo\n", "has no known columns"),
            (b"timestamp,request_id,model_name,response_time_ms,success\n\xff,a,b,1,true\n", "line 2 is not UTF-8"),
            (b'{"timestamp"\n{}', "is not valid JSON"),
            (b"[1,\n2]", "no row that can be read"),
            (b"\x1f\x8b\x08\x00", "damaged gzip"),
        ],
    )
    def test_is_refused_with_a_sentence(self, api: AsgiClient, tmp_path: Path, content: bytes, expected: str) -> None:
        path = tmp_path / "hostile"
        path.write_bytes(content)
        assert expected in "\n".join(failed_import(path))

    def test_has_no_effect_beyond_its_own_rows(self, api: AsgiClient, tmp_path: Path) -> None:
        rows = [
            json.dumps(row(0)),
            "\0\0",
            json.dumps(row(1, error_message="a\0b", prompt_tokens="=1+1", completion_tokens=10**30)),
            '{"timestamp": ' + "[" * 5_000 + "]" * 5_000 + "}",
            json.dumps(row(2, timestamp="9999999999999999999")),
            json.dumps(row(3, metadata="x" * 100_000)),
            json.dumps(row(4))[:-5],
        ]
        path = tmp_path / "hostile"
        path.write_text("\n".join(rows))

        report, error = failed_import(path)

        assert error == "4 rows were rejected."
        assert "7 rows read: 3 stored" in report
        assert InferenceMetrics.objects.count() == 3

    def test_that_ends_too_early_is_imported_up_to_there(self, api: AsgiClient, tmp_path: Path) -> None:
        path = tmp_path / "rows.json"
        path.write_text("[" + ",\n".join(json.dumps(row(number)) for number in range(1_500)) + ",\n")

        report, error = failed_import(path)

        assert "the end of the file is missing. The report is about the rows before." in error
        assert "1,500 stored" in report
        assert InferenceMetrics.objects.count() == 1_500

    def test_that_is_no_file_is_refused(self, tmp_path: Path) -> None:
        assert "Is a directory" in failed_import(tmp_path)[1]
        assert "No such file" in failed_import(tmp_path / "missing")[1]


class AStoppedImport:
    def test_reports_how_far_it_came_when_the_store_fails(
        self, api: AsgiClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = write(tmp_path, [row(number) for number in range(2_500)])
        commit, calls = Store.commit, []

        def failing(store: Store, events: Any) -> Any:
            calls.append(len(events))
            if len(calls) == 2:
                raise StoreUnavailable("full", "The disk is full.")
            return commit(store, events)

        monkeypatch.setattr(Store, "commit", failing)
        report, error = failed_import(path)

        assert error.startswith("Stopped after line 1,000: The disk is full. What is stored stays.")
        assert "1,000 stored" in report
        monkeypatch.setattr(Store, "commit", commit)
        assert "2,500 rows read: 1,500 stored, 1,000 duplicates, 0 rejected" in run_import(path)

    def test_counts_the_commit_during_which_it_was_stopped(self, api: AsgiClient) -> None:
        class Stopped(Future[CommitResult]):
            """A commit that is running when the person presses Ctrl-C."""

            waits = 0

            def result(self, timeout: float | None = None) -> CommitResult:
                self.waits += 1
                if self.waits == 1:
                    raise KeyboardInterrupt
                return CommitResult(1, 1)

        source = sources.recognize(frozenset(row()))
        importer = Importer(source, False, lambda: datetime.now(UTC), lambda events, size: Stopped())

        with pytest.raises(KeyboardInterrupt):
            importer.run([Row(7, row(0), 1), Row(8, row(1), 1)])

        assert (importer.report.stored, importer.report.duplicates, importer.report.last_line) == (1, 1, 8)

    def test_keeps_what_is_stored_and_says_how_far_it_came(self, prepared_data_dir: Path, tmp_path: Path) -> None:
        data_dir = copy_prepared(prepared_data_dir, tmp_path / "data")
        variables = environment(data_dir, 1)
        command = [sys.executable, "manage.py", "import", "-"]
        rows = "".join(json.dumps(row(number)) + "\n" for number in range(1_200))
        with subprocess.Popen(
            command, cwd=ROOT, env=variables, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as process:
            assert process.stdin is not None
            process.stdin.write(rows.encode())
            process.stdin.flush()
            deadline = time.monotonic() + DEADLINE_SECONDS
            while self.stored(data_dir) < 1_000:
                assert process.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.05)
            process.send_signal(signal.SIGTERM)
            out, error = (stream.decode() for stream in process.communicate(timeout=DEADLINE_SECONDS))
        assert process.returncode == 130
        assert "1,000 stored" in out
        assert "Stopped after line 1,000. What is stored stays." in error
        assert self.stored(data_dir) == 1_000

    def test_before_the_first_row_ends_with_a_sentence(self, prepared_data_dir: Path, tmp_path: Path) -> None:
        """The file is a pipe, which the command has opened and nobody writes to."""
        data_dir = copy_prepared(prepared_data_dir, tmp_path / "data")
        os.mkfifo(pipe := tmp_path / "rows.json")
        command = [sys.executable, "manage.py", "import", pipe]
        with (
            subprocess.Popen(
                command,
                cwd=ROOT,
                env=environment(data_dir, 1),
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            ) as process,
            pipe.open("w"),
        ):  # returns when the command opens it
            process.send_signal(signal.SIGTERM)
            out, error = process.communicate(timeout=DEADLINE_SECONDS)
        assert (process.returncode, out) == (130, "")
        assert error == "CommandError: Stopped before the first row. Nothing is stored.\n"

    def stored(self, data_dir: Path) -> int:
        with sqlite3.connect(f"file:{data_dir / 'llmmonitor.sqlite3'}?mode=ro", uri=True) as database:
            return int(database.execute("SELECT count(*) FROM metrics_inferencemetrics").fetchone()[0])
