"""Two processes that write to one database at once, with the same events: each is stored once, and both are told so."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from metrics.models import ErrorMetrics, InferenceMetrics, RecentId
from tests.metrics.store.stored import assert_raw_and_rollups_agree, requests

pytestmark = [pytest.mark.store, pytest.mark.django_db(transaction=True)]

CHECKOUT = Path(__file__).resolve().parents[3]
SECONDS = 60
BATCHES, SIZE = 12, 50

# Each batch: stamped and unstamped requests, failed ones among them, and the errors of some of these, in another batch.
WRITER = f"""
import json, sys
from datetime import UTC, datetime, timedelta
import django
from django.conf import settings
settings.DATABASES["default"]["NAME"] = sys.argv[1]
django.setup()
from metrics.events import ErrorEvent, InferenceEvent
from metrics.ingest.recorder import close_recorder, get_recorder

def event(batch, n, start):
    at, name = start + timedelta(milliseconds=batch * 70 + n), f"{{batch}}-{{n}}"
    if n % 5 == 1:
        return ErrorEvent(timestamp=at, request_id=f"{{(batch + 5) % {BATCHES}}}-{{n - 1}}", error_type="E")
    return InferenceEvent(
        timestamp=at,
        stamped=n % 5 != 2,
        request_id=name,
        model_name=f"model-{{(batch * 7 + n) % 15}}",
        success=n % 10 != 0,
        response_time_ms=1000.0 + n,
    )

print("ready", flush=True)
start = datetime.fromisoformat(sys.stdin.readline().strip())
order = range({BATCHES}) if sys.argv[2] == "up" else reversed(range({BATCHES}))
recorder, futures = get_recorder(), []
for batch in order:
    futures.append(recorder.submit([event(batch, n, start) for n in range({SIZE})]))
    if len(futures) % 3 == 0:  # some wait for each other, some go together
        futures[-1].result({SECONDS})
results = [future.result({SECONDS}) for future in futures]
print(json.dumps([sum(one.accepted for one in results), sum(one.duplicates for one in results)]))
close_recorder(5)
"""


def writer(direction: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(connection.settings_dict["NAME"]), direction],
        cwd=CHECKOUT,
        env=os.environ | {"DJANGO_SETTINGS_MODULE": "llmmonitor.settings"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


class TheSameEventsFromTwoProcesses:
    def test_are_stored_once_and_answered_as_duplicates_to_one_of_them(self) -> None:
        writers = [writer("up"), writer("down")]
        try:
            for one in writers:
                assert one.stdout is not None
                assert one.stdout.readline() == "ready\n"
            answers: list[Any] = []
            start = datetime.now(UTC).replace(microsecond=0).isoformat()
            for one in writers:
                assert one.stdin is not None
                one.stdin.write(f"{start}\n")
                one.stdin.flush()
            for one in writers:
                output, _ = one.communicate(timeout=SECONDS)
                assert one.returncode == 0
                answers.append(json.loads(output))
        finally:
            for one in writers:
                one.kill()
                one.wait()
        sent = BATCHES * SIZE
        assert [sum(answer) for answer in answers] == [sent, sent]
        assert sum(accepted for accepted, _ in answers) == sent
        assert InferenceMetrics.objects.count() + ErrorMetrics.objects.count() == sent
        assert RecentId.objects.count() == sent / 5
        assert not ErrorMetrics.objects.filter(counted_outcome=None, request_id__endswith="-5").exists()
        counted = ErrorMetrics.objects.exclude(counted_outcome=None).count()
        assert requests() == InferenceMetrics.objects.count() + counted
        assert_raw_and_rollups_agree()
