"""Samples of the NVIDIA GPUs of this host, through the library of the driver (NVML).

Failures of GPUs and drivers must not stop the sampler. Without a driver, its library or `pynvml`, the list of GPUs is
empty. A call that a GPU does not support leaves its fields empty and is not made again. A GPU that falls off the bus
stays in the list, with its name and empty fields, and the other GPUs are still read.

NVML finds a lost GPU only after a restart of NVML, which can take seconds. A restart is tried 30 s after a failure; the
delay then doubles each time, up to 10 minutes. NVML may renumber the remaining GPUs; here, a GPU keeps its `gpu_id`,
because it is identified by its UUID.
"""

from __future__ import annotations

import importlib
import logging
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from llmmonitor.sampling.gpu_fields import FIELDS, MIG_MODE, NAME, NO_PERMISSION, UUID, DeviceReader, GPULost

logger = logging.getLogger(__name__)

FIRST_RETRY_SECONDS = 30.0
MAX_RETRY_SECONDS = 600.0


@dataclass
class _Device:
    """A GPU or a MIG instance of it. `handle` is None while it is lost."""

    gpu_id: int | str
    handle: Any
    name: str | None = None
    uuid: str | None = None
    reader: DeviceReader = field(default_factory=DeviceReader)
    children: dict[int, _Device] = field(default_factory=dict)  # MIG slot → instance

    def entry(self, values: dict[str, Any] | None = None) -> dict[str, Any]:
        return {"gpu_id": self.gpu_id, "name": self.name, "uuid": self.uuid, **(values or dict.fromkeys(FIELDS))}


