"""What a container may use and does use, from the kernel's control groups.

Inside a container psutil still tells the machine's memory and cores; a model that is killed at its 8 GB limit on a
host of 512 GB would look idle until it dies. So the own group and all groups above it are asked for their limits, in
version 2 (one tree) and version 1 (one tree a controller). The tightest limit counts, and use is read from the group
that sets it; among equal limits from the outermost, whose use includes the neighbours' that share it. A limit that is
absent, unreadable or not below the machine's own figure is no limit: the answer is None, and the caller takes the
machine's figures.

Source: the kernel's admin guide, `cgroup-v2` and `cgroup-v1/{memory,cpusets}`, `scheduler/sched-bwc`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

CGROUP_ROOT = Path("/sys/fs/cgroup")
PROC_ROOT = Path("/proc")
MAX_LEVELS = 32  # Kubernetes nests five deep; the bound only keeps an absurd path from costing time each second
MAX_FILE_BYTES = 64 * 1024  # memory.stat, the longest file read here, has about 2 kB


@dataclass(frozen=True)
class MemoryUse:
    """Memory held by the limiting group (page cache that can be dropped at once left out) and its limit, in bytes."""

    used_bytes: int
    limit_bytes: int


@dataclass(frozen=True)
class CPUUse:
    """How many cores' worth of time the limiting group may use, and the CPU seconds that it has used so far."""

    cores: float
    usage_seconds: float


class Cgroup:
    """The control groups of this process. The path is looked up once; limits are read at each question."""

    def __init__(self, cgroup_root: Path = CGROUP_ROOT, proc_root: Path = PROC_ROOT) -> None:
        paths = _own_paths(proc_root / "self" / "cgroup")
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
        """Use and limit of the tightest group; None when no group limits memory below `host_total_bytes`."""
        limit_file = "memory.max" if self._unified else "memory.limit_in_bytes"
        found = _tightest(self._memory, lambda level: _integer(level / limit_file), host_total_bytes)
        if found is None:
            return None
        limit, index = found
        level = self._memory[index]
        current = _integer(level / ("memory.current" if self._unified else "memory.usage_in_bytes"))
        if current is None or limit <= 0:
            return None
        # What the kernel would drop before it kills anything. The same definition as `kubectl top` and `docker stats`.
        cache = _keyed(level / "memory.stat", "inactive_file" if self._unified else "total_inactive_file") or 0
        return MemoryUse(used_bytes=max(0, current - cache), limit_bytes=int(limit))

    def cpu(self, host_cores: float) -> CPUUse | None:
        """Cores and use of the tightest group; None when no group limits them (quota or cpuset) below `host_cores`."""
        quota = _tightest(self._cpu, self._quota_cores, host_cores)
        cpuset = _tightest(self._cpuset, self._cpuset_cores, host_cores)
        if quota is None and cpuset is None:
            return None
        cores, index = min((found for found in (quota, cpuset) if found), key=lambda found: found[0])
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
        # cpu, cpuset and cpuacct may be trees of their own in version 1; the same number of steps up is the same group.
        nanos = _integer(self._cpuacct[min(index, len(self._cpuacct) - 1)] / "cpuacct.usage")
        return None if nanos is None else nanos / 1e9


def _own_paths(file: Path) -> dict[str, str]:
    """Controller → path of this process, from lines such as `4:memory:/docker/abc`; version 2's controller is ''."""
    paths: dict[str, str] = {}
    for line in (_text(file) or "").splitlines():
        parts = line.split(":", 2)
        if len(parts) == 3:
            paths |= dict.fromkeys(parts[1].split(","), parts[2])
    return paths


def _levels(root: Path, path: str) -> list[Path]:
    """The directories from the own group up to the mounted root, innermost first.

    Docker without a cgroup namespace tells the host's path (`/docker/abc`) but mounts only the own group, as the root;
    a path outside of the namespace begins with `/..`. Both lead to nothing under the mount, and the root alone counts.
    """
    parts = [part for part in path.split("/") if part and part != "."]
    if ".." in parts or len(parts) > MAX_LEVELS:
        parts = []
    levels = [root.joinpath(*parts[:depth]) for depth in range(len(parts), 0, -1)]
    return [level for level in levels if _exists(level)] + [root]


def _tightest(levels: list[Path], read: Callable[[Path], float | None], below: float) -> tuple[float, int] | None:
    """The smallest limit under `below` and the position of the outermost level that sets it."""
    best: tuple[float, int] | None = None
    for index, level in enumerate(levels):
        limit = read(level)
        if limit is not None and limit < below and (best is None or limit <= best[0]):
            best = limit, index
    return best


def _count_cpus(text: str) -> int:
    """How many CPUs a list such as `0-3,8` names; 0 when it cannot be read."""
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
    except OSError:  # a parent that may not be searched
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
    except ValueError:  # "max", or a file that holds something else than it should
        return None


def _integer(path: Path) -> int | None:
    text = _text(path)
    return None if text is None else _as_integer(text)


def _keyed(path: Path, key: str) -> int | None:
    """The number behind `key` in a file of lines `key number`."""
    for line in (_text(path) or "").splitlines():
        words = line.split()
        if len(words) == 2 and words[0] == key:
            return _as_integer(words[1])
    return None
