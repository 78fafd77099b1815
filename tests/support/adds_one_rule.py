"""A process with eight threads that add rules with the same ids at the same time, in the database of a test.

python -m tests.support.adds_one_rule DATABASE IDS
"""

from __future__ import annotations

import os
import sys
from concurrent.futures import ThreadPoolExecutor

import django

THREADS = 8


def main(database: str, ids: list[str]) -> None:
    os.environ["DJANGO_SETTINGS_MODULE"] = "llmmonitor.settings"
    from django.conf import settings

    settings.DATABASES["default"]["NAME"] = database
    django.setup()
    from django.db import connection

    from alerts import AlertRule, alert_manager

    def add_all(number: int) -> None:
        for rule_id in ids:
            alert_manager.add_alert_rule(
                AlertRule(
                    id=rule_id, name="R", metric_type="inference", metric_name="ttft_ms", threshold=number,
                )
            )  # fmt: skip
        connection.close()

    print("ready", flush=True)
    sys.stdin.readline()  # so that the processes start together
    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(add_all, range(THREADS)))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
