"""The cost of `with monitor.track(…)` and `usage` in the caller's thread, compared with a span of OpenTelemetry.

The span has the same attributes and a batch processor. Each round measures all of them, one after the other, so that a
slow moment of the machine affects all; each figure is the median of the rounds. The times include what the thread that
sends takes from the caller: LLM Monitor's compresses and posts to a server on this machine, in another process, or to
one that is away, refuses, or never answers. OpenTelemetry's gives its spans to an exporter that discards them.
"""

from __future__ import annotations

import contextlib
import logging
import statistics
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks import report
from llmmonitor import LLMMonitor

ROOT = Path(__file__).resolve().parent.parent
ROUNDS = 15
CALLS = 5_000  # of each round, and pause: fewer than the queue of either holds
PAUSE_SECONDS = 0.2
SPAN, BARE = "span of OpenTelemetry", "context manager and a deque"
SERVERS = {
    "LLM Monitor, accepting server": "accept",
    "LLM Monitor, server away": "",
    "LLM Monitor, server refuses (503)": "refuse",
    "LLM Monitor, server never answers": "never",
}
# `python -c SERVER MODE`: prints its port, then serves until it is killed.
SERVER = """
import socketserver, sys, time
mode = sys.argv[1]
class Handler(socketserver.StreamRequestHandler):
    def handle(self):
        while self.rfile.readline():
            length = 0
            while (header := self.rfile.readline()) not in (b"\\r\\n", b""):
                if header.lower().startswith(b"content-length:"):
                    length = int(header.split(b":")[1])
            self.rfile.read(length)
            if mode == "never":
                time.sleep(3600)
            body = b'{"accepted": 1, "rejected": []}' if mode == "accept" else b'{"detail": "busy"}'
            status = b"200 OK" if mode == "accept" else b"503 Busy"
            self.wfile.write(b"HTTP/1.1 %s\\r\\nContent-Length: %d\\r\\n\\r\\n%s" % (status, len(body), body))
server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
server.daemon_threads = True
print(server.server_address[1], flush=True)
server.serve_forever()
"""
# Records, and ends. Prints when it begins to end.
ENDING = """
import sys, time, logging
from llmmonitor import LLMMonitor
logging.disable()
monitor = LLMMonitor(url=sys.argv[1])
for _ in range(1_000):
    with monitor.track("llama"):
        pass
monitor.flush(1)
print(time.time())
"""

Measure = Callable[[int], None]


@contextlib.contextmanager
def running(mode: str) -> Iterator[str]:
    """Start a server in a process of its own. Yield its address; that of no server for an empty mode."""
    if not mode:
        yield "http://127.0.0.1:9"
        return
    process = subprocess.Popen([sys.executable, "-c", SERVER, mode], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
    finally:
        process.kill()
        process.wait()


def span() -> Measure:
    """Return a function that makes spans."""
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

    class Discarding(SpanExporter):
        def export(self, spans: object) -> SpanExportResult:
            return SpanExportResult.SUCCESS

    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(Discarding(), max_queue_size=4 * CALLS))
    tracer = provider.get_tracer("benchmark")

    def calls(count: int) -> None:
        for _ in range(count):
            attributes: dict[str, str | float] = {"gen_ai.request.model": "llama", "gen_ai.request.temperature": 0.2}
            with tracer.start_as_current_span("chat", attributes=attributes) as current:
                current.set_attribute("gen_ai.usage.input_tokens", 100)
                current.set_attribute("gen_ai.usage.output_tokens", 20)

    return calls


def bare() -> Measure:
    """Return a function that appends two times to a deque: the least that a context manager costs."""
    times: deque[tuple[int, int]] = deque(maxlen=CALLS)

    class Timed:
        def __enter__(self) -> None:
            self.start = time.perf_counter_ns()

        def __exit__(self, *error: object) -> None:
            times.append((self.start, time.perf_counter_ns()))

    def calls(count: int) -> None:
        for _ in range(count):
            with Timed():
                pass

    return calls


def tracked(monitor: LLMMonitor) -> Measure:
    """Return a function that records calls."""

    def calls(count: int) -> None:
        for _ in range(count):
            with monitor.track("llama", temperature=0.2) as call:
                call.usage(prompt_tokens=100, completion_tokens=20)

    return calls


def seconds_of_the_end(url: str) -> float:
    """Return how long a program that has recorded takes to end."""
    command = [sys.executable, "-c", ENDING, url]
    finished = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    return time.time() - float(finished.stdout)


def measure(quick: bool = False) -> str:
    """Return the table. `quick` runs few rounds, which only show that the benchmark works."""
    logging.getLogger("llmmonitor").setLevel(logging.ERROR)
    rounds, pause = (2, 0.05) if quick else (ROUNDS, PAUSE_SECONDS)
    with contextlib.ExitStack() as stack:
        urls = {name: stack.enter_context(running(mode)) for name, mode in SERVERS.items()}
        monitors = {name: LLMMonitor(url=url) for name, url in urls.items()}
        measured: dict[str, Measure] = {SPAN: span(), BARE: bare()}
        measured |= {name: tracked(monitor) for name, monitor in monitors.items()}
        times: dict[str, list[float]] = {name: [] for name in measured}
        for number in range(rounds + 1):
            for name, calls in measured.items():
                start = time.perf_counter()
                calls(CALLS)
                if number:  # the first round imports and connects
                    times[name].append((time.perf_counter() - start) / CALLS * 1e6)
                time.sleep(pause)  # so that the thread that sends ends its work
        counts = {name: monitor.health() for name, monitor in monitors.items()}
        ends = {name: f"{seconds_of_the_end(url):.2f}" for name, url in urls.items()}
        for monitor in monitors.values():
            monitor.close()
    medians = {name: statistics.median(values) for name, values in times.items()}
    rows = [
        (
            name,
            f"{medians[name]:.2f}",
            f"{medians[name] / medians[SPAN]:.3f}",
            f"{counts[name]['queued']:,}" if name in counts else "–",
            ends.get(name, "–"),
        )
        for name in measured
    ]
    return report.table(
        "The SDK: a tracked call compared with a span of OpenTelemetry",
        ("", "µs per call", "of a span", "events that wait", "s to end the program"),
        rows,
        [f"{rounds} rounds of {CALLS:,} calls in one thread.", report.machine()],
    )
