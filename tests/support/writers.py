"""Writers that commit while a test changes what is stored."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from datetime import datetime

from django.db import connection

from metrics.store.writing.transaction import Store

LONGEST_SECONDS = 60


@contextmanager
def two_writers(commit: Callable[[Store, int], object], now: datetime) -> Iterator[Callable[[int], None]]:
    """Two writers with stores of their own call `commit` with number after number, until the end of the block.

    Gives a function that waits for so many more calls.
    """
    stop = threading.Event()
    commits = threading.Condition()
    done = 0

    def write(number: int) -> None:
        nonlocal done
        with closing(connection):
            store = Store(clock=lambda: now)
            while not stop.is_set():
                commit(store, number)
                number += 2
                with commits:
                    done += 1
                    commits.notify_all()

    def wait_for(more: int) -> None:
        with commits:
            until = done + more
            assert commits.wait_for(lambda: done >= until, LONGEST_SECONDS)

    with ThreadPoolExecutor(2) as pool:
        writers = [pool.submit(write, number) for number in range(2)]
        try:
            yield wait_for
        finally:
            stop.set()
        for writer in writers:
            writer.result(LONGEST_SECONDS)
