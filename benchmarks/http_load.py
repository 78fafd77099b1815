"""A load generator for single posts, in its own process: `python benchmarks/http_load.py PORT CONNECTIONS SECONDS`.

Each connection stays open and sends its next post when the response to the last one has arrived. The posts are prepared
before the clock starts, and a response is only searched for its length, so that the generator takes little CPU. It
prints the number of responses, the seconds, and the median response time in milliseconds, as JSON.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import statistics
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson

MAX_POSTS = 20_000  # prepared for one run; more than a server handles in two seconds
PER_SECOND = 1_000.0  # by their timestamps
LENGTH = b"content-length: "


class Connection(asyncio.Protocol):
    """Sends one post after another until the time is up or no post is left."""

    def __init__(self, posts: Iterator[bytes], until: float, seconds: list[float]) -> None:
        self.posts, self.until, self.seconds = posts, until, seconds
        self.done = asyncio.get_running_loop().create_future()
        self.received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.send()

    def send(self) -> None:
        self.begin = time.perf_counter()
        post = next(self.posts, None) if self.begin < self.until else None
        if post is None:
            self.transport.close()
        else:
            self.transport.write(post)

    def data_received(self, data: bytes) -> None:
        self.received += data
        head, found, body = self.received.partition(b"\r\n\r\n")
        if not found:
            return
        start = head.lower().index(LENGTH) + len(LENGTH)
        if len(body) < int(head[start:].split(b"\r\n", 1)[0]):
            return
        if not head.startswith(b"HTTP/1.1 200"):
            self.done.set_exception(RuntimeError(self.received.decode(errors="replace")))
            return
        self.received = b""
        self.seconds.append(time.perf_counter() - self.begin)
        self.send()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.done.done():
            self.done.set_result(None)


def posts(port: int) -> list[bytes]:
    """Return HTTP requests with one event each, as a client sends them: with an id and a time."""
    from benchmarks import workload

    begin = datetime.now(UTC) - timedelta(seconds=MAX_POSTS / PER_SECOND)
    head = b"POST /track/inference HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUser-Agent: bench\r\nAccept: */*\r\n"
    head = head % port + b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
    bodies = map(orjson.dumps, workload.requests(MAX_POSTS, begin, PER_SECOND, secrets.randbits(32)))
    return [head % (len(body), body) for body in bodies]


async def run(port: int, connections: int, seconds: float) -> dict[str, float]:
    """Send posts for some seconds. Return the figures. Raise RuntimeError for a response other than 200."""
    waiting = iter(posts(port))
    response_seconds: list[float] = []
    loop = asyncio.get_running_loop()
    begin = time.perf_counter()
    until = begin + seconds
    opened = await asyncio.gather(
        *(
            loop.create_connection(lambda: Connection(waiting, until, response_seconds), "127.0.0.1", port)
            for _ in range(connections)
        )
    )
    await asyncio.gather(*(connection.done for _, connection in opened))
    return {
        "responses": len(response_seconds),
        "seconds": time.perf_counter() - begin,
        "p50_ms": statistics.median(response_seconds) * 1000,
    }


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    print(json.dumps(asyncio.run(run(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])))))
