"""A backup that is restored is the same store, on either database, compared by other code than that which wrote it."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from llmmonitor.backup import tables
from llmmonitor.backup.file import Reader
from llmmonitor.backup.secrets import unseal
from llmmonitor.backup.writing import SECRETS_MEMBER
from tests import services
from tests.conftest import require
from tests.llmmonitor.backup.source import PASSPHRASE, WITH_PASSPHRASE, Source, make_source
from tests.support.every_table import CHANNEL_SECRET, EVERY_SECRET, KEY, PASSWORD
from tests.support.instances import EVERY_TABLE, Instance, MakeInstance, contents
from tests.support.rounds import rounds


@pytest.fixture(scope="module")
def postgres_source(make_module_instance: MakeInstance, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Source]:
    with services.postgres_database("llmmonitor_backup_source") as database:
        yield make_source(make_module_instance, tmp_path_factory.mktemp("postgres"), database_url=require(database))


def restore(target: Instance, file: Path, **env: str) -> str:
    """Restore the file and return what the command printed."""
    done = target.manage("restore", file, **env)
    assert done.returncode == 0, done.stderr
    return done.stdout


def differences(source: Source, target: Instance) -> dict[str, Any]:
    """Return the rows of each table, the secrets and the figures that differ."""
    restored = contents(target, source.now)
    restored_rows = without_omitted(restored["rows"])
    found = {
        label: [pair for pair in zip(rows, restored_rows[label], strict=True) if pair[0] != pair[1]]
        for label, rows in without_omitted(source.contents["rows"]).items()
    }
    found |= {part: (source.contents[part], restored[part]) for part in ("secrets", "figures")
              if source.contents[part] != restored[part]}  # fmt: skip
    return {name: what for name, what in found.items() if what}


def without_omitted(rows: dict[str, list[dict[str, Any]]]) -> dict[str, list[dict[str, Any]]]:
    """Return the stored tables, without the columns that are not stored or are encrypted with another key."""
    ignored = {label: set(columns) for label, columns in tables.OMITTED_COLUMNS.items()}
    ignored["alerts.Channel"].add("secrets")
    for label, columns in ignored.items():
        for row in rows[label]:
            row.update(dict.fromkeys(columns))
    return {label: rows[label] for label in tables.STORED}


class TheSource:
    def test_has_rows_in_every_table(self, sqlite_source: Source) -> None:
        rows = sqlite_source.contents["rows"]
        assert [label for label in [*tables.STORED, *tables.OMITTED] if not rows[label]] == []

    def test_has_figures(self, sqlite_source: Source) -> None:
        figures = sqlite_source.contents["figures"]
        assert figures["summary"]["total_requests"] > 100
        assert all(figures["histograms"][name]["count"] for name in figures["histograms"])
        assert all(any(value is not None for _, value in line["points"]) for line in figures["series"]["series"])


class ABackupWithSecrets:
    def test_is_restored_from_sqlite_to_postgresql(
        self, sqlite_source: Source, make_instance: MakeInstance, postgres_url: str
    ) -> None:
        target = make_instance(database_url=postgres_url)
        restore(target, sqlite_source.sealed, **WITH_PASSPHRASE)
        assert differences(sqlite_source, target) == {}

    def test_is_restored_from_postgresql_to_sqlite(self, postgres_source: Source, make_instance: MakeInstance) -> None:
        target = make_instance(empty=True)
        restore(target, postgres_source.sealed, **WITH_PASSPHRASE)
        assert differences(postgres_source, target) == {}

    @pytest.mark.full
    def test_is_restored_from_postgresql_to_postgresql(
        self, postgres_source: Source, make_instance: MakeInstance, postgres_url: str
    ) -> None:
        target = make_instance(database_url=postgres_url)
        restore(target, postgres_source.sealed, **WITH_PASSPHRASE)
        assert differences(postgres_source, target) == {}

    def test_is_restored_from_sqlite_to_sqlite_in_place_of_what_set_up_has_stored(
        self, sqlite_source: Source, make_instance: MakeInstance
    ) -> None:
        target = make_instance()  # migrated: default rules, groups, permissions
        made = "from llmmonitor.access.first_admin import ensure_admin; ensure_admin()"
        assert target.manage("shell", "-v0", "-c", made).returncode == 0
        restore(target, sqlite_source.sealed, **WITH_PASSPHRASE)
        assert differences(sqlite_source, target) == {}

    def test_shows_none_of_them(self, sqlite_source: Source) -> None:
        text = all_text(sqlite_source.sealed)
        assert [secret for secret in EVERY_SECRET if secret in text] == []

    @pytest.mark.parametrize("on_postgres", rounds([False, True], always=[True]))
    def test_leaves_room_for_new_rows(
        self, on_postgres: bool, sqlite_source: Source, make_instance: MakeInstance, request: pytest.FixtureRequest
    ) -> None:
        """The sequences continue above the restored ids; logins, keys and rules of the source work."""
        url = request.getfixturevalue("postgres_url") if on_postgres else ""
        target = make_instance(database_url=url, empty=True)
        restore(target, sqlite_source.sealed, **WITH_PASSPHRASE)
        code = f"""
