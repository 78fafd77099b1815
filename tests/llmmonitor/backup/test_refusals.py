"""What a restore refuses, and that it has then changed nothing; also when it is killed."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest

from llmmonitor.backup.file import Reader, Writer
from llmmonitor.backup.writing import SECRETS_MEMBER
from tests.llmmonitor.backup.source import WITH_PASSPHRASE, Source
from tests.support.instances import Instance, MakeInstance
from tests.support.rounds import rounds
from tests.support.server import MakeServer

NOW = datetime(2026, 11, 30, tzinfo=UTC)


@pytest.fixture
def backup(sqlite_source: Source) -> Path:
    """A backup with secrets."""
    return sqlite_source.sealed


@pytest.fixture
def target(make_instance: MakeInstance) -> Instance:
    """A migrated instance on SQLite."""
    return make_instance()


def refused(target: Instance, path: Path, **env: str) -> str:
    """Return the sentence with which the restore is refused."""
    done = target.manage("restore", path, **env)
    assert (done.returncode, done.stdout) == (1, ""), done.stdout
    assert "Traceback" not in done.stderr
    return done.stderr


def dump(target: Instance) -> list[str]:
    """Return the whole database as statements."""
    with closing(sqlite3.connect(target.sqlite)) as connection:
        return list(connection.iterdump())


class ADamagedFile:
    @pytest.mark.parametrize("share", rounds([0.0, 0.1, 0.5, 0.9, 0.98, 0.999], always=[0.5]))
    def test_is_refused_before_anything_is_changed(
        self, share: float, backup: Path, target: Instance, tmp_path: Path
    ) -> None:
        """`test_archive.py` flips each byte of a small file."""
        before = dump(target)
        data = bytearray(backup.read_bytes())
        data[int(len(data) * share)] ^= 1
        (tmp_path / "damaged.zip").write_bytes(data)
        assert "Use another backup." in refused(target, tmp_path / "damaged.zip", **WITH_PASSPHRASE)
        assert dump(target) == before

    def test_whose_end_is_missing_is_refused(self, backup: Path, target: Instance, tmp_path: Path) -> None:
        (tmp_path / "short.zip").write_bytes(backup.read_bytes()[:-1000])
        assert "or its end is missing" in refused(target, tmp_path / "short.zip")

    def test_that_does_not_exist_is_refused(self, target: Instance, tmp_path: Path) -> None:
        assert f"There is no file {tmp_path / 'none.zip'}." in refused(target, tmp_path / "none.zip")

    def test_that_is_a_directory_is_refused(self, target: Instance, tmp_path: Path) -> None:
        assert f"{tmp_path} is not a regular file." in refused(target, tmp_path)

    def test_is_refused_before_an_instance_is_made(
        self, make_instance: MakeInstance, backup: Path, tmp_path: Path
    ) -> None:
        (tmp_path / "short.zip").write_bytes(backup.read_bytes()[:-1])
        target = make_instance(empty=True)
        refused(target, tmp_path / "short.zip")
        assert not target.sqlite.exists()


def rewrite(backup: Path, path: Path, members: Mapping[str, Sequence[bytes]] | None = None, **changes: object) -> Path:
    """Write the backup again, valid, with other lines in members and other values in the manifest."""
    with Reader(backup) as reader, Writer(path, at=NOW) as writer:
        for name, member in reader.manifest.members.items():
            lines = (members or {}).get(name, reader.lines(name))
            writer.add(name, [[line] for line in lines], member.columns)
        writer.finish(reader.manifest.model_copy(update={"members": writer.members, **changes}))
    return path


class ABackup:
    @pytest.mark.parametrize(
        ("arguments", "problem"),
        [
            (["none/monitor.zip"], "none is not a directory. Create it"),
            (["."], "is not a regular file. Choose another name."),
            ([".", "--force"], "is not a regular file. Choose another name."),
        ],
    )
    def test_that_cannot_be_written_ends_with_a_sentence(
        self, arguments: list[str], problem: str, target: Instance, tmp_path: Path
    ) -> None:
        done = target.manage("backup", tmp_path / arguments[0], *arguments[1:])
        assert (done.returncode, done.stdout) == (1, "")
        assert problem in done.stderr
        assert done.stderr.count("\n") == 1


class AFileOfAnotherSchema:
    def test_is_refused_with_the_version_that_wrote_it(self, backup: Path, target: Instance, tmp_path: Path) -> None:
        with Reader(backup) as reader:
            migrations = reader.manifest.migrations
        newer = (*migrations, ("metrics", "0099_from_the_future"))
        path = rewrite(backup, tmp_path / "newer.zip", version="9.9", migrations=newer)
        before = dump(target)
        message = refused(target, path)
        assert "was written by version 9.9 with another schema" in message
        assert "metrics.0099_from_the_future" in message
        assert dump(target) == before

    def test_is_refused_if_it_is_older(self, backup: Path, target: Instance, tmp_path: Path) -> None:
        with Reader(backup) as reader:
            migrations = reader.manifest.migrations
        path = rewrite(backup, tmp_path / "older.zip", migrations=migrations[:-1])
        assert "Restore it with that version, then update." in refused(target, path)


class AWrongPassphrase:
    def test_is_refused_before_anything_is_changed(self, backup: Path, target: Instance) -> None:
        before = dump(target)
        message = refused(target, backup, LLMMONITOR_BACKUP_PASSPHRASE="another long passphrase")
        assert "The passphrase is not the one that the backup was written with." in message
        assert dump(target) == before


class AnInstanceWithData:
    @pytest.mark.parametrize(
        ("statement", "name"),
        [
            ("INSERT INTO metrics_modelalias (name, \"group\") VALUES ('a', 'b')", "model aliases"),
            ("INSERT INTO metrics_gaugelabels VALUES (1, 'h', '', '', '', '', 0, '', '')", "gauge labels"),
        ],
    )
    def test_is_refused(self, statement: str, name: str, backup: Path, target: Instance) -> None:
        with closing(sqlite3.connect(target.sqlite)) as connection, connection:
            connection.execute(statement)
        before = dump(target)
        message = refused(target, backup)
        assert f"This instance is not empty: it has {name}." in message
        assert "Restore into a new LLMMONITOR_DATA_DIR" in message
        assert dump(target) == before

    def test_is_refused_after_its_own_restore(self, backup: Path, target: Instance) -> None:
        assert target.manage("restore", backup).returncode == 0
        assert "This instance is not empty" in refused(target, backup)


OPEN_DURING_EXCLUSIVE_USE = """
import subprocess, sys
from django.db import connection
from llmmonitor.backup.exclusive import exclusive_use
program = "import sqlite3, sys; sqlite3.connect(sys.argv[1], timeout=0).execute('SELECT * FROM auth_user')"
command = [sys.executable, "-c", program, str(connection.settings_dict["NAME"])]
with exclusive_use():
    print(subprocess.run(command, capture_output=True, text=True).stderr)
