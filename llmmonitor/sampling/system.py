"""One machine's figures at this moment: CPU, memory, disk, network, load, and what the monitor itself costs.

The figures are psutil's, except inside a container that limits memory or CPU below the machine's: there they are of
the container (`cgroup.py`), so that 100 % means what it means to the process that gets killed. Percentages of CPU are
over the time since the sample before. They are computed here from counters, not by `psutil.cpu_percent`, which keeps
its state per thread: called from a pool of threads it answers 0.0 whenever it meets a thread for the first time.

A field that cannot be read is None, and the reason is logged once. GB is 2**30 bytes, MB 2**20.
"""

from __future__ import annotations

import logging
import os
import platform
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import psutil

from llmmonitor.sampling.cgroup import CGROUP_ROOT, PROC_ROOT, Cgroup

logger = logging.getLogger(__name__)

GB = 2**30
MB = 2**20

T = TypeVar("T")


class SystemSampler:
    """Takes samples of this machine; keeps the counters of the sample before, so one instance serves one reader.

    `host` is the name to report (the machine's own when None), `data_dir` chooses the filesystem for `disk_percent`,
    `process` is the monitor's own process. Threads may share an instance; after a fork the child reports on itself.
    """

    def __init__(
        self,
        *,
        host: str | None = None,
        data_dir: Path | str = ".",
        process: psutil.Process | None = None,
        clock: Callable[[], float] = time.monotonic,
        cgroup_root: Path = CGROUP_ROOT,
        proc_root: Path = PROC_ROOT,
    ) -> None:
        self.host = host or socket.gethostname()
        self.data_dir = Path(data_dir)
        self._clock = clock
        self._cgroup = Cgroup(cgroup_root, proc_root)
        self._lock = threading.Lock()
        self._complained: set[str] = set()
        self._given_process = process
        self._own_process: psutil.Process | None = process
        self._own_pid = os.getpid()
        self._host_cpu = _Counters()
        self._container_cpu = _Rate()
        self._monitor_cpu = _Rate()
        # The first look, so that the first sample has something to subtract.
        self._cpu_fields()
        self._monitor_fields()

    def sample(self) -> dict[str, Any]:
        """The machine's fields, GPUs left out. Never raises; what cannot be read is None.

        cpu_percent (0…100 of what may be used), cpu_count (cores that may be used; 1.5 under a quota of one and a
        half), per_core_percent (list; the machine's cores, also in a container), memory_percent, memory_used_gb,
        memory_total_gb (used is total less available), swap_percent (the machine's), disk_percent (of `data_dir`'s
        filesystem), disk_read_bytes, disk_write_bytes, network_bytes_sent, network_bytes_recv (totals since boot, all
        interfaces), load_average ([1, 5, 15 min]), host, platform, monitor_cpu_percent (of one core),
        monitor_memory_mb (resident).
        """
        with self._lock:
            return {
                "host": self.host,
                "platform": self._try("platform", platform.system),
                **self._cpu_fields(),
                **self._memory_fields(),
                **self._disk_fields(),
                **self._network_fields(),
                "load_average": self._try("load_average", lambda: [float(load) for load in psutil.getloadavg()]),
                **self._monitor_fields(),
            }

    def _cpu_fields(self) -> dict[str, Any]:
        at = self._clock()
        times = self._try("cpu_percent", lambda: [_busy_and_total(core) for core in psutil.cpu_times(percpu=True)])
        overall, per_core = self._host_cpu.percent(times)
        cores = self._try("cpu_count", lambda: psutil.cpu_count(logical=True))
        limit = self._try("cpu_limit", lambda: self._cgroup.cpu(cores or float("inf")))
        if limit is not None:
            share = self._container_cpu.per_second(at, limit.usage_seconds)
            # A burst above the quota is lent by the kernel and paid back in the next period: 100 is the top.
            overall = None if share is None else min(100.0, 100.0 * share / limit.cores)
        return {
            "cpu_percent": _rounded(overall, 2),
            "cpu_count": round(limit.cores, 3) if limit is not None else None if cores is None else float(cores),
            "per_core_percent": None if per_core is None else [round(core, 1) for core in per_core],
        }

    def _memory_fields(self) -> dict[str, Any]:
        memory = self._try("memory_percent", psutil.virtual_memory)
        used = total = None
        if memory is not None:
            used, total = memory.total - memory.available, memory.total
        limit = self._try("memory_limit", lambda: self._cgroup.memory(total if total is not None else 2**62))
        if limit is not None:
            used, total = limit.used_bytes, limit.limit_bytes
        return {
            "memory_percent": _rounded(100.0 * used / total, 2) if used is not None and total else None,
            "memory_used_gb": None if used is None else round(used / GB, 3),
            "memory_total_gb": None if total is None else round(total / GB, 3),
            "swap_percent": self._try("swap_percent", lambda: float(psutil.swap_memory().percent)),
        }

    def _disk_fields(self) -> dict[str, Any]:
        # None on machines without block devices of their own, as in some containers.
        io = self._try("disk_read_bytes", psutil.disk_io_counters)
        return {
            "disk_percent": self._try("disk_percent", self._disk_percent),
            "disk_read_bytes": None if io is None else int(io.read_bytes),
            "disk_write_bytes": None if io is None else int(io.write_bytes),
        }

    def _disk_percent(self) -> float:
        # Before the data directory is made, the nearest directory above it tells the filesystem.
        path = self.data_dir.absolute()
        existing = next((place for place in (path, *path.parents) if place.exists()), path)
        return float(psutil.disk_usage(str(existing)).percent)

    def _network_fields(self) -> dict[str, Any]:
        io = self._try("network_bytes_sent", psutil.net_io_counters)
        return {
            "network_bytes_sent": None if io is None else int(io.bytes_sent),
            "network_bytes_recv": None if io is None else int(io.bytes_recv),
        }

    def _monitor_fields(self) -> dict[str, Any]:
        if self._own_process is None or self._own_pid != os.getpid():
            self._own_pid = os.getpid()
            self._own_process = self._given_process or self._try("monitor_process", psutil.Process)
            self._monitor_cpu = _Rate()
        process = self._own_process
        if process is None:
            return {"monitor_cpu_percent": None, "monitor_memory_mb": None}
        at = self._clock()
        times = self._try("monitor_cpu_percent", process.cpu_times)
        share = None if times is None else self._monitor_cpu.per_second(at, times.user + times.system)
        rss = self._try("monitor_memory_mb", lambda: process.memory_info().rss)
        return {
            "monitor_cpu_percent": None if share is None else round(100.0 * share, 2),
            "monitor_memory_mb": None if rss is None else round(rss / MB, 1),
        }

    def _try(self, what: str, read: Callable[[], T]) -> T | None:
        try:
            return read()
        # Everything: psutil raises its own errors, OSError, NotImplementedError, and what a hardened /proc makes of its
        # parsers (IndexError, ValueError). One unreadable figure must not cost the others.
        except Exception as error:  # noqa: BLE001
            if what not in self._complained:
                self._complained.add(what)
                logger.info("%s cannot be read on this machine and stays empty: %r", what, error)
            return None


