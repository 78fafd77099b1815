"""Backups at intervals: when one is due, which files stay, and what is known of the last one."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.management import call_command
from django.test import override_settings

from llmmonitor import celery_settings
from llmmonitor.backup import schedule
from llmmonitor.backup.errors import Refused
from llmmonitor.backup.file import Reader
from llmmonitor.backup.last import last_backup, last_scheduled
from llmmonitor.backup.models import LastBackup
from llmmonitor.backup.schedule import back_up_if_due, file_name, is_due, superseded
from llmmonitor.celery import app
from tests.support.instances import MakeInstance
from tests.support.server import MakeServer

pytestmark = [pytest.mark.store, pytest.mark.django_db(transaction=True)]

NOON = datetime(2026, 11, 30, 12, tzinfo=UTC)
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
WAIT_SECONDS = 120.0  # beat sends the task after a minute


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """The directory of a schedule that writes every six hours and keeps three files."""
    folder = tmp_path / "backups"
    folder.mkdir()
    changes: dict[str, Any] = {"backup_dir": folder, "backup_hours": 6, "backup_keep": 3, "disk_floor": 0}
    with override_settings(LLMMONITOR=settings.LLMMONITOR.model_copy(update=changes)):
        yield folder


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


class TheSchedule:
    def test_is_off_without_a_directory(self) -> None:
        assert not is_due(NOON)
        with pytest.raises(Refused, match="Set LLMMONITOR_BACKUP_DIR"):
            back_up_if_due(NOON)

    def test_writes_a_backup_at_once_and_then_at_each_interval(self, folder: Path) -> None:
        written = [at for minutes in range(0, 25 * 60, 10) if back_up_if_due(at := NOON + minutes * MINUTE)]
        assert written == [NOON, NOON + 6 * HOUR, NOON + 12 * HOUR, NOON + 18 * HOUR, NOON + 24 * HOUR]

    def test_agrees_with_the_task_about_what_is_due(self, folder: Path) -> None:
        assert is_due(NOON)
        back_up_if_due(NOON)
        assert not is_due(NOON + 6 * HOUR - MINUTE)
        assert is_due(NOON + 6 * HOUR)

    @pytest.mark.parametrize("ahead", [HOUR, 365 * 24 * HOUR])
    def test_continues_after_the_clock_was_ahead(self, ahead: timedelta, folder: Path) -> None:
        assert back_up_if_due(NOON + ahead)
        assert is_due(NOON)
        assert back_up_if_due(NOON)
        assert not is_due(NOON + MINUTE)
        assert back_up_if_due(NOON + 6 * HOUR)

    def test_does_not_repeat_a_backup_of_a_host_whose_clock_is_a_little_ahead(self, folder: Path) -> None:
        assert back_up_if_due(NOON + MINUTE)
        assert not is_due(NOON)

    def test_is_a_task_of_the_queue_of_upkeep(self) -> None:
        entry = celery_settings.beat_schedule["back_up"]
        app.loader.import_default_modules()
        assert entry["task"] in app.tasks
        queue = celery_settings.task_routes[str(entry["task"])]
        assert queue == celery_settings.task_routes["metrics.tasks.maintain"]

    def test_is_one_process_at_a_time(self, folder: Path) -> None:
        file = os.open(folder, os.O_RDONLY)
        fcntl.flock(file, fcntl.LOCK_EX)
        assert back_up_if_due(NOON) is None
        os.close(file)
        assert back_up_if_due(NOON) is not None

    def test_is_one_process_on_hosts_that_do_not_share_the_directory(self, folder: Path) -> None:
        """The other has claimed the attempt in the table."""
        LastBackup.objects.create(by=LastBackup.By.SCHEDULE, attempted_at=NOON - MINUTE)
        assert back_up_if_due(NOON) is None
        assert names(folder) == []


class ABackupThatAPersonAskedFor:
    def test_is_due_at_once_and_made_once(self, folder: Path) -> None:
        back_up_if_due(NOON)
        schedule.ask(NOON + MINUTE)

        assert is_due(NOON + MINUTE)
        assert back_up_if_due(NOON + 2 * MINUTE)
        assert not is_due(NOON + 3 * MINUTE)
        assert back_up_if_due(NOON + 3 * MINUTE) is None
        assert names(folder) == [file_name(NOON), file_name(NOON + 2 * MINUTE)]

    def test_is_that_of_the_schedule(self, folder: Path) -> None:
        back_up_if_due(NOON)
        schedule.ask(NOON + HOUR)
        back_up_if_due(NOON + HOUR)

        assert not is_due(NOON + 7 * HOUR - MINUTE)
        assert is_due(NOON + 7 * HOUR)

    def test_does_not_wait_after_an_attempt_that_failed(self, folder: Path) -> None:
        LastBackup.objects.create(by=LastBackup.By.SCHEDULE, attempted_at=NOON, error="disk full")
        schedule.ask(NOON + MINUTE)

        assert back_up_if_due(NOON + MINUTE)

    def test_is_not_repeated_at_once_if_it_fails(self, folder: Path) -> None:
        folder.rmdir()
        schedule.ask(NOON)
        with pytest.raises(Refused, match="Create it"):
            back_up_if_due(NOON)

        assert not is_due(NOON + MINUTE)

    def test_waits_for_the_one_that_is_being_written(self, folder: Path) -> None:
        schedule.ask(NOON)
        file = os.open(folder, os.O_RDONLY)
        fcntl.flock(file, fcntl.LOCK_EX)
        assert back_up_if_due(NOON) is None
        os.close(file)

        assert is_due(NOON)
        assert back_up_if_due(NOON)

    def test_is_refused_without_a_directory(self) -> None:
        with pytest.raises(Refused, match="Set LLMMONITOR_BACKUP_DIR"):
            schedule.ask(NOON)
        assert not LastBackup.objects.exists()


class TheDirectory:
    def test_has_the_newest_files_alone(self, folder: Path) -> None:
        for number in range(5):
            assert back_up_if_due(NOON + 6 * number * HOUR)
        assert names(folder) == [file_name(NOON + 6 * number * HOUR) for number in (2, 3, 4)]
        for path in folder.iterdir():
            with Reader(path):
                pass

    def test_keeps_what_the_schedule_did_not_write(self, folder: Path) -> None:
        own = file_name(NOON - HOUR)
        mark = own.split("-")[1]
        others = sorted(
            [
                own.replace(mark, "0" * 8),  # of another instance
                f"copy-of-{own}",
                f"{own}.old",
                own.replace(".zip", ".tar"),
                "monitor.zip",
                f".{own.replace(mark, '0' * 8)}.0a0b0c0d.partial",
                ".monitor.zip.0a0b0c0d.partial",
            ]
        )
        for name in others:
            (folder / name).write_text("precious")
        for number in range(5):
            assert back_up_if_due(NOON + 6 * number * HOUR)
        assert [name for name in names(folder) if (folder / name).read_bytes() == b"precious"] == others
        assert len(names(folder)) == len(others) + 3

    def test_loses_what_a_killed_process_has_left(self, folder: Path) -> None:
        (folder / f".{file_name(NOON - HOUR)}.0a0b0c0d.partial").write_text("half")
        back_up_if_due(NOON)
        assert names(folder) == [file_name(NOON)]

    def test_keeps_the_new_file_if_the_clock_was_set_back(self, folder: Path) -> None:
        for number in range(3):
            (folder / file_name(NOON + number * HOUR)).write_text("later")
        assert back_up_if_due(NOON - HOUR)
        assert names(folder) == [file_name(NOON + number * HOUR) for number in (-1, 1, 2)]

    def test_keeps_one_file_if_so_configured(self, folder: Path) -> None:
        for number in range(3):
            (folder / file_name(NOON + number * HOUR)).write_text("")
        newest = folder / file_name(NOON + 2 * HOUR)
        assert superseded(folder, newest, 1) == [folder / file_name(NOON), folder / file_name(NOON + HOUR)]


class AnAttemptThatFails:
    def test_is_repeated_after_a_quarter_of_an_hour(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(*arguments: Any, **options: Any) -> None:
            raise OSError(28, "No space left on device")

        with monkeypatch.context() as context:
            context.setattr(schedule, "write_backup", fail)
            with pytest.raises(OSError, match="No space left"):
                back_up_if_due(NOON)
        last = last_scheduled()
        assert last is not None
        assert (last.succeeded_at, last.error) == (None, "[Errno 28] No space left on device")
        assert back_up_if_due(NOON + 14 * MINUTE) is None
        assert back_up_if_due(NOON + 15 * MINUTE)

    def test_leaves_what_is_known_of_the_last_backup(self, folder: Path) -> None:
        back_up_if_due(NOON)
        before = last_backup()
        needs_more = override_settings(LLMMONITOR=settings.LLMMONITOR.model_copy(update={"disk_floor": 2**60}))
        with needs_more, pytest.raises(Refused, match="free, and a backup needs") as caught:
            back_up_if_due(NOON + 6 * HOUR)
        after = last_backup()
        assert before is not None
        assert after is not None
        assert (after.succeeded_at, after.path, before.error) == (NOON, before.path, "")
        assert after.error == str(caught.value)
        assert names(folder) == [file_name(NOON)]

    def test_because_the_directory_does_not_exist_has_a_sentence(self, folder: Path) -> None:
        folder.rmdir()
        with pytest.raises(Refused, match=r"is not a directory\. Create it"):
            back_up_if_due(NOON)
        last = last_scheduled()
        assert last is not None
        assert "Create it" in last.error

    def test_because_its_success_cannot_be_stored_deletes_no_older_backup(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        days = [NOON - number * 24 * HOUR for number in (3, 2, 1)]
        for day in days:
            (folder / file_name(day)).write_text("of another day")
        with monkeypatch.context() as context:
            context.setattr(schedule, "store_success", lambda *arguments, **options: False)
            attempts = [NOON + number * schedule.RETRY for number in range(3)]
            assert all(back_up_if_due(at) for at in attempts)
        assert names(folder) == [file_name(at) for at in (*days, *attempts)]

        repeated = NOON + 3 * schedule.RETRY
        back_up_if_due(repeated)
        assert names(folder) == [file_name(at) for at in (*attempts[1:], repeated)]

    @pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGALRM])
    def test_because_a_signal_ended_it_has_a_sentence(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, number: signal.Signals
    ) -> None:
        child = subprocess.Popen([sys.executable, "-c", f"import os; os.kill(os.getpid(), {number:d})"])
        child.wait()
        monkeypatch.setattr(schedule, "_child", child)
        monkeypatch.setattr(schedule.subprocess, "Popen", lambda *arguments, **options: child)
        LastBackup.objects.create(by=LastBackup.By.SCHEDULE, attempted_at=NOON)

        schedule.start_in_child()

        text = f"The process of the scheduled backup was ended by {number.name}."
        last = last_scheduled()
        assert last is not None
        assert last.error.startswith(text)
        assert ("6 hours" in last.error) == (number is signal.SIGALRM)
        assert text in caplog.text

    def test_leaves_no_alarm_in_its_process(self, folder: Path) -> None:
        niceness = os.nice(0)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(os, "nice", lambda _: niceness)
            call_command("backup", "--scheduled")
        assert signal.alarm(0) == 0


class TheLastBackup:
    def test_is_none_at_first(self) -> None:
        assert (last_backup(), last_scheduled()) == (None, None)

    def test_has_its_time_size_and_rows(self, folder: Path) -> None:
        written = back_up_if_due(NOON)
        assert written is not None
        last = last_backup()
        assert last is not None
        assert (last.succeeded_at, last.size_bytes, last.row_count, last.error) == (
            NOON,
            (folder / file_name(NOON)).stat().st_size,
            written.rows,
            "",
        )
        assert last.path == str(folder / file_name(NOON))
        assert last.duration_seconds is not None

    def test_is_the_newer_of_the_schedule_and_of_the_command(self, folder: Path) -> None:
        back_up_if_due(NOON)
        LastBackup.objects.create(by=LastBackup.By.COMMAND, succeeded_at=NOON + MINUTE, path="monitor.zip")
        last = last_backup()
        assert last is not None
        assert last.path == "monitor.zip"


class TheTask:
    def test_starts_a_process_that_writes_the_backup(self, make_instance: MakeInstance, tmp_path: Path) -> None:
        folder = tmp_path / "backups"
        folder.mkdir()
        instance = make_instance(LLMMONITOR_BACKUP_DIR=str(folder), LLMMONITOR_BACKUP_PASSPHRASE="a long passphrase")
        code = (
            "from llmmonitor.backup import schedule, tasks\n"
            "tasks.back_up(); child = schedule._child; print(child.wait())\n"
            "tasks.back_up(); print(schedule._child is child)\n"
            "from llmmonitor.backup.last import last_backup; print(last_backup().path, last_backup().has_secrets)"
        )
        done = instance.manage("shell", "-v0", "-c", code)
        [path] = folder.iterdir()
        assert done.stdout.splitlines() == ["0", "True", f"{path} True"], done.stderr
        assert f"INFO llmmonitor.backup: Wrote {path}" in done.stderr

    def test_is_done_once_by_many_processes(self, make_instance: MakeInstance, tmp_path: Path) -> None:
        folder = tmp_path / "backups"
        folder.mkdir()
        instance = make_instance(LLMMONITOR_BACKUP_DIR=str(folder))
        processes = [instance.start(["manage.py", "backup", "--scheduled"]) for _ in range(4)]
        printed = [process.communicate()[0] for process in processes]
        assert [process.returncode for process in processes] == [0] * 4
        assert len(list(folder.iterdir())) == 1
        assert sorted(text.split()[0] for text in printed) == ["No", "No", "No", "Wrote"]

    @pytest.mark.full
    def test_is_run_by_a_server(self, make_server: MakeServer, tmp_path: Path) -> None:
        folder = tmp_path / "backups"
        folder.mkdir()
        server = make_server(env={"LLMMONITOR_BACKUP_DIR": str(folder)})
        until = time.monotonic() + WAIT_SECONDS
        while "INFO llmmonitor.backup: Wrote" not in server.output and time.monotonic() < until:
            time.sleep(0.2)
        assert len(list(folder.glob("*.zip"))) == 1, server.output
