"""A stand-in for the driver's library `libnvidia-ml.so.1`, put below the module `pynvml`.

The real binding code runs: it fetches our symbols by name, passes ctypes arguments and turns our return codes into its
exceptions. So a test sees what the sampler would see of a driver, down to a symbol that is missing.

    library = FakeNvml(FakeGPU(uuid="GPU-a"), FakeGPU(uuid="GPU-b"))
    with library.installed():
        GPUSampler().sample()
    library.calls["nvmlDeviceGetFanSpeed"]
"""

from __future__ import annotations

import contextlib
import ctypes
import dataclasses
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pynvml

SUCCESS, INVALID_ARGUMENT, NOT_SUPPORTED, NO_PERMISSION, NOT_FOUND = 0, 2, 3, 4, 6
DRIVER_NOT_LOADED, LIBRARY_NOT_FOUND, GPU_IS_LOST, LIB_RM_VERSION_MISMATCH, UNKNOWN = 9, 12, 15, 18, 999

GIB = 2**30


@dataclasses.dataclass
class FakeGPU:
    """One GPU or MIG instance, in NVML's units. `errors`: symbol → code returned instead; "*" is every symbol."""

    uuid: str = "GPU-0"
    name: str = "NVIDIA H100 80GB HBM3"
    temperature: int = 61
    gpu_percent: int = 87
    memory_percent: int = 40
    memory_used: int = 20 * GIB
    memory_total: int = 80 * GIB
    power_mw: int = 412_345
    power_limit_mw: int = 700_000
    energy_mj: int = 9_876_543_210
    clocks_mhz: dict[int, int] = dataclasses.field(default_factory=lambda: {1: 1980, 2: 2619})
    throttle_bits: int = 0
    ecc_uncorrected: int = 2
    fan: int = 55
    performance_state: int = 0
    mig_mode: int = 0
    instances: dict[int, FakeGPU] = dataclasses.field(default_factory=dict)
    errors: dict[str, int] = dataclasses.field(default_factory=dict)


class FakeNvml:
    """The library: `gpus` as NVML numbers them now, `errors` of its symbols, `missing` symbols, `calls` made."""

    def __init__(self, *gpus: FakeGPU) -> None:
        self.gpus = list(gpus)
        self.errors: dict[str, int] = {}
        self.missing: set[str] = set()
        self.calls: Counter[str] = Counter()
        self.calls_by_gpu: Counter[tuple[str, str]] = Counter()
        self._handles: list[FakeGPU] = []  # handle n stands for the n-th GPU handed out, counted from 1

    @contextlib.contextmanager
    def installed(self) -> Iterator[FakeNvml]:
        library, pointers = pynvml.nvmlLib, dict(pynvml._nvmlGetFunctionPointer_cache)
        pynvml.nvmlLib = self
        pynvml._nvmlGetFunctionPointer_cache.clear()
        try:
            yield self
        finally:
            pynvml.nvmlLib = library
            pynvml._nvmlGetFunctionPointer_cache.clear()
            pynvml._nvmlGetFunctionPointer_cache.update(pointers)

    def __getattr__(self, symbol: str) -> _Symbol:
        answer = _PLAIN.get(symbol) or _OF_DEVICE.get(symbol)
        if answer is None or symbol in self.missing:
            raise AttributeError(symbol)
        return _Symbol(self, symbol, answer, of_device=symbol in _OF_DEVICE)

    def hand_out(self, gpu: FakeGPU, out: Any) -> None:
        self._handles.append(gpu)
        ctypes.c_void_p.from_address(ctypes.addressof(out._obj)).value = len(self._handles)

    def gpu_of(self, handle: Any) -> FakeGPU:
        return self._handles[(ctypes.cast(handle, ctypes.c_void_p).value or 0) - 1]


@dataclasses.dataclass
class _Symbol:
    """A function of the library, as ctypes would give it; the binding may set `restype`."""

    library: FakeNvml
    symbol: str
    answer: Callable[..., int | None]
    of_device: bool
    restype: Any = None

    def __call__(self, *arguments: Any) -> int:
        library = self.library
        library.calls[self.symbol] += 1
        if self.symbol in library.errors:
            return library.errors[self.symbol]
        if not self.of_device:
            return self.answer(library, *arguments) or SUCCESS
        gpu = library.gpu_of(arguments[0])
        library.calls_by_gpu[gpu.uuid, self.symbol] += 1
        code = gpu.errors.get(self.symbol, gpu.errors.get("*", SUCCESS))
        return code or self.answer(library, gpu, *arguments[1:]) or SUCCESS


