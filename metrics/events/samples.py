"""Samples of queues, machines and GPUs. What a device cannot say is null, never a reason to refuse the rest."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from metrics.events.types import (
    PRINTABLE,
    Amount,
    Count,
    Event,
    Label,
    Level,
    Milliseconds,
    ModelName,
    Name,
    Percent,
    SeriesKey,
    Word,
)

MAX_GPUS = 64  # of one host, MIG instances among them: eight GPUs of seven instances are 64 entries
MAX_CORES = 1_024
# Of one core, as `top` counts: a process on many cores has more than 100 %.
CpuPercent = Annotated[float, Field(ge=0, le=100 * MAX_CORES, allow_inf_nan=False)]
Celsius = Annotated[float, Field(ge=-273.15, le=1_000, allow_inf_nan=False)]


def _device(value: Any) -> Any:
    """A GPU's number may come as a number; a MIG instance (`0:1`) can only be text, so text is what is kept."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


class QueueKind(StrEnum):
    """Who says how long the queue is; of several, the first in this order is used."""

    ENGINE = "engine"
    TRACK = "track"
    SDK = "sdk"


class QueueEvent(Event):
    """How many requests of a model wait and are worked on, as one source says. `wait_time_ms`: how long one waits now.

    `kind` is `track` or `sdk` (counted by our SDK); `engine` is left to our scraper and refused at the door.
    """

    source: Name
    model_name: ModelName
    provider: Label = ""
    service: Label = ""
    kind: Annotated[QueueKind, Field(strict=False)] = QueueKind.TRACK
    pending: Level | None = None
    processing: Level | None = None
    wait_time_ms: Milliseconds | None = None

    @property
    def labels(self) -> SeriesKey:
        """The series that it belongs to."""
        return SeriesKey(self.model_name, self.provider, self.service)


class GPUSample(BaseModel):
    """One GPU, or one MIG instance of it. MB is 2²⁰ bytes; energy and ECC errors count since the driver's start."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore", hide_input_in_errors=True)

    gpu_id: Annotated[
        str,
        BeforeValidator(_device, json_schema_input_type=str | int),
        Field(min_length=1, max_length=64, pattern=PRINTABLE),
    ]
    name: Label | None = None
    uuid: str | None = Field(None, max_length=96, pattern=PRINTABLE)
    temperature: Celsius | None = None
    utilization_percent: Percent | None = None
    memory_used_mb: Amount | None = None
    memory_total_mb: Amount | None = None
    memory_percent: Percent | None = None
    power_draw_watts: Amount | None = None
    power_limit_watts: Amount | None = None
    memory_utilization_percent: Percent | None = None
    sm_clock_mhz: Amount | None = None
    memory_clock_mhz: Amount | None = None
    fan_percent: Annotated[float, Field(ge=0, le=1_000, allow_inf_nan=False)] | None = None
    performance_state: Annotated[int, Field(ge=0, le=15)] | None = None
    throttle_reasons: Annotated[list[Word], Field(max_length=64, fail_fast=True)] | None = None
    ecc_uncorrected_total: Count | None = None
    energy_joules: Amount | None = None

    @property
    def number(self) -> int | str:
        """`gpu_id` as it was sent: a number where it is one."""
        return int(self.gpu_id) if self.gpu_id.isdecimal() and self.gpu_id.isascii() else self.gpu_id


class SystemEvent(Event):
    """One sample of a host. GB is 2³⁰ bytes; bytes of network and disks are totals since boot."""

    host: Name
    platform: Word | None = None
    cpu_percent: CpuPercent | None = None
    cpu_count: Amount | None = None
    per_core_percent: Annotated[list[CpuPercent], Field(max_length=MAX_CORES, fail_fast=True)] | None = None
    load_average: Annotated[list[Amount], Field(min_length=3, max_length=3, fail_fast=True)] | None = None
    memory_percent: Percent | None = None
    memory_used_gb: Amount | None = None
    memory_total_gb: Amount | None = None
    swap_percent: Percent | None = None
    disk_percent: Percent | None = None
    disk_read_bytes: Count | None = None
    disk_write_bytes: Count | None = None
    network_bytes_sent: Count | None = None
    network_bytes_recv: Count | None = None
    monitor_cpu_percent: CpuPercent | None = None
    monitor_memory_mb: Amount | None = None
    gpu_count: Annotated[int, Field(ge=0, le=10_000)] | None = None
    gpu_metrics: Annotated[tuple[GPUSample, ...], Field(strict=False, max_length=MAX_GPUS, fail_fast=True)] = ()
