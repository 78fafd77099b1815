"""A process that evaluates the rules once in a test's database. It waits for a line to begin, and again to judge.

python -m tests.support.evaluates_once DATABASE TIME
"""

from __future__ import annotations

import os
import sys
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any

import django


def main(database: str, at: datetime) -> None:
    os.environ["DJANGO_SETTINGS_MODULE"] = "llmmonitor.settings"
    from django.conf import settings

    settings.DATABASES["default"]["NAME"] = database
    django.setup()

    from alerts.evaluation import evaluate as evaluation
    from alerts.evaluation.judging import Judgement, judge
    from metrics.store.write_lock import write_lock

    def say_and_lock() -> AbstractContextManager[bool]:
        print("writing", flush=True)
        return write_lock()

    def say_and_judge(*arguments: Any) -> Judgement:
        print("judging", flush=True)
        sys.stdin.readline()
        return judge(*arguments)

    evaluation.write_lock, evaluation.judge = say_and_lock, say_and_judge  # type: ignore[assignment]
    sys.stdin.readline()
    print(len(evaluation.evaluate(at)), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], datetime.fromisoformat(sys.argv[2]))
