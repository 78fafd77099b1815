"""A machine's whole sample: its own figures and its GPUs', in the shape that `POST /track/system` takes.

No timestamp is inside: the caller stamps the sample with the moment at which it asked for it.
"""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from llmmonitor.sampling.gpu import GPUSampler
from llmmonitor.sampling.system import SystemSampler

FIRST_LOOK_SECONDS = 0.1  # ten steps of the kernel's CPU counters: the first percentage is then right to a few per cent


class HostSampler:
    """Both samplers behind one call; hold one instance and call `sample` at each tick."""

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
        """The fields of `SystemSampler.sample`, `gpu_metrics` (the list of `GPUSampler.sample`) and `gpu_count`.

        `gpu_count` counts boards: a GPU cut into MIG instances is one, and a GPU that was lost is still one.
        """
        gpus = self.gpus.sample()
        boards = sum(isinstance(gpu["gpu_id"], int) for gpu in gpus)
        return {**self.system.sample(), "gpu_count": boards, "gpu_metrics": gpus}

    def close(self) -> None:
        """Let go of the GPU driver. Safe to call twice."""
        self.gpus.close()


def sample_host(*, host: str | None = None, data_dir: str | Path | None = None) -> dict[str, Any]:
    """One sample of this machine (see `HostSampler.sample`), for a caller who holds no sampler.

    The sampler behind it is kept for the process, so that percentages are over the time since the call before. The very
    first call waits 0.1 s to have a span to measure over.
    """
    return _kept_sampler(os.getpid(), host, None if data_dir is None else str(data_dir)).sample()


@functools.lru_cache(maxsize=4)
def _kept_sampler(pid: int, host: str | None, data_dir: str | None) -> HostSampler:
    # pid: a child of a fork needs its own sampler, since the GPU driver's session does not survive a fork.
    sampler = HostSampler(host=host, data_dir=data_dir)
    time.sleep(FIRST_LOOK_SECONDS)
    return sampler
