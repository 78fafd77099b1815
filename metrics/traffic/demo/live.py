"""Send the present of the demo workload second by second over HTTP."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from metrics.traffic.demo.workload import Workload
from metrics.traffic.sender import Sender, SendingFailed

CAUGHT_UP_SECONDS = 120.0  # sent in one step, and at most after a long sleep


class Live:
    """Sends the events of each second after the end of a workload, once.

    Seconds that passed during other work are sent later. Of a long sleep (of a laptop, for example) only the end is
    sent.
    """

    def __init__(
        self,
        workload: Workload,
        sender: Sender,
        *,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.sent = 0  # requests
        self._workload = workload
        self._sender = sender
        self._clock = clock
        self._sleep = sleep
        self._done = workload.end.timestamp()
        self._rejected = False

    def run(self, wanted: Callable[[], bool]) -> None:
        """Send the events of each second after it has passed, until `wanted` returns False. Raises SendingFailed."""
        while wanted():
            now = self._now()
            if self._done < now:
                self._catch_up(now)
            else:
                self._sleep(max(0.05, self._done + 1 - self._clock()))
                self._done = max(self._done, self._now() - CAUGHT_UP_SECONDS)

    def send_due(self) -> None:
        """Send the events that are due, between two steps of other work. `run` reports what fails here."""
        now = self._now()
        try:
            while self._done < now and not self._rejected:
                self._catch_up(now)
        except SendingFailed:
            self._rejected = True

    def _now(self) -> float:
        return float(int(self._clock()))

    def _catch_up(self, now: float) -> None:
        """Send the events of up to CAUGHT_UP_SECONDS of the time that has passed."""
        end = min(now, self._done + CAUGHT_UP_SECONDS)
        seconds = [self._done + n for n in range(int(end - self._done))]
        for path, make in (
            ("/track/inference", self._workload.requests),
            ("/track/system", lambda start, end: self._workload.system(start, end, step=1)),
            ("/track/queue", lambda start, end: self._workload.queues(start, end, step=1)),
        ):
            events: list[dict[str, Any]] = [event for start in seconds for event in make(start, start + 1)]
            if events:
                self._sender.post(path, events)
                self.sent += len(events) if path == "/track/inference" else 0
        self._done = end
