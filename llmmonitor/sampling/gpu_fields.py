"""The NVML calls that fill the fields of a GPU sample, with their units and their older names.

Each query is independent. A call that the GPU or the driver does not support is remembered and not made again
(`DeviceReader`). Any other failure gives None for this sample only.

Source: NVIDIA's NVML API reference; the module `pynvml` of the package nvidia-ml-py (the package `pynvml` on PyPI is a
deprecated wrapper).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

MIB = 2**20

# Reasons that point to a problem. Not included: idle, application and display clocks and sync boost, which are normal
# or configured, and the software power cap, which is common at full load.
THROTTLE_REASONS = {
    0x08: "hw_slowdown",
    0x20: "sw_thermal_slowdown",
    0x40: "hw_thermal_slowdown",
    0x80: "hw_power_brake_slowdown",
}

# Error codes of NVML (nvmlReturn_t).
UNINITIALIZED, NOT_SUPPORTED, NO_PERMISSION, FUNCTION_NOT_FOUND = 1, 3, 4, 13
GPU_IS_LOST, RESET_REQUIRED, ARGUMENT_VERSION_MISMATCH, DEPRECATED = 15, 16, 25, 26
PERMANENT = {NOT_SUPPORTED, NO_PERMISSION, FUNCTION_NOT_FOUND, ARGUMENT_VERSION_MISMATCH, DEPRECATED}
LOST = {UNINITIALIZED, GPU_IS_LOST, RESET_REQUIRED}

Call = Callable[[Any, Any], tuple[Any, ...]]  # (pynvml, handle) → the values of the fields


class GPULost(Exception):
    """The GPU no longer responds: it fell off the bus or needs a reset. Its handle cannot be used again."""


@dataclass(frozen=True)
class Query:
    """`calls` are tried in order, the newest first; each returns the values of `fields`.

    `on_mig` selects the device that is asked for the fields if the GPU is split into MIG instances: "parent" for the
    whole GPU (power, clocks, temperature), "child" for each instance (memory, UUID, name), "never" for neither (NVML
    does not support utilization with MIG).
    """

    fields: tuple[str, ...]
    calls: tuple[Call, ...]
    on_mig: str = "parent"


def _memory(nvml: Any, handle: Any) -> tuple[Any, ...]:
    # Version 1 of this call: `used` includes the memory that the driver reserves, so it reaches the total when the next
    # allocation fails.
    memory = nvml.nvmlDeviceGetMemoryInfo(handle)
    percent = round(100.0 * memory.used / memory.total, 2) if memory.total else None
    return round(memory.used / MIB, 1), round(memory.total / MIB, 1), percent


def _utilization(nvml: Any, handle: Any) -> tuple[Any, ...]:
    rates = nvml.nvmlDeviceGetUtilizationRates(handle)
    return float(rates.gpu), float(rates.memory)


def _thousandth(function: str) -> Call:
    """Return a call that converts mW to W, or mJ to J."""
    return lambda nvml, handle: (getattr(nvml, function)(handle) / 1000.0,)


def _unchanged(function: str, *constants: str) -> Call:
    """Return a call of an NVML function with these constants of `pynvml` as further arguments."""
    return lambda nvml, handle: (getattr(nvml, function)(handle, *(getattr(nvml, name) for name in constants)),)


def _reasons(function: str) -> Call:
    def call(nvml: Any, handle: Any) -> tuple[Any, ...]:
        bits = getattr(nvml, function)(handle)
        return ([name for bit, name in THROTTLE_REASONS.items() if bits & bit],)

    return call


def _performance_state(nvml: Any, handle: Any) -> tuple[Any, ...]:
    state = nvml.nvmlDeviceGetPerformanceState(handle)
    return (state if 0 <= state <= 15 else None,)  # 32 means "unknown"


def _text(function: str) -> Call:
    def call(nvml: Any, handle: Any) -> tuple[Any, ...]:
        text = getattr(nvml, function)(handle)
        if isinstance(text, bytes):  # old versions of pynvml
            text = text.decode("utf-8", "replace")
        return (text,)

    return call


UUID = Query(("uuid",), (_text("nvmlDeviceGetUUID"),), on_mig="child")
NAME = Query(("name",), (_text("nvmlDeviceGetName"),), on_mig="child")
MIG_MODE = Query(("mig_mode",), (lambda nvml, handle: (nvml.nvmlDeviceGetMigMode(handle)[0],),))

QUERIES: tuple[Query, ...] = (
    Query(
        ("temperature",),
        (
            _unchanged("nvmlDeviceGetTemperatureV", "NVML_TEMPERATURE_GPU"),
            _unchanged("nvmlDeviceGetTemperature", "NVML_TEMPERATURE_GPU"),
        ),
    ),
    Query(("utilization_percent", "memory_utilization_percent"), (_utilization,), on_mig="never"),
    Query(("memory_used_mb", "memory_total_mb", "memory_percent"), (_memory,), on_mig="child"),
    Query(("power_draw_watts",), (_thousandth("nvmlDeviceGetPowerUsage"),)),
    Query(
        ("power_limit_watts",),
        (_thousandth("nvmlDeviceGetEnforcedPowerLimit"), _thousandth("nvmlDeviceGetPowerManagementLimit")),
    ),
    Query(("sm_clock_mhz",), (_unchanged("nvmlDeviceGetClockInfo", "NVML_CLOCK_SM"),)),
    Query(("memory_clock_mhz",), (_unchanged("nvmlDeviceGetClockInfo", "NVML_CLOCK_MEM"),)),
    Query(
        ("throttle_reasons",),
        (_reasons("nvmlDeviceGetCurrentClocksEventReasons"), _reasons("nvmlDeviceGetCurrentClocksThrottleReasons")),
    ),
    Query(
        ("ecc_uncorrected_total",),
        # Aggregate: over the lifetime of the board, so that the count survives a restart of the driver.
        (_unchanged("nvmlDeviceGetTotalEccErrors", "NVML_MEMORY_ERROR_TYPE_UNCORRECTED", "NVML_AGGREGATE_ECC"),),
    ),
    Query(("energy_joules",), (_thousandth("nvmlDeviceGetTotalEnergyConsumption"),)),
    Query(("fan_percent",), (_unchanged("nvmlDeviceGetFanSpeed"),)),
    Query(("performance_state",), (_performance_state,)),
)

FIELDS = tuple(name for query in QUERIES for name in query.fields)


@dataclass
class DeviceReader:
    """Runs queries on one device and remembers which of their calls it does not support."""

    unsupported: dict[tuple[str, ...], int] = field(default_factory=dict)  # fields → number of calls to skip
    succeeded: int = 0
    failed: int = 0

    def read(self, nvml: Any, handle: Any, query: Query) -> tuple[Any, ...]:
        """Return the values of the query's fields; all None if they are not available. Raises GPULost."""
        missing = (None,) * len(query.fields)
        for index in range(self.unsupported.get(query.fields, 0), len(query.calls)):
            try:
                values = query.calls[index](nvml, handle)
            except nvml.NVMLError as error:
                if error.value in LOST:
                    raise GPULost(str(error)) from error
                if error.value not in PERMANENT:
                    self.failed += 1
                    return missing
            # NVMLLibraryMismatchError, which is no NVMLError: pynvml is newer than the driver. AttributeError: pynvml
            # is older than the function. Both are permanent while the process runs.
            except (nvml.NVMLLibraryMismatchError, AttributeError):
                pass
            except Exception:  # noqa: BLE001  # ctypes with invalid data of a driver, such as a name that is not UTF-8
                self.failed += 1
                return missing
            else:
                self.succeeded += 1
                return values
            self.unsupported[query.fields] = index + 1
        return missing

    def read_all(self, nvml: Any, handle: Any, *, mig_parent: bool = False, mig_child: bool = False) -> dict[str, Any]:
        """Return all FIELDS; None for those that the device does not have. Raises GPULost."""
        values: dict[str, Any] = dict.fromkeys(FIELDS)
        for query in _queries_for(mig_parent, mig_child):
            values.update(zip(query.fields, self.read(nvml, handle, query), strict=True))
        return values


def _queries_for(mig_parent: bool, mig_child: bool) -> Sequence[Query]:
    if mig_child:
        return [query for query in QUERIES if query.on_mig == "child"]
    if mig_parent:
        return [query for query in QUERIES if query.on_mig != "never"]
    return QUERIES
