"""Samples of a machine and its GPUs, for the server's own task and for the agent on other machines.

Needs psutil; with nvidia-ml-py (the maintained package of the module `pynvml`) it sees NVIDIA GPUs, too. Both come with
`pip install "llmmonitor[agent]"`. Nothing here knows Django.
"""

from __future__ import annotations

from llmmonitor.sampling.gpu import GPUSampler
from llmmonitor.sampling.host import HostSampler, sample_host
from llmmonitor.sampling.system import SystemSampler

__all__ = ["GPUSampler", "HostSampler", "SystemSampler", "sample_host"]
