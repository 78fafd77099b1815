"""`manage.py up` that is killed when it has a message about a model: while it stores the message, before it sends it,
or after the message is accepted and before this is noted.

    python -m tests.support.killed_while_sending storing|waiting|accepted MODEL
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import django
from django.core.management import execute_from_command_line

MOMENTS = ("storing", "waiting", "accepted")


def main(moment: str, model: str) -> None:
    os.environ["DJANGO_SETTINGS_MODULE"] = "llmmonitor.settings"
    django.setup()
    from alerts.delivery import outbox, sending
    from alerts.models import Delivery

    store, send, accept = outbox._store, sending._send, sending._accepted

    def die_if_about(deliveries: Iterable[Any]) -> None:
        if any(change.alert.labels["model"] == model for delivery in deliveries for change in delivery.changes.all()):
            os.kill(os.getpid(), signal.SIGKILL)

    def store_and_die(*arguments: Any) -> None:
        store(*arguments)
        die_if_about(Delivery.objects.all())

    def die_or_send(channel: Any, delivery: Any, *arguments: Any) -> bool:
        die_if_about([delivery])
        return send(channel, delivery, *arguments)

    def die_or_accept(channel: Any, delivery: Any, *arguments: Any) -> None:
        die_if_about([delivery])
        accept(channel, delivery, *arguments)

    if moment == "storing":
        outbox._store = store_and_die
    elif moment == "waiting":
        sending._send = die_or_send
    else:
        sending._accepted = die_or_accept
    sending.LEASE = timedelta(seconds=1)  # so that the next process need not wait
    execute_from_command_line(["manage.py", "up"])


if __name__ == "__main__":
    main(*sys.argv[1:])
