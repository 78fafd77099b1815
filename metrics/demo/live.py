"""Goes on with the demo workload second by second, over HTTP, like any client."""

from __future__ import annotations

import time
from collections.abc import Callable

from metrics.demo.workload import Workload
from metrics.sending import Sender


def send(
    workload: Workload,
    sender: Sender,
    go_on: Callable[[], bool],
    *,
    clock: Callable[[], float] = time.time,
    sleep: Callable[[float], None] = time.sleep,
) -> int:
    """Send each second's events when it has passed, until `go_on` says no; how many requests were sent.

    A pause (a sleeping laptop, a stopped server) is skipped, not caught up.
    """
    sent = 0
    done = float(int(clock()))
    while go_on():
        now = float(int(clock()))
        if now <= done:
            sleep(done + 1 - clock() if done + 1 > clock() else 0.05)
            continue
        done = max(done, now - 10)
        requests = workload.requests(done, now)
        if requests:
            sender.post("/track/inference", requests)
            sent += len(requests)
        sender.post("/track/system", workload.system(done, now, step=1))
        queues = workload.queues(done, now, step=1)
        if queues:
            sender.post("/track/queue", queues)
        done = now
    return sent
