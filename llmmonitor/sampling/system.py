"""The sample of a host: CPU, memory, disk, network, load, and the CPU and memory of LLM Monitor itself.

The values come from psutil. Inside a container with a lower limit on memory or CPU, they are those of the container
(`cgroup.py`), so that 100 % is the point at which the kernel kills or throttles its processes. CPU percentages cover
the time since the previous sample. They are computed here from counters, because `psutil.cpu_percent` keeps its state
per thread: in a thread pool, it returns 0.0 on the first call of each thread.

A field that cannot be read is None, and the reason is logged once. Units: fields in `_gb` are GiB, `_mb` are MiB.
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

GIB = 2**30
MIB = 2**20

T = TypeVar("T")


class SystemSampler:
    """Samples this host. It keeps the counters of the previous sample, so each reader needs its own instance.

    `host` is the name to report (by default the host name), `data_dir` selects the filesystem of `disk_percent`, and
    `process` is the process of LLM Monitor (by default this one). Threads may share an instance. After a fork, the
    child reports its own process.
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
        self._logged: set[str] = set()
        self._process_argument = process
        self._process: psutil.Process | None = process
        self._pid = os.getpid()
        self._host_cpu = _CPUCounters()
        self._container_cpu = _Rate()
        self._monitor_cpu = _Rate()
        # The first readings, so that the first sample has values to subtract.
        self._cpu_fields()
        self._monitor_fields()

    def sample(self) -> dict[str, Any]:
        """Return the fields of the host, without GPUs. Never raises; a field that cannot be read is None.

        cpu_percent (0…100 of the usable cores), cpu_count (usable cores; 1.5 for a quota of 150 %), per_core_percent
        (list; all cores of the host, also in a container), memory_percent, memory_used_gb, memory_total_gb (used is
        total minus available), swap_percent (of the host), disk_percent (of the filesystem of `data_dir`),
        disk_read_bytes, disk_write_bytes, network_bytes_sent, network_bytes_recv (totals since boot, all interfaces),
        load_average ([1, 5, 15 min]), host, platform, monitor_cpu_percent (of one core), monitor_memory_mb (resident).
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
            # The kernel allows short bursts above the quota, so the value is limited to 100.
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
            "memory_used_gb": None if used is None else round(used / GIB, 3),
            "memory_total_gb": None if total is None else round(total / GIB, 3),
            "swap_percent": self._try("swap_percent", lambda: float(psutil.swap_memory().percent)),
        }

    def _disk_fields(self) -> dict[str, Any]:
        # psutil returns None without block devices, as in some containers.
        io = self._try("disk_read_bytes", psutil.disk_io_counters)
        return {
            "disk_percent": self._try("disk_percent", self._disk_percent),
            "disk_read_bytes": None if io is None else int(io.read_bytes),
            "disk_write_bytes": None if io is None else int(io.write_bytes),
        }

    def _disk_percent(self) -> float:
        # If the data directory does not exist yet, its nearest existing parent is on the same filesystem.
        path = self.data_dir.absolute()
        existing = next((directory for directory in (path, *path.parents) if directory.exists()), path)
        return float(psutil.disk_usage(str(existing)).percent)

    def _network_fields(self) -> dict[str, Any]:
        io = self._try("network_bytes_sent", psutil.net_io_counters)
        return {
            "network_bytes_sent": None if io is None else int(io.bytes_sent),
            "network_bytes_recv": None if io is None else int(io.bytes_recv),
        }

    def _monitor_fields(self) -> dict[str, Any]:
        if self._process is None or self._pid != os.getpid():
            self._pid = os.getpid()
            self._process = self._process_argument or self._try("monitor_process", psutil.Process)
            self._monitor_cpu = _Rate()
        process = self._process
        if process is None:
            return {"monitor_cpu_percent": None, "monitor_memory_mb": None}
        at = self._clock()
        times = self._try("monitor_cpu_percent", process.cpu_times)
        share = None if times is None else self._monitor_cpu.per_second(at, times.user + times.system)
        rss = self._try("monitor_memory_mb", lambda: process.memory_info().rss)
        return {
            "monitor_cpu_percent": None if share is None else round(100.0 * share, 2),
            "monitor_memory_mb": None if rss is None else round(rss / MIB, 1),
        }

    def _try(self, name: str, read: Callable[[], T]) -> T | None:
        try:
            return read()
        # psutil raises its own errors, OSError, NotImplementedError, and IndexError or ValueError if /proc is hardened.
        # One unreadable value must not affect the others.
        except Exception as error:  # noqa: BLE001
            if name not in self._logged:
                self._logged.add(name)
                logger.info("Cannot read %s on this host, so the field stays empty: %r", name, error)
            return None


class _CPUCounters:
    """Busy percentage of each core between two readings of its (busy, total) seconds."""

    def __init__(self) -> None:
        self._previous: list[tuple[float, float]] | None = None
        self._last: tuple[float | None, list[float] | None] = (None, None)

    def percent(self, now: list[tuple[float, float]] | None) -> tuple[float | None, list[float] | None]:
        """Return (overall, per core) since the previous reading.

        (None, None) on the first reading, after a failed one, and if the number of cores has changed. The kernel counts
        in steps of 10 ms; if no step has passed, the previous result is returned again.
        """
        previous = self._previous
        if now is None or previous is None or len(previous) != len(now):
            self._previous, self._last = now, (None, None)
            return self._last
        deltas = [(busy - busy0, total - total0) for (busy, total), (busy0, total0) in zip(now, previous, strict=True)]
        total = sum(elapsed for _, elapsed in deltas)
        if total <= 0:
            return self._last
        self._previous = now
        self._last = (
            _percent(sum(busy for busy, _ in deltas), total),
            [_percent(busy, elapsed) if elapsed > 0 else 0.0 for busy, elapsed in deltas],
        )
        return self._last


class _Rate:
    """Increase per second of a counter between two readings."""

    def __init__(self) -> None:
        self._previous: tuple[float, float] | None = None
        self._last: float | None = None

    def per_second(self, at: float, value: float) -> float | None:
        """Return the increase per second since the previous reading; None on the first and if the counter decreased."""
        previous = self._previous
        if previous is not None and at <= previous[0]:
            return self._last
        self._previous = at, value
        if previous is None or value < previous[1]:
            self._last = None
        else:
            self._last = (value - previous[1]) / (at - previous[0])
        return self._last


def _busy_and_total(times: Any) -> tuple[float, float]:
    """Return the busy and the total seconds of a core. iowait counts as idle. On Linux, `user` includes `guest`."""
    total = sum(times) - getattr(times, "guest", 0.0) - getattr(times, "guest_nice", 0.0)
    return total - times.idle - getattr(times, "iowait", 0.0), total


def _percent(part: float, whole: float) -> float:
    return min(100.0, max(0.0, 100.0 * part / whole))  # idle counters sometimes decrease by one step


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)