print("after:", subprocess.run(command, capture_output=True, text=True).stderr)
"""


class ADataDirectoryThatDoesNotExist:
    def test_is_made_for_its_owner_alone(self, make_instance: MakeInstance, backup: Path) -> None:
        target = make_instance(empty=True, LLMMONITOR_SECRET_KEY="k" * 50)
        target.data_dir.rmdir()
        done = target.manage("restore", backup)
        assert done.returncode == 0, done.stderr
        assert target.data_dir.stat().st_mode & 0o777 == 0o700


class AServerThatRuns:
    def test_refuses_a_restore_on_sqlite(self, make_server: MakeServer, backup: Path) -> None:
        server = make_server()
        target = Instance(server.data_dir)
        message = refused(target, backup)
        assert f"Another program uses {target.sqlite}. Stop the server" in message
        assert server.get("/health/ready").status == 200

    def test_refuses_a_restore_on_postgresql(
        self, make_instance: MakeInstance, backup: Path, postgres_url: str
    ) -> None:
        target = make_instance(database_url=postgres_url)
        with psycopg.connect(postgres_url):
            assert "1 other client uses this database of PostgreSQL" in refused(target, backup)
        assert target.manage("restore", backup).returncode == 0

    def test_cannot_open_sqlite_during_a_restore(self, target: Instance) -> None:
        done = target.manage("shell", "-v0", "-c", OPEN_DURING_EXCLUSIVE_USE)
        during, _, after = done.stdout.partition("after:")
        assert "sqlite3.OperationalError: database is locked" in during
        assert after.strip() == ""

    def test_does_not_refuse_a_backup(self, make_server: MakeServer, tmp_path: Path) -> None:
        server = make_server()
        done = Instance(server.data_dir).manage("backup", tmp_path / "monitor.zip")
        assert done.returncode == 0, done.stderr


STEPS_OF_A_BACKUP = [
    "llmmonitor.backup.file:Writer.add",
    "llmmonitor.backup.file:Writer.add*20",
    "llmmonitor.backup.file:Writer.finish",
    "llmmonitor.backup.file:_digest",
    "llmmonitor.backup.file:os.link",
]
STEPS_OF_A_RESTORE = [
    "llmmonitor.backup.restoring:_empty",
    "llmmonitor.backup.restoring:_load*20",
    "llmmonitor.backup.restoring:_raise_sequences",
    "llmmonitor.backup.restoring:_compare*25",
]
KILLED = -9


def killed(instance: Instance, step: str, *command: str | Path) -> None:
    process = instance.start(["-m", "tests.support.killed_in_backup", step, *command], **WITH_PASSPHRASE)
    output, errors = process.communicate()
    assert process.returncode == KILLED, f"it ended before {step}: {output}{errors}"


class ABackupThatIsKilled:
    @pytest.mark.parametrize("step", rounds(STEPS_OF_A_BACKUP, always=STEPS_OF_A_BACKUP[1::2]))
    def test_leaves_no_file_that_looks_complete(self, step: str, target: Instance, tmp_path: Path) -> None:
        folder = tmp_path / "backups"
        folder.mkdir()
        killed(target, step, "backup", folder / "monitor.zip")
        assert [path.name for path in folder.glob("*.zip")] == []
        partial = [path for path in folder.iterdir() if path.name.endswith(".partial")]
        assert len(partial) <= 1
        done = target.manage("backup", folder / "monitor.zip")
        assert done.returncode == 0, done.stderr


class ARestoreThatIsKilled:
    @pytest.mark.parametrize("step", rounds(STEPS_OF_A_RESTORE, always=STEPS_OF_A_RESTORE[1:2]))
    def test_leaves_the_instance_as_it_was(self, step: str, backup: Path, target: Instance) -> None:
        before = dump(target)
        killed(target, step, "restore", backup)
        assert dump(target) == before
        assert target.manage("restore", backup).returncode == 0

    @pytest.mark.parametrize("step", rounds(STEPS_OF_A_RESTORE, always=STEPS_OF_A_RESTORE[3:]))
    def test_leaves_postgresql_empty(
        self, step: str, backup: Path, make_instance: MakeInstance, postgres_url: str
    ) -> None:
        target = make_instance(database_url=postgres_url)
        killed(target, step, "restore", backup)
        with psycopg.connect(postgres_url) as connection:
            counts = connection.execute(
                "SELECT (SELECT count(*) FROM metrics_inferencemetrics), (SELECT count(*) FROM alerts_channel), "
                "(SELECT count(*) FROM auth_user), (SELECT count(*) FROM auth_group)"
            ).fetchone()
        assert counts == (0, 0, 0, 3)
        assert target.manage("restore", backup).returncode == 0


class AMember:
    @pytest.mark.parametrize(
        "line",
        [
            b'{"a":1}',
            b"[1]",
            b"",
            b"1",
            b"null",
            b"\xff",
            b"[" * 5_000,
            b'[1,"a","b","c"]',
            b'[1,{},"b"]',
            b'[18446744073709551615,"a","b"]',
        ],
    )
    def test_with_a_line_that_is_no_row_is_refused(
        self, line: bytes, backup: Path, target: Instance, tmp_path: Path
    ) -> None:
        """All checksums of the file are right."""
        path = rewrite(backup, tmp_path / "forged.zip", {"tables/metrics.ModelAlias.jsonl": [line]})
        before = dump(target)
        message = refused(target, path)
        assert (
            f"{path} is damaged in tables/metrics.ModelAlias.jsonl (" in message
            or "A row of metrics.ModelAlias cannot be stored" in message
        )
        assert dump(target) == before

    @pytest.mark.parametrize("lines", [[], [b"a", b"b"]])
    def test_of_the_secrets_with_other_lines_is_refused(
        self, lines: list[bytes], backup: Path, target: Instance, tmp_path: Path
    ) -> None:
        path = rewrite(backup, tmp_path / "forged.zip", {SECRETS_MEMBER: lines})
        assert f"is damaged in {SECRETS_MEMBER} (" in refused(target, path, **WITH_PASSPHRASE)

    def test_of_more_than_the_known_tables_is_refused(self, backup: Path, target: Instance, tmp_path: Path) -> None:
        path = tmp_path / "more.zip"
        with Reader(backup) as reader, Writer(path, at=NOW) as writer:
            for name, member in reader.manifest.members.items():
                writer.add(name, [[line] for line in reader.lines(name)], member.columns)
            writer.add("tables/metrics.Weather.jsonl", [[b"[1]"]], ["id"])
            writer.finish(reader.manifest.model_copy(update={"members": writer.members}))
        assert "with other tables" in refused(target, path)
