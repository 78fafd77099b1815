"""Two processes of upkeep with one archive: each row is archived once and deleted."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import connection

from metrics.archive.files import files
from metrics.archive.reading import _rows
from metrics.models import InferenceMetrics
from tests.metrics.archive.stored_rows import archived, exported
from tests.metrics.store.kept import ago, record, request
from tests.support.server import ROOT

pytestmark = [pytest.mark.store, pytest.mark.django_db(transaction=True)]

SECONDS = 60
ROWS = 600
UPKEEP = f"""
import sys, time
from datetime import datetime
from pathlib import Path
import django
from django.conf import settings
settings.DATABASES["default"]["NAME"] = sys.argv[1]
django.setup()
from metrics.archive.writing import DirectoryArchive
from metrics.models import InferenceMetrics
from metrics.store.upkeep import archiving, maintenance
archiving.FILE_ROWS = 50
print("ready", flush=True)
now = datetime.fromisoformat(sys.stdin.readline().strip())
until = time.monotonic() + {SECONDS}
while InferenceMetrics.objects.exists() and time.monotonic() < until:
    maintenance.maintain(now, 0.0, archive=DirectoryArchive(Path(sys.argv[2])))
"""


class WhenTwoProcessesArchive:
    def test_each_row_is_archived_once(self, tmp_path: Path) -> None:
        record([request(ago(days=35) + timedelta(seconds=n), f"r{n:03}") for n in range(ROWS)])
        rows = exported("inference")
        command = [sys.executable, "-c", UPKEEP, str(connection.settings_dict["NAME"]), str(tmp_path)]
        env = os.environ | {"DJANGO_SETTINGS_MODULE": "llmmonitor.settings"}
        processes = [
            subprocess.Popen(command, cwd=ROOT, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            for _ in range(2)
        ]
        try:
            for process in processes:
                assert process.stdout is not None
                assert process.stdout.readline() == "ready\n"
            for process in processes:
                assert process.stdin is not None
                process.stdin.write(f"{ago().isoformat()}\n")
                process.stdin.flush()
            assert [process.wait(SECONDS) for process in processes] == [0, 0]
        finally:
            for process in processes:
                process.kill()
                process.communicate()
        assert not InferenceMetrics.objects.exists()
        assert archived(tmp_path) == rows
        written = [row for file in files(tmp_path, "inference") for row in _rows(file.path, "inference")]
        assert len(written) == ROWS
