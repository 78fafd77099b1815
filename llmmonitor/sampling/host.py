"""The sample of a host and its GPUs, in the form that `POST /track/system` accepts. The caller adds the timestamp."""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from llmmonitor.sampling.gpu import GPUSampler
from llmmonitor.sampling.system import SystemSampler

FIRST_SPAN_SECONDS = 0.1  # ten steps of the kernel's CPU counters, so that the first CPU percentage is roughly right


class HostSampler:
    """A `SystemSampler` and a `GPUSampler`. Keep one instance, because percentages are relative to the last sample."""

    def __init__(
        self,
        *,
        host: str | None = None,
        data_dir: Path | str | None = None,
        clock: Callable[[], float] = time.monotonic,
        system: SystemSampler | None = None,
        gpus: GPUSampler | None = None,
    ) -> None:
        self.system = system or SystemSampler(host=host, data_dir="." if data_dir is None else data_dir, clock=clock)
        self.gpus = gpus or GPUSampler(clock=clock)

    def sample(self) -> dict[str, Any]:
        """Return the fields of `SystemSampler.sample`, `gpu_metrics` (the list of `GPUSampler.sample`) and `gpu_count`.

        `gpu_count` counts boards: MIG instances are not counted, and a lost GPU still is.
        """
        gpus = self.gpus.sample()
        boards = sum(isinstance(gpu["gpu_id"], int) for gpu in gpus)
        return {**self.system.sample(), "gpu_count": boards, "gpu_metrics": gpus}

    def close(self) -> None:
        """Close the connection to the GPU driver. May be called twice."""
        self.gpus.close()


def sample_host(*, host: str | None = None, data_dir: str | Path | None = None) -> dict[str, Any]:
    """Return one sample of this host (see `HostSampler.sample`).

    The process keeps the sampler, so percentages cover the time since the previous call. The first call waits 0.1 s.
    """
    return _cached_sampler(os.getpid(), host, None if data_dir is None else str(data_dir)).sample()


@functools.lru_cache(maxsize=4)
def _cached_sampler(pid: int, host: str | None, data_dir: str | None) -> HostSampler:
    # pid: a forked child needs its own sampler, because a session of the GPU driver does not survive a fork.
    sampler = HostSampler(host=host, data_dir=data_dir)
    time.sleep(FIRST_SPAN_SECONDS)
    return sampler
