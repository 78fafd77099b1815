"""Many threads and processes add a rule with the same id."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.contrib.admin.models import ADDITION, LogEntry
from django.db import connection

from alerts.models import AlertRule
from tests.environment import DATA_DIR

pytestmark = [pytest.mark.store, pytest.mark.django_db(transaction=True)]

ROOT = Path(__file__).resolve().parents[2]
IDS = [f"rule-{number}" for number in range(5)]


class TheRuleOfManyWriters:
    def test_is_one_row_that_was_added_once(self) -> None:
        command = [sys.executable, "-m", "tests.support.adds_one_rule", str(connection.settings_dict["NAME"]), *IDS]
        environment = os.environ | {"LLMMONITOR_DATA_DIR": str(DATA_DIR)}
        writers = [
            subprocess.Popen(
                command, cwd=ROOT, env=environment, text=True,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            )
            for _ in range(2)
        ]  # fmt: skip
        for writer in writers:
            assert writer.stdout is not None
            assert writer.stdout.readline() == "ready\n"

        for writer in writers:
            assert writer.stdin is not None
            writer.stdin.write("go\n")
            writer.stdin.flush()
        problems = [writer.communicate()[1] for writer in writers]

        assert [writer.returncode for writer in writers] == [0, 0], problems
        assert AlertRule.objects.filter(pk__in=IDS).count() == len(IDS)
        assert LogEntry.objects.filter(object_id__in=IDS, action_flag=ADDITION).count() == len(IDS)
