"""The NVIDIA GPUs of this machine, through the driver's own library (NVML).

A monitor must outlive what it watches, so: no driver, no library or no `pynvml` means no GPUs, not an error; a call
that a card does not know costs one field, once; a GPU that falls off the bus stays in the list with its name and empty
fields while its neighbours go on. NVML finds a lost GPU again only after a new start, and a start can take seconds: it
is tried 30 s after a failure, then after twice as long each time, up to 10 minutes. A GPU keeps its `gpu_id` through
that, by its UUID, although NVML numbers those that remain anew.

`pynvml` is the module of the package nvidia-ml-py, the maintained one; the pip name `pynvml` is a deprecated wrapper.
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

from llmmonitor.sampling.gpu_fields import FIELDS, MIG_MODE, NAME, NO_PERMISSION, UUID, Answers, GPUGone, ask_all

logger = logging.getLogger(__name__)

FIRST_RETRY_SECONDS = 30.0
LONGEST_RETRY_SECONDS = 600.0


@dataclass
class _Device:
    """One GPU, or one MIG instance of it, as it was last seen. `handle` is None while it is lost."""

    gpu_id: int | str
    handle: Any
    name: str | None = None
    uuid: str | None = None
    answers: Answers = field(default_factory=Answers)
    children: dict[int, _Device] = field(default_factory=dict)  # MIG slot → instance

    def entry(self, values: dict[str, Any] | None = None) -> dict[str, Any]:
        return {"gpu_id": self.gpu_id, "name": self.name, "uuid": self.uuid, **(values or dict.fromkeys(FIELDS))}


class GPUSampler:
    """Reads all GPUs at each `sample`. Threads may share an instance; after a fork the child starts NVML for itself.

    A call can hang in the driver while a GPU is being reset: callers that must not wait bound the time themselves.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._nvml: Any = None
        self._running = False
        self._closed = False
        self._pid = os.getpid()
        self._devices: dict[str, _Device] = {}  # by UUID: NVML's numbers shift when a neighbour is lost
        self._said: set[str] = set()
        self._retry_at = float("-inf")
        self._retry_after = FIRST_RETRY_SECONDS

    def sample(self) -> list[dict[str, Any]]:
        """One dict a GPU, each followed by its MIG instances; [] without GPU or driver. Never raises.

        gpu_id (0, 1, …; "0:1" is MIG slot 1 of GPU 0), name, uuid, temperature (°C), utilization_percent,
        memory_utilization_percent, memory_used_mb, memory_total_mb (2**20 bytes), memory_percent, power_draw_watts,
        power_limit_watts, sm_clock_mhz, memory_clock_mhz, throttle_reasons (names; empty when nothing slows it),
        ecc_uncorrected_total, energy_joules (since the driver was loaded), fan_percent, performance_state (0 fastest
        … 15).
        None stands for what the device does not tell.
        """
        with self._lock:
            if self._closed:
                return []
            if self._pid != os.getpid():
                self._pid, self._running, self._retry_at = os.getpid(), False, float("-inf")
            handles = self._handles()
            starting = self._in_trouble() and self._clock() >= self._retry_at
            if starting:
                self._start()
            entries = [entry for device in self._in_order() for entry in self._read(device)]
            if not self._in_trouble():
                self._retry_after = FIRST_RETRY_SECONDS
            elif starting or self._handles() < handles:
                self._retry_at = self._clock() + self._retry_after
                self._retry_after = min(2 * self._retry_after, LONGEST_RETRY_SECONDS)
            return entries

    def close(self) -> None:
        """Let go of the driver; later samples are empty. Safe to call twice."""
        with self._lock:
            self._closed = True
            self._stop()

    def _handles(self) -> int:
        return sum(device.handle is not None for device in self._devices.values())

    def _in_trouble(self) -> bool:
        """NVML does not run, or a GPU is lost: in both cases only a new start can help."""
        return not self._running or self._handles() < len(self._devices)

    def _start(self) -> None:
        """Start NVML anew and find the devices; without success NVML does not run."""
        self._stop()
        for device in self._devices.values():
            device.handle = None
        try:
            self._nvml = self._nvml or importlib.import_module("pynvml")
            self._nvml.nvmlInit()
            self._running = True
            for index in range(self._nvml.nvmlDeviceGetCount()):
                self._find(index)
        except ImportError:
            self._say_once("no GPU samples: the module pynvml is missing (pip install nvidia-ml-py)")
        # Library not found, driver not loaded: a machine without GPU. Version mismatch: the driver was updated under a
        # running system, and only a reboot or reload helps. NVMLLibraryMismatchError is no NVMLError; hence everything.
        except Exception as error:  # noqa: BLE001
            self._say_once(f"no GPU samples for now: NVML does not start: {error}")
            self._stop()

    def _say_once(self, sentence: str) -> None:
        if sentence not in self._said:
            self._said.add(sentence)
            logger.info(sentence)

    def _stop(self) -> None:
        if not self._running:
            return
        self._running = False
        try:
            self._nvml.nvmlShutdown()
        except Exception as error:  # noqa: BLE001  # as in _start; the next start does not depend on it
            logger.debug("NVML does not shut down: %s", error)

    def _find(self, index: int) -> None:
        """Take up the GPU that NVML calls `index`: a known one gets its new handle, a new one the next free number."""
        answers = Answers()
        try:
            handle = self._nvml.nvmlDeviceGetHandleByIndex(index)
            (uuid,) = answers.ask(self._nvml, handle, UUID)
            (name,) = answers.ask(self._nvml, handle, NAME)
        except (self._nvml.NVMLError, GPUGone) as error:
            if getattr(error, "value", None) == NO_PERMISSION:
                return  # a container's view: NVML counts the host's other GPUs, too, but they are not ours to watch
            logger.warning("GPU %d does not answer: %s", index, error)
            if all(device.gpu_id != index for device in self._devices.values()):
                self._devices[f"index {index}"] = _Device(index, None)
            return
        key = uuid or f"index {index}"
        known = self._devices.get(key) or self._unseen_at(index)
        if known is None:
            taken = {device.gpu_id for device in self._devices.values()}
            known = _Device(next(n for n in range(index, index + len(taken) + 1) if n not in taken), None)
        self._devices = {k: device for k, device in self._devices.items() if device is not known} | {key: known}
        known.handle, known.uuid, known.name, known.answers = handle, uuid, name or known.name, answers

    def _unseen_at(self, index: int) -> _Device | None:
        """The place kept for a GPU that did not even tell its UUID when it was first counted."""
        device = self._devices.get(f"index {index}")
        return device if device is not None and device.uuid is None and device.handle is None else None

    def _in_order(self) -> list[_Device]:
        return sorted(self._devices.values(), key=lambda device: int(device.gpu_id))

    def _read(self, device: _Device) -> list[dict[str, Any]]:
        """The entries of one GPU and its MIG instances."""
        if device.handle is not None:
            answers = device.answers
            try:
                cut_up = answers.ask(self._nvml, device.handle, MIG_MODE) == (1,)
                answers.succeeded = answers.failed = 0
                entries = [device.entry(ask_all(answers, self._nvml, device.handle, mig_parent=cut_up))]
                if answers.failed and not answers.succeeded:
                    raise GPUGone("every call fails")  # some drivers say only "Unknown Error" of a GPU off the bus
                return entries + (self._read_instances(device) if cut_up else self._no_instances(device))
            except GPUGone as gone:
                logger.warning("GPU %s (%s) is lost: %s", device.gpu_id, device.name, gone)
                device.handle = None
        return [device.entry()] + [device.children[slot].entry() for slot in sorted(device.children)]

    def _no_instances(self, device: _Device) -> list[dict[str, Any]]:
        device.children.clear()
        return []

    def _read_instances(self, parent: _Device) -> list[dict[str, Any]]:
        """The MIG instances of a GPU. They are made and unmade while it runs, so each sample looks for them again."""
        try:
            slots = range(self._nvml.nvmlDeviceGetMaxMigDeviceCount(parent.handle))
        except self._nvml.NVMLError:
            slots = range(0)
        found: dict[int, _Device] = {}
        entries: list[dict[str, Any]] = []
        for slot in slots:
            try:
                handle = self._nvml.nvmlDeviceGetMigDeviceHandleByIndex(parent.handle, slot)
            except self._nvml.NVMLError:  # an empty slot
                continue
            child = parent.children.get(slot) or _Device(f"{parent.gpu_id}:{slot}", None)
            (uuid,) = child.answers.ask(self._nvml, handle, UUID)
            if uuid != child.uuid or child.handle is None:  # another instance than the one that was in this slot before
                child = _Device(child.gpu_id, handle, uuid=uuid)
                (name,) = child.answers.ask(self._nvml, handle, NAME)
                child.name = name or (f"{parent.name} MIG" if parent.name else None)
            child.handle = handle
            found[slot] = child
            entries.append(child.entry(ask_all(child.answers, self._nvml, handle, mig_child=True)))
        parent.children = found
        return entries
