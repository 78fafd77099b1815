"""The limits and the use of a container, from the kernel's control groups.

Inside a container, psutil returns the memory and cores of the host. A model that is killed at its limit of 8 GiB on a
host of 512 GiB would look idle. So the limits of the process's group and of all its parents are read, in version 2 (one
tree) and version 1 (one tree per controller). The lowest limit counts, and the use is read from the group that sets it;
among equal limits, from the outermost group, because its use includes the groups that share the limit. If a limit is
missing, unreadable or not below the value of the host, the result is None, and the caller uses the values of the host.

Source: the kernel's admin guide, `cgroup-v2` and `cgroup-v1/{memory,cpusets}`, `scheduler/sched-bwc`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

CGROUP_ROOT = Path("/sys/fs/cgroup")
PROC_ROOT = Path("/proc")
MAX_LEVELS = 32  # Kubernetes uses five levels. The limit stops a very deep path from costing time each second.
MAX_FILE_BYTES = 64 * 1024  # memory.stat, the longest file read here, has about 2 KiB


@dataclass(frozen=True)
class MemoryUse:
    """The memory of the limiting group, without page cache that can be dropped immediately, and its limit, in bytes."""

    used_bytes: int
    limit_bytes: int


@dataclass(frozen=True)
class CPUUse:
    """The number of cores that the limiting group may use, and the CPU seconds that it has used so far."""

    cores: float
    usage_seconds: float


class Cgroup:
    """The control groups of this process. The paths are read once, the limits on each call."""

    def __init__(self, cgroup_root: Path = CGROUP_ROOT, proc_root: Path = PROC_ROOT) -> None:
        paths = _paths_of_process(proc_root / "self" / "cgroup")
        self._unified = _exists(cgroup_root / "cgroup.controllers")
        if self._unified:
            levels = _levels(cgroup_root, paths.get("", "/"))
            self._memory = self._cpu = self._cpuacct = self._cpuset = levels
        else:
            self._memory, self._cpu, self._cpuacct, self._cpuset = (
                _levels(cgroup_root / name, paths[name]) if name in paths else []
                for name in ("memory", "cpu", "cpuacct", "cpuset")
            )

    def memory(self, host_total_bytes: int) -> MemoryUse | None:
        """Return use and limit of the group with the lowest limit; None if none is below `host_total_bytes`."""
        limit_file = "memory.max" if self._unified else "memory.limit_in_bytes"
        lowest = _lowest_limit(self._memory, lambda level: _integer(level / limit_file), host_total_bytes)
        if lowest is None:
            return None
        limit, index = lowest
        level = self._memory[index]
        current = _integer(level / ("memory.current" if self._unified else "memory.usage_in_bytes"))
        if current is None or limit <= 0:
            return None
        # The kernel drops this cache before it kills a process. `kubectl top` and `docker stats` subtract it, too.
        cache = _keyed(level / "memory.stat", "inactive_file" if self._unified else "total_inactive_file") or 0
        return MemoryUse(used_bytes=max(0, current - cache), limit_bytes=int(limit))

    def cpu(self, host_cores: float) -> CPUUse | None:
        """Return cores and use of the group with the lowest quota or cpuset; None if none is below `host_cores`."""
        quota = _lowest_limit(self._cpu, self._quota_cores, host_cores)
        cpuset = _lowest_limit(self._cpuset, self._cpuset_cores, host_cores)
        if quota is None and cpuset is None:
            return None
        cores, index = min((limit for limit in (quota, cpuset) if limit), key=lambda limit: limit[0])
        usage = self._usage_seconds(index)
        return None if usage is None or cores <= 0 else CPUUse(cores=cores, usage_seconds=usage)

    def _quota_cores(self, level: Path) -> float | None:
        if self._unified:
            words = (_text(level / "cpu.max") or "").split()
            quota, period = (_as_integer(words[0]), _as_integer(words[1])) if len(words) == 2 else (None, None)
        else:
            quota, period = _integer(level / "cpu.cfs_quota_us"), _integer(level / "cpu.cfs_period_us")
        if quota is None or not period or quota <= 0 or period < 0:  # "max", or -1 in version 1: no quota
            return None
        return quota / period

    def _cpuset_cores(self, level: Path) -> float | None:
        text = _text(level / ("cpuset.cpus.effective" if self._unified else "cpuset.effective_cpus"))
        if text is None and not self._unified:
            text = _text(level / "cpuset.cpus")
        return float(_count_cpus(text)) or None if text else None

    def _usage_seconds(self, index: int) -> float | None:
        if self._unified:
            micros = _keyed(self._cpu[index] / "cpu.stat", "usage_usec")
            return None if micros is None else micros / 1e6
        if not self._cpuacct:
            return None
        # In version 1, cpu, cpuset and cpuacct may be separate trees. The same depth is the same group.
        nanos = _integer(self._cpuacct[min(index, len(self._cpuacct) - 1)] / "cpuacct.usage")
        return None if nanos is None else nanos / 1e9


def _paths_of_process(file: Path) -> dict[str, str]:
    """Return controller → path from lines such as `4:memory:/docker/abc`. The controller of version 2 is ''."""
    paths: dict[str, str] = {}
    for line in (_text(file) or "").splitlines():
        parts = line.split(":", 2)
        if len(parts) == 3:
            paths |= dict.fromkeys(parts[1].split(","), parts[2])
    return paths


def _levels(root: Path, path: str) -> list[Path]:
    """Return the directories from the process's group up to the mounted root, innermost first.

    Without a cgroup namespace, Docker shows the path on the host (`/docker/abc`) but mounts only the container's group,
    as the root. A path outside the namespace begins with `/..`. Neither exists below the mount; only the root is used.
    """
    parts = [part for part in path.split("/") if part and part != "."]
    if ".." in parts or len(parts) > MAX_LEVELS:
        parts = []
    levels = [root.joinpath(*parts[:depth]) for depth in range(len(parts), 0, -1)]
    return [level for level in levels if _exists(level)] + [root]


def _lowest_limit(levels: list[Path], read: Callable[[Path], float | None], below: float) -> tuple[float, int] | None:
    """Return the lowest limit that is less than `below`, and the index of the outermost level that sets it."""
    lowest: tuple[float, int] | None = None
    for index, level in enumerate(levels):
        limit = read(level)
        if limit is not None and limit < below and (lowest is None or limit <= lowest[0]):
            lowest = limit, index
    return lowest


def _count_cpus(text: str) -> int:
    """Return the number of CPUs in a list such as `0-3,8`; 0 if it is invalid."""
    count = 0
    for part in text.split(","):
        first, _, last = part.strip().partition("-")
        low, high = _as_integer(first), _as_integer(last or first)
        if low is None or high is None or high < low:
            return 0
        count += high - low + 1
    return count


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # no permission for a parent directory
        return False


def _text(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            return file.read(MAX_FILE_BYTES).decode("ascii", "replace").strip()
    except OSError:
        return None


def _as_integer(text: str) -> int | None:
    try:
        return int(text)
    except ValueError:  # "max", or unexpected content
        return None


def _integer(path: Path) -> int | None:
    text = _text(path)
    return None if text is None else _as_integer(text)


def _keyed(path: Path, key: str) -> int | None:
    """Return the number after `key` in a file of lines `key number`."""
    for line in (_text(path) or "").splitlines():
        words = line.split()
        if len(words) == 2 and words[0] == key:
            return _as_integer(words[1])
    return None
