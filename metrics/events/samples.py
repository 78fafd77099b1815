"""The events of queues, hosts and GPUs. Values that a device does not report are null."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from metrics.events.derive import memory_percent
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
    Seconds,
    SeriesKey,
    Word,
    without_entries,
)

MAX_GPUS = 64  # of one host, MIG instances among them: eight GPUs of seven instances are 64 entries
MAX_CORES = 1_024
GPU_INDEX = "index"  # nvidia-smi's name of `gpu_id`
PERFORMANCE_STATES = {f"P{state}": state for state in range(16)}
# Percent of one core, as in `top`: a process on many cores has more than 100 %.
CpuPercent = Annotated[float, Field(ge=0, le=100 * MAX_CORES, allow_inf_nan=False)]
Celsius = Annotated[float, Field(ge=-273.15, le=1_000, allow_inf_nan=False)]


def _device(value: Any) -> Any:
    """A GPU's index as text: it may be sent as a number, but a MIG instance (`0:1`) is always text."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return str(int(value)) if isinstance(value, float) and value.is_integer() else value


def _performance_state(value: Any) -> Any:
    """A performance state as a number: nvidia-smi writes P0 to P15."""
    return PERFORMANCE_STATES.get(value, value) if isinstance(value, str) else value


class QueueKind(StrEnum):
    """The source of a queue reading. If there are several for a model, the first in this order is used."""

    ENGINE = "engine"
    TRACK = "track"
    SDK = "sdk"


class QueueEvent(Event):
    """Numbers of waiting and running requests of a model, from one source.

    `wait_time_ms`: the current queue time. `oldest_seconds`: the age of the oldest request in flight.
    `ratelimit_remaining_…`: the requests and tokens that the provider's rate limit still allows.
    `kind` is `track` or `sdk` (counted by our SDK). `engine` is for readings of LLM Monitor itself; from clients it is
    rejected.
    """

    source: Name
    model_name: ModelName
    provider: Label = ""
    service: Label = ""
    kind: Annotated[QueueKind, Field(strict=False), BeforeValidator(without_entries)] = QueueKind.TRACK
    pending: Level | None = None
    processing: Level | None = None
    wait_time_ms: Milliseconds | None = None
    oldest_seconds: Seconds | None = None
    ratelimit_remaining_requests: Level | None = None
    ratelimit_remaining_tokens: Level | None = None

    @property
    def labels(self) -> SeriesKey:
        """The labels of its series."""
        return SeriesKey(self.model_name, self.provider, self.service)


class GPUSample(BaseModel):
    """One GPU or MIG instance. Fields named `_mb` are in MiB; energy and ECC errors are totals since driver start."""

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
    performance_state: Annotated[int, Field(ge=0, le=15), BeforeValidator(_performance_state)] | None = None
    throttle_reasons: Annotated[list[Word], Field(max_length=64, fail_fast=True)] | None = None
    ecc_uncorrected_total: Count | None = None
    energy_joules: Amount | None = None


class SystemEvent(Event):
    """One sample of a host. Fields named `_gb` are in GiB; bytes of network and disks are totals since boot."""

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
    monitor_events_accepted: Count | None = None
    monitor_events_duplicate: Count | None = None
    monitor_events_rejected: Count | None = None
    monitor_posts_refused: Count | None = None
    monitor_queued_events: Amount | None = None
    monitor_commit_ms: Amount | None = None
    monitor_commit_p99_ms: Amount | None = None
    monitor_tick_lag_ms: Amount | None = None
    monitor_live_clients: Amount | None = None
    monitor_task_lateness_ms: Amount | None = None
    monitor_query_ms: Amount | None = None
    monitor_query_p95_ms: Amount | None = None
    monitor_cache_hit_percent: Percent | None = None
    monitor_database_mb: Amount | None = None
    monitor_backup_age_seconds: Amount | None = None
    monitor_archive_problems: Amount | None = None
    monitor_alert_evaluation_ms: Amount | None = None
    monitor_alert_lag_seconds: Amount | None = None
    monitor_alert_rules_in_error: Amount | None = None
    monitor_messages_waiting: Amount | None = None
    monitor_messages_dead: Amount | None = None
    monitor_alerting_problems: Amount | None = None
    gpu_count: Annotated[int, Field(ge=0, le=10_000)] | None = None
    gpu_metrics: Annotated[tuple[GPUSample, ...], Field(strict=False, max_length=MAX_GPUS, fail_fast=True)] = ()

    def derive_memory_percent(self) -> None:
        """Set the missing memory_percent of a new sample and its GPUs. A validator of each GPU would cost as much as
        the whole validation.
        """
        if self.memory_percent is None:
            self.__dict__["memory_percent"] = memory_percent(self.memory_used_gb, self.memory_total_gb)
        for gpu in self.gpu_metrics:
            if gpu.memory_percent is None:
                gpu.__dict__["memory_percent"] = memory_percent(gpu.memory_used_mb, gpu.memory_total_mb)