def _put(field: str) -> Callable[..., None]:
    def answer(library: FakeNvml, gpu: FakeGPU, out: Any) -> None:
        out._obj.value = getattr(gpu, field)

    return answer


def _put_text(field: str) -> Callable[..., None]:
    def answer(library: FakeNvml, gpu: FakeGPU, buffer: Any, size: Any) -> None:
        buffer.value = getattr(gpu, field).encode()

    return answer


def _count(library: FakeNvml, out: Any) -> None:
    out._obj.value = len(library.gpus)


def _handle(library: FakeNvml, index: Any, out: Any) -> int | None:
    if index.value >= len(library.gpus):
        return INVALID_ARGUMENT
    gpu = library.gpus[index.value]
    library.hand_out(gpu, out)
    return gpu.errors.get("nvmlDeviceGetHandleByIndex_v2")


def _temperature_v(library: FakeNvml, gpu: FakeGPU, out: Any) -> None:
    out._obj.temperature = gpu.temperature


def _temperature(library: FakeNvml, gpu: FakeGPU, sensor: Any, out: Any) -> None:
    out._obj.value = gpu.temperature


def _utilization(library: FakeNvml, gpu: FakeGPU, out: Any) -> None:
    out._obj.gpu, out._obj.memory = gpu.gpu_percent, gpu.memory_percent


def _memory(library: FakeNvml, gpu: FakeGPU, out: Any) -> None:
    out._obj.total, out._obj.used, out._obj.free = gpu.memory_total, gpu.memory_used, gpu.memory_total - gpu.memory_used


def _clock(library: FakeNvml, gpu: FakeGPU, kind: Any, out: Any) -> None:
    out._obj.value = gpu.clocks_mhz[kind.value]


def _ecc(library: FakeNvml, gpu: FakeGPU, error_type: Any, counter: Any, out: Any) -> None:
    out._obj.value = gpu.ecc_uncorrected if (error_type.value, counter.value) == (1, 1) else 0


def _mig_mode(library: FakeNvml, gpu: FakeGPU, current: Any, pending: Any) -> None:
    current._obj.value = pending._obj.value = gpu.mig_mode


def _mig_slots(library: FakeNvml, gpu: FakeGPU, out: Any) -> None:
    out._obj.value = 7


def _mig_instance(library: FakeNvml, gpu: FakeGPU, slot: Any, out: Any) -> int | None:
    if slot.value not in gpu.instances:
        return NOT_FOUND
    library.hand_out(gpu.instances[slot.value], out)
    return None


_PLAIN: dict[str, Callable[..., int | None]] = {
    "nvmlInitWithFlags": lambda library, flags: None,
    "nvmlShutdown": lambda library: None,
    "nvmlDeviceGetCount_v2": _count,
    "nvmlDeviceGetHandleByIndex_v2": _handle,
}
_OF_DEVICE: dict[str, Callable[..., int | None]] = {
    "nvmlDeviceGetName": _put_text("name"),
    "nvmlDeviceGetUUID": _put_text("uuid"),
    "nvmlDeviceGetTemperatureV": _temperature_v,
    "nvmlDeviceGetTemperature": _temperature,
    "nvmlDeviceGetUtilizationRates": _utilization,
    "nvmlDeviceGetMemoryInfo": _memory,
    "nvmlDeviceGetPowerUsage": _put("power_mw"),
    "nvmlDeviceGetEnforcedPowerLimit": _put("power_limit_mw"),
    "nvmlDeviceGetPowerManagementLimit": _put("power_limit_mw"),
    "nvmlDeviceGetTotalEnergyConsumption": _put("energy_mj"),
    "nvmlDeviceGetClockInfo": _clock,
    "nvmlDeviceGetCurrentClocksEventReasons": _put("throttle_bits"),
    "nvmlDeviceGetCurrentClocksThrottleReasons": _put("throttle_bits"),
    "nvmlDeviceGetTotalEccErrors": _ecc,
    "nvmlDeviceGetFanSpeed": _put("fan"),
    "nvmlDeviceGetPerformanceState": _put("performance_state"),
    "nvmlDeviceGetMigMode": _mig_mode,
    "nvmlDeviceGetMaxMigDeviceCount": _mig_slots,
    "nvmlDeviceGetMigDeviceHandleByIndex": _mig_instance,
}