class GPUSampler:
    """Samples all GPUs. Threads may share an instance. After a fork, the child starts NVML again.

    A call may block in the driver while a GPU is reset. A caller that must not block needs its own timeout.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._nvml: Any = None
        self._running = False
        self._closed = False
        self._pid = os.getpid()
        self._devices: dict[str, _Device] = {}  # by UUID, because NVML renumbers the GPUs when one is lost
        self._logged: set[str] = set()
        self._retry_at = float("-inf")
        self._retry_after = FIRST_RETRY_SECONDS

    def sample(self) -> list[dict[str, Any]]:
        """Return a dict for each GPU, followed by those of its MIG instances; [] without GPU or driver. Never raises.

        gpu_id (0, 1, …; "0:1" is MIG slot 1 of GPU 0), name, uuid, temperature (°C), utilization_percent,
        memory_utilization_percent, memory_used_mb, memory_total_mb (MiB), memory_percent, power_draw_watts,
        power_limit_watts, sm_clock_mhz, memory_clock_mhz, throttle_reasons (names; usually empty),
        ecc_uncorrected_total, energy_joules (since the driver was loaded), fan_percent, performance_state (0 fastest
        … 15).
        A field that the device does not report is None.
        """
        with self._lock:
            if self._closed:
                return []
            if self._pid != os.getpid():
                self._pid, self._running, self._retry_at = os.getpid(), False, float("-inf")
            handles = self._handles()
            restarted = self._needs_restart() and self._clock() >= self._retry_at
            if restarted:
                self._restart()
            entries = [entry for device in self._in_order() for entry in self._read(device)]
            if not self._needs_restart():
                self._retry_after = FIRST_RETRY_SECONDS
            elif restarted or self._handles() < handles:
                self._retry_at = self._clock() + self._retry_after
                self._retry_after = min(2 * self._retry_after, MAX_RETRY_SECONDS)
            return entries

    def close(self) -> None:
        """Shut NVML down; later samples are empty. May be called twice."""
        with self._lock:
            self._closed = True
            self._stop()

    def _handles(self) -> int:
        return sum(device.handle is not None for device in self._devices.values())

    def _needs_restart(self) -> bool:
        """Return whether NVML does not run or a GPU is lost."""
        return not self._running or self._handles() < len(self._devices)

    def _restart(self) -> None:
        """Restart NVML and add the devices. If this fails, NVML does not run."""
        self._stop()
        for device in self._devices.values():
            device.handle = None
        try:
            self._nvml = self._nvml or importlib.import_module("pynvml")
            self._nvml.nvmlInit()
            self._running = True
            for index in range(self._nvml.nvmlDeviceGetCount()):
                self._add_device(index)
        except ImportError:
            self._log_once("No GPU samples: the module pynvml is missing. Run `pip install nvidia-ml-py`.")
        # Library not found, driver not loaded: no GPU. Version mismatch: the driver was updated on the running system,
        # which needs a reboot or reload. NVMLLibraryMismatchError is no NVMLError, so all exceptions are caught.
        except Exception as error:  # noqa: BLE001
            self._log_once(f"No GPU samples, because NVML does not start ({error}).")
            self._stop()

    def _log_once(self, message: str) -> None:
        if message not in self._logged:
            self._logged.add(message)
            logger.info(message)

    def _stop(self) -> None:
        if not self._running:
            return
        self._running = False
        try:
            self._nvml.nvmlShutdown()
        except Exception as error:  # noqa: BLE001  # as in _restart; the next start does not depend on it
            logger.debug("NVML does not shut down: %s", error)

    def _add_device(self, index: int) -> None:
        """Set the handle of the GPU with this NVML index; a GPU that is not known yet gets the next free `gpu_id`."""
        reader = DeviceReader()
        try:
            handle = self._nvml.nvmlDeviceGetHandleByIndex(index)
            (uuid,) = reader.read(self._nvml, handle, UUID)
            (name,) = reader.read(self._nvml, handle, NAME)
        except (self._nvml.NVMLError, GPULost) as error:
            if getattr(error, "value", None) == NO_PERMISSION:
                return  # in a container, NVML also counts the GPUs of the host that the container may not use
            logger.warning("GPU %d does not respond: %s", index, error)
            if all(device.gpu_id != index for device in self._devices.values()):
                self._devices[f"index {index}"] = _Device(index, None)
            return
        key = uuid or f"index {index}"
        device = self._devices.get(key) or self._unidentified(index)
        if device is None:
            used_ids = {other.gpu_id for other in self._devices.values()}
            device = _Device(next(n for n in range(index, index + len(used_ids) + 1) if n not in used_ids), None)
        self._devices = {k: other for k, other in self._devices.items() if other is not device} | {key: device}
        device.handle, device.uuid, device.name, device.reader = handle, uuid, name or device.name, reader

    def _unidentified(self, index: int) -> _Device | None:
        """Return the entry of a GPU that did not respond when it was counted first, so that its UUID is unknown."""
        device = self._devices.get(f"index {index}")
        return device if device is not None and device.uuid is None and device.handle is None else None

    def _in_order(self) -> list[_Device]:
        return sorted(self._devices.values(), key=lambda device: int(device.gpu_id))

    def _read(self, device: _Device) -> list[dict[str, Any]]:
        """Return the entries of a GPU and its MIG instances."""
        if device.handle is not None:
            reader = device.reader
            try:
                has_mig = reader.read(self._nvml, device.handle, MIG_MODE) == (1,)
                reader.succeeded = reader.failed = 0
                entries = [device.entry(reader.read_all(self._nvml, device.handle, mig_parent=has_mig))]
                if reader.failed and not reader.succeeded:
                    raise GPULost("every call fails")  # some drivers return "Unknown Error" for a GPU off the bus
                if has_mig:
                    return entries + self._read_instances(device)
                device.children.clear()
                return entries
            except GPULost as error:
                logger.warning("GPU %s (%s) is lost: %s", device.gpu_id, device.name, error)
                device.handle = None
        return [device.entry()] + [device.children[slot].entry() for slot in sorted(device.children)]

    def _read_instances(self, parent: _Device) -> list[dict[str, Any]]:
        """Return the entries of the MIG instances of a GPU, which may be created and deleted between two samples."""
        try:
            slots = range(self._nvml.nvmlDeviceGetMaxMigDeviceCount(parent.handle))
        except self._nvml.NVMLError:
            slots = range(0)
        children: dict[int, _Device] = {}
        entries: list[dict[str, Any]] = []
        for slot in slots:
            try:
                handle = self._nvml.nvmlDeviceGetMigDeviceHandleByIndex(parent.handle, slot)
            except self._nvml.NVMLError:  # an empty slot
                continue
            child = parent.children.get(slot) or _Device(f"{parent.gpu_id}:{slot}", None)
            (uuid,) = child.reader.read(self._nvml, handle, UUID)
            if uuid != child.uuid or child.handle is None:  # a different instance is now in this slot
                child = _Device(child.gpu_id, handle, uuid=uuid)
                (name,) = child.reader.read(self._nvml, handle, NAME)
                child.name = name or (f"{parent.name} MIG" if parent.name else None)
            child.handle = handle
            children[slot] = child
            entries.append(child.entry(child.reader.read_all(self._nvml, handle, mig_child=True)))
        parent.children = children
        return entries
