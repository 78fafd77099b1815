"""Samples of a host and its GPUs, for the server and for an agent on other hosts. This package does not import Django.

It needs psutil and, for NVIDIA GPUs, nvidia-ml-py (the maintained package of the module `pynvml`). Install both with
`pip install "llmmonitor[agent]"`.
"""

from __future__ import annotations

from llmmonitor.sampling.gpu import GPUSampler
from llmmonitor.sampling.host import HostSampler, sample_host
from llmmonitor.sampling.system import SystemSampler

__all__ = ["GPUSampler", "HostSampler", "SystemSampler", "sample_host"]