class _Counters:
    """Busy share of each core between two looks at its (busy, total) seconds."""

    def __init__(self) -> None:
        self._before: list[tuple[float, float]] | None = None
        self._last: tuple[float | None, list[float] | None] = (None, None)

    def percent(self, now: list[tuple[float, float]] | None) -> tuple[float | None, list[float] | None]:
        """(overall, per core) since the look before; (None, None) at the first, after a failed one, when cores change.

        The kernel counts in steps of 10 ms: when none has passed, the answer before is repeated.
        """
        before = self._before
        if now is None or before is None or len(before) != len(now):
            self._before, self._last = now, (None, None)
            return self._last
        deltas = [(busy - busy0, total - total0) for (busy, total), (busy0, total0) in zip(now, before, strict=True)]
        total = sum(passed for _, passed in deltas)
        if total <= 0:
            return self._last
        self._before = now
        self._last = (
            _percent(sum(busy for busy, _ in deltas), total),
            [_percent(busy, passed) if passed > 0 else 0.0 for busy, passed in deltas],
        )
        return self._last


class _Rate:
    """Increase per second of one counter between two looks at it."""

    def __init__(self) -> None:
        self._before: tuple[float, float] | None = None
        self._last: float | None = None

    def per_second(self, at: float, value: float) -> float | None:
        """Increase per second since the look before; None at the first look and after the counter went back."""
        before = self._before
        if before is not None and at <= before[0]:
            return self._last
        self._before = at, value
        if before is None or value < before[1]:
            self._last = None
        else:
            self._last = (value - before[1]) / (at - before[0])
        return self._last


def _busy_and_total(times: Any) -> tuple[float, float]:
    """Seconds busy and in all of one core. Waiting for a disk is idle; Linux has guests' time in `user` too."""
    total = sum(times) - getattr(times, "guest", 0.0) - getattr(times, "guest_nice", 0.0)
    return total - times.idle - getattr(times, "iowait", 0.0), total


def _percent(part: float, whole: float) -> float:
    return min(100.0, max(0.0, 100.0 * part / whole))  # the kernel's idle counters step back by a tick now and then


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)