from datetime import UTC, datetime
from django.apps import apps
from django.contrib.auth import authenticate
from django.db.models import AutoField, Max
from llmmonitor.access.keys import find_key
from llmmonitor.backup import tables
from llmmonitor.backup.file import Reader
from llmmonitor.backup.secrets import unseal
from llmmonitor.backup.writing import SECRETS_MEMBER
from metrics.models import Annotation, ModelAlias
assert authenticate(username="ada", password={PASSWORD!r}).email == "ada@example.org"
assert find_key({KEY!r}, datetime.now(UTC)).name == "gpu-1"
highest = Annotation.objects.aggregate(id=Max("id"))["id"]
assert Annotation.objects.create(at=datetime.now(UTC), kind="note", text="new").pk > highest
assert ModelAlias.objects.create(name="a", group="b").pk > 1
"""
        done = target.manage("shell", "-v0", "-c", code)
        assert done.returncode == 0, done.stderr
        restarted = target.manage("migrate", "--check")
        assert restarted.returncode == 0


class ABackupWithoutSecrets:
    def test_has_none_in_any_form(self, sqlite_source: Source) -> None:
        text = all_text(sqlite_source.plain)
        stored = sqlite_source.contents["rows"]
        hashes = [row["password"] for row in stored["auth.User"]] + [row["hash"] for row in stored["access.APIKey"]]
        encrypted = [channel["secrets"] for channel in stored["alerts.Channel"] if channel["secrets"]]
        assert len(hashes) >= 3
        assert [secret for secret in (*EVERY_SECRET, *hashes, *encrypted) if secret in text] == []

    def test_restores_users_without_a_password_channels_without_secrets_and_no_keys(
        self, sqlite_source: Source, make_instance: MakeInstance
    ) -> None:
        target = make_instance(empty=True)
        printed = restore(target, sqlite_source.plain)
        assert "The backup has no secrets. Set them again" in printed
        check_without_secrets(sqlite_source, target)

    def test_says_so_when_it_is_written(self, sqlite_source: Source, tmp_path: Path) -> None:
        done = sqlite_source.instance.manage("backup", tmp_path / "b.zip")
        assert "It has no secrets: no passwords, API keys or secret settings of channels." in done.stdout


class ABackupWithSecretsThatIsRestoredWithoutThePassphrase:
    def test_leaves_them_empty(self, sqlite_source: Source, make_instance: MakeInstance) -> None:
        target = make_instance(empty=True)
        assert "No passphrase was given. Set them again" in restore(target, sqlite_source.sealed)
        check_without_secrets(sqlite_source, target)


def check_without_secrets(source: Source, target: Instance) -> None:
    restored = contents(target, source.now)
    assert restored["figures"] == source.contents["figures"]
    users = restored["rows"]["auth.User"]
    assert {user["username"] for user in users} >= {"admin", "ada"}
    assert all(user["password"].startswith("!") for user in users)
    assert set(restored["secrets"]) == {"b-hook", "ba"}
    assert not any(restored["secrets"].values())
    assert restored["rows"]["access.APIKey"] == []
    stored = source.contents["rows"]
    for label in set(tables.STORED) - set(tables.SECRET_COLUMNS):
        assert restored["rows"][label] == stored[label], label


def all_text(path: Path) -> str:
    with zipfile.ZipFile(path) as archive:
        return "".join(archive.read(name).decode() for name in archive.namelist())


class AMember:
    def test_has_a_line_for_each_row_with_the_columns_of_the_manifest(self, sqlite_source: Source) -> None:
        with zipfile.ZipFile(sqlite_source.plain) as archive:
            manifest = json.loads(archive.read("manifest.json"))
            lines = archive.read("tables/auth.User.jsonl").splitlines()
        columns = manifest["members"]["tables/auth.User.jsonl"]["columns"]
        users = [dict(zip(columns, json.loads(line), strict=True)) for line in lines]
        assert [user["first_name"] for user in users if user["username"] == "ada"] == ["Ada „ü“"]
        assert manifest["database"] == "sqlite"
        assert ["metrics", "0001_initial"] in manifest["migrations"]

    def test_has_what_json_cannot_express_as_text(self, sqlite_source: Source) -> None:
        text = all_text(sqlite_source.plain)
        assert '"Infinity"' in text
        assert '"-Infinity"' in text


class TheSecretsOfAChannel:
    def test_that_the_instance_cannot_decrypt_are_reported_by_name(
        self, make_instance: MakeInstance, tmp_path: Path
    ) -> None:
        instance = make_instance()
        instance.run(EVERY_TABLE, "20")
        (instance.data_dir / "secret_key").unlink()
        done = instance.manage("backup", tmp_path / "b.zip", **WITH_PASSPHRASE)
        assert done.returncode == 0, done.stderr
        assert "encrypted with another LLMMONITOR_SECRET_KEY: alerts.Channel b-hook." in done.stdout
        target = make_instance(empty=True)
        restore(target, tmp_path / "b.zip", **WITH_PASSPHRASE)
        assert contents(target, datetime.now(UTC))["secrets"] == {"ba": {}, "b-hook": {}}


class ThePassphrase:
    def test_is_read_from_a_file(self, sqlite_source: Source, tmp_path: Path) -> None:
        (tmp_path / "passphrase").write_text(f"{PASSPHRASE}\n")
        path = tmp_path / "monitor.zip"
        done = sqlite_source.instance.manage("backup", path, "--passphrase-file", tmp_path / "passphrase")
        assert "Its secrets are encrypted with the passphrase." in done.stdout
        with Reader(path) as reader:
            [line] = reader.lines(SECRETS_MEMBER)
            secrets = unseal(line, PASSPHRASE, str(reader.manifest.salt))
        assert secrets["alerts.Channel"]["b-hook"]["url"] == CHANNEL_SECRET

    def test_that_is_too_short_is_refused(self, sqlite_source: Source, tmp_path: Path) -> None:
        (tmp_path / "short").write_text("short\n")
        done = sqlite_source.instance.manage("backup", tmp_path / "b.zip", "--passphrase-file", tmp_path / "short")
        assert (done.returncode, "The passphrase has 5 characters: expected 12 or more." in done.stderr) == (1, True)
        done = sqlite_source.instance.manage("backup", tmp_path / "b.zip", LLMMONITOR_BACKUP_PASSPHRASE="short")
        assert "LLMMONITOR_BACKUP_PASSPHRASE=…: expected 12 characters or more" in done.stderr
        assert not (tmp_path / "b.zip").exists()
