"""The questions put to one GPU: which NVML call fills which field, in which unit, and what to try where it is missing.

Each question stands alone. A question that the card or driver does not know is remembered and never put again
(`Answers`); any other failure is None for this sample only.

Source: NVIDIA's NVML API reference; module `pynvml` of the package nvidia-ml-py (the pip name `pynvml` is another,
deprecated one).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

MB = 2**20

# What slows a GPU that should not be slow. Left out: idle, application and display clocks, sync boost (somebody's
# settings) and the software power cap, which is common at full load.
THROTTLE_REASONS = {
    0x08: "hw_slowdown",
    0x20: "sw_thermal_slowdown",
    0x40: "hw_thermal_slowdown",
    0x80: "hw_power_brake_slowdown",
}

# NVML's codes of errors (nvmlReturn_t).
UNINITIALIZED, NOT_SUPPORTED, NO_PERMISSION, FUNCTION_NOT_FOUND = 1, 3, 4, 13
GPU_IS_LOST, RESET_REQUIRED, ARGUMENT_VERSION_MISMATCH, DEPRECATED = 15, 16, 25, 26
FOR_GOOD = {NOT_SUPPORTED, NO_PERMISSION, FUNCTION_NOT_FOUND, ARGUMENT_VERSION_MISMATCH, DEPRECATED}
GONE = {UNINITIALIZED, GPU_IS_LOST, RESET_REQUIRED}

Ask = Callable[[Any, Any], tuple[Any, ...]]  # (pynvml, handle) → the values of the question's fields


class GPUGone(Exception):
    """The device answers nothing any more: it fell off the bus, or needs a reset. Its handle is worth nothing."""


@dataclass(frozen=True)
class Question:
    """`fields` in the order in which each of `asks` answers; the asks are tried in turn, newest call first.

    `on_mig` says where it makes sense once a GPU is cut up: "parent" (power, clocks and heat are the board's), "child"
    (memory and identity are the instance's, too), "never" (NVML does not support utilisation on a GPU with MIG).
    """

    fields: tuple[str, ...]
    asks: tuple[Ask, ...]
    on_mig: str = "parent"


def _memory(nvml: Any, handle: Any) -> tuple[Any, ...]:
    # The first version of this call: its `used` is all that is not free, the driver's reserve included.
    # That is the figure which meets the total when the next allocation fails.
    memory = nvml.nvmlDeviceGetMemoryInfo(handle)
    percent = round(100.0 * memory.used / memory.total, 2) if memory.total else None
    return round(memory.used / MB, 1), round(memory.total / MB, 1), percent


def _utilization(nvml: Any, handle: Any) -> tuple[Any, ...]:
    rates = nvml.nvmlDeviceGetUtilizationRates(handle)
    return float(rates.gpu), float(rates.memory)


def _thousandth(call: str) -> Ask:
    """mW → W, mJ → J."""
    return lambda nvml, handle: (getattr(nvml, call)(handle) / 1000.0,)


def _plain(call: str, *arguments: str) -> Ask:
    """The answer as it is; the arguments are names of the module's constants."""
    return lambda nvml, handle: (getattr(nvml, call)(handle, *(getattr(nvml, name) for name in arguments)),)


def _reasons(call: str) -> Ask:
    def ask(nvml: Any, handle: Any) -> tuple[Any, ...]:
        bits = getattr(nvml, call)(handle)
        return ([name for bit, name in THROTTLE_REASONS.items() if bits & bit],)

    return ask


def _performance_state(nvml: Any, handle: Any) -> tuple[Any, ...]:
    state = nvml.nvmlDeviceGetPerformanceState(handle)
    return (state if 0 <= state <= 15 else None,)  # 32 stands for "unknown"


def _text(call: str) -> Ask:
    def ask(nvml: Any, handle: Any) -> tuple[Any, ...]:
        answer = getattr(nvml, call)(handle)
        if isinstance(answer, bytes):  # old versions of the binding
            answer = answer.decode("utf-8", "replace")
        return (answer,)

    return ask


UUID = Question(("uuid",), (_text("nvmlDeviceGetUUID"),), on_mig="child")
NAME = Question(("name",), (_text("nvmlDeviceGetName"),), on_mig="child")
MIG_MODE = Question(("mig_mode",), (lambda nvml, handle: (nvml.nvmlDeviceGetMigMode(handle)[0],),))

QUESTIONS: tuple[Question, ...] = (
    Question(
        ("temperature",),
        (
            _plain("nvmlDeviceGetTemperatureV", "NVML_TEMPERATURE_GPU"),
            _plain("nvmlDeviceGetTemperature", "NVML_TEMPERATURE_GPU"),
        ),
    ),
    Question(("utilization_percent", "memory_utilization_percent"), (_utilization,), on_mig="never"),
    Question(("memory_used_mb", "memory_total_mb", "memory_percent"), (_memory,), on_mig="child"),
    Question(("power_draw_watts",), (_thousandth("nvmlDeviceGetPowerUsage"),)),
    Question(
        ("power_limit_watts",),
        (_thousandth("nvmlDeviceGetEnforcedPowerLimit"), _thousandth("nvmlDeviceGetPowerManagementLimit")),
    ),
    Question(("sm_clock_mhz",), (_plain("nvmlDeviceGetClockInfo", "NVML_CLOCK_SM"),)),
    Question(("memory_clock_mhz",), (_plain("nvmlDeviceGetClockInfo", "NVML_CLOCK_MEM"),)),
    Question(
        ("throttle_reasons",),
        (_reasons("nvmlDeviceGetCurrentClocksEventReasons"), _reasons("nvmlDeviceGetCurrentClocksThrottleReasons")),
    ),
    Question(
        ("ecc_uncorrected_total",),
        # Aggregate: over the board's life, so that the count survives a restart of the driver.
        (_plain("nvmlDeviceGetTotalEccErrors", "NVML_MEMORY_ERROR_TYPE_UNCORRECTED", "NVML_AGGREGATE_ECC"),),
    ),
    Question(("energy_joules",), (_thousandth("nvmlDeviceGetTotalEnergyConsumption"),)),
    Question(("fan_percent",), (_plain("nvmlDeviceGetFanSpeed"),)),
    Question(("performance_state",), (_performance_state,)),
)

FIELDS = tuple(name for question in QUESTIONS for name in question.fields)


@dataclass
class Answers:
    """Puts questions to one device and remembers which of their calls it does not know."""

    known_missing: dict[tuple[str, ...], int] = field(default_factory=dict)  # fields → how many of the asks are used up
    succeeded: int = 0
    failed: int = 0

    def ask(self, nvml: Any, handle: Any, question: Question) -> tuple[Any, ...]:
        """The values of the question's fields; all None when they cannot be had. Raises GPUGone for a lost device."""
        nothing = (None,) * len(question.fields)
        for index in range(self.known_missing.get(question.fields, 0), len(question.asks)):
            try:
                values = question.asks[index](nvml, handle)
            except nvml.NVMLError as error:
                if error.value in GONE:
                    raise GPUGone(str(error)) from error
                if error.value not in FOR_GOOD:
                    self.failed += 1
                    return nothing
            # Not an NVMLError although NVML raises it: the binding is newer than the driver. AttributeError: it is
            # older than the call. Neither changes while the process lives.
            except (nvml.NVMLLibraryMismatchError, AttributeError):
                pass
            except Exception:  # noqa: BLE001  # what ctypes makes of a driver's garbage: a name that is no UTF-8, say
                self.failed += 1
                return nothing
            else:
                self.succeeded += 1
                return values
            self.known_missing[question.fields] = index + 1
        return nothing


def ask_all(
    answers: Answers, nvml: Any, handle: Any, *, mig_parent: bool = False, mig_child: bool = False
) -> dict[str, Any]:
    """Every field of QUESTIONS; None where the device has no answer or the question makes no sense for it."""
    values: dict[str, Any] = dict.fromkeys(FIELDS)
    for question in _sensible(mig_parent, mig_child):
        values.update(zip(question.fields, answers.ask(nvml, handle, question), strict=True))
    return values


def _sensible(mig_parent: bool, mig_child: bool) -> Sequence[Question]:
    if mig_child:
        return [question for question in QUESTIONS if question.on_mig == "child"]
    if mig_parent:
        return [question for question in QUESTIONS if question.on_mig != "never"]
    return QUESTIONS
