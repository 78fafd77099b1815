"""A filled instance with its backups, which the tests of this folder share."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.support.instances import EVERY_TABLE, Instance, MakeInstance, contents

PASSPHRASE = "a long passphrase for tests"
WITH_PASSPHRASE = {"LLMMONITOR_BACKUP_PASSPHRASE": PASSPHRASE}


@dataclass
class Source:
    """The instance with its contents at `now`, and its backups with and without secrets."""

    instance: Instance
    now: datetime
    contents: dict[str, Any]
    sealed: Path
    plain: Path


def make_source(make: MakeInstance, folder: Path, **options: Any) -> Source:
    instance = make(**options)
    instance.run(EVERY_TABLE)
    now = datetime.now(UTC)
    sealed, plain = folder / "sealed.zip", folder / "plain.zip"
    for path, env in ((sealed, WITH_PASSPHRASE), (plain, {})):
        done = instance.manage("backup", path, **env)
        assert done.returncode == 0, done.stderr
    return Source(instance, now, contents(instance, now), sealed, plain)
