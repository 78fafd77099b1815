from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pynvml
import pytest

from llmmonitor.sampling import GPUSampler
from llmmonitor.sampling.gpu_fields import FIELDS
from tests.llmmonitor.sampling.fake_nvml import (
    DRIVER_NOT_LOADED,
    GIB,
    GPU_IS_LOST,
    LIB_RM_VERSION_MISMATCH,
    LIBRARY_NOT_FOUND,
    NO_PERMISSION,
    NOT_SUPPORTED,
    UNKNOWN,
    FakeGPU,
    FakeNvml,
)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def driver() -> Iterator[FakeNvml]:
    """A driver with two GPUs, `a` and `b`."""
    with FakeNvml(FakeGPU(uuid="GPU-a"), FakeGPU(uuid="GPU-b", temperature=48)).installed() as library:
        yield library


@pytest.fixture
def sampler(driver: FakeNvml, clock: Clock) -> GPUSampler:
    return GPUSampler(clock=clock)


def empty(entry: dict[str, Any]) -> bool:
    return all(entry[name] is None for name in FIELDS)


class ASampleOfTwoGPUs:
    def test_has_every_field_of_each_in_our_units(self, sampler: GPUSampler) -> None:
        first, second = sampler.sample()

        assert first == {
            "gpu_id": 0,
            "name": "NVIDIA H100 80GB HBM3",
            "uuid": "GPU-a",
            "temperature": 61,
            "utilization_percent": 87.0,
            "memory_utilization_percent": 40.0,
            "memory_used_mb": 20 * 1024.0,
            "memory_total_mb": 80 * 1024.0,
            "memory_percent": 25.0,
            "power_draw_watts": 412.345,
            "power_limit_watts": 700.0,
            "sm_clock_mhz": 1980,
            "memory_clock_mhz": 2619,
            "throttle_reasons": [],
            "ecc_uncorrected_total": 2,
            "energy_joules": 9_876_543.21,
            "fan_percent": 55,
            "performance_state": 0,
        }
        assert (second["gpu_id"], second["uuid"], second["temperature"]) == (1, "GPU-b", 48)

    def test_starts_the_driver_once_for_many_samples(self, driver: FakeNvml, sampler: GPUSampler, clock: Clock) -> None:
        for _ in range(5):
            sampler.sample()
            clock.now += 1000

        assert driver.calls["nvmlInitWithFlags"] == 1
        assert driver.calls["nvmlDeviceGetFanSpeed"] == 10

    def test_leaves_out_a_gpu_that_the_container_may_not_open(
        self, driver: FakeNvml, sampler: GPUSampler, clock: Clock
    ) -> None:
        driver.gpus[0].errors["nvmlDeviceGetHandleByIndex_v2"] = NO_PERMISSION

        assert [entry["uuid"] for entry in sampler.sample()] == ["GPU-b"]
        clock.now += 1000
        sampler.sample()
        assert driver.calls["nvmlInitWithFlags"] == 1


class ACallThatACardDoesNotKnow:
    @pytest.mark.parametrize(
        ("symbol", "fields"),
        [
            ("nvmlDeviceGetFanSpeed", {"fan_percent"}),
            ("nvmlDeviceGetPowerUsage", {"power_draw_watts"}),
            ("nvmlDeviceGetTotalEccErrors", {"ecc_uncorrected_total"}),
            ("nvmlDeviceGetMemoryInfo", {"memory_used_mb", "memory_total_mb", "memory_percent"}),
            ("nvmlDeviceGetUtilizationRates", {"utilization_percent", "memory_utilization_percent"}),
            ("nvmlDeviceGetTotalEnergyConsumption", {"energy_joules"}),
            ("nvmlDeviceGetClockInfo", {"sm_clock_mhz", "memory_clock_mhz"}),
        ],
    )
    @pytest.mark.parametrize("code", [NOT_SUPPORTED, NO_PERMISSION])
    def test_empties_its_fields_on_that_card_alone_and_is_not_made_again(
        self, driver: FakeNvml, sampler: GPUSampler, symbol: str, fields: set[str], code: int
    ) -> None:
        driver.gpus[1].errors[symbol] = code

        for _ in range(3):
            first, second = sampler.sample()

        assert all(first[name] is not None for name in FIELDS)
        assert {name for name in FIELDS if second[name] is None} == fields
        once = 2 if symbol == "nvmlDeviceGetClockInfo" else 1  # that one is asked for two clocks
        assert driver.calls_by_gpu["GPU-b", symbol] == once
        assert driver.calls_by_gpu["GPU-a", symbol] == 3 * once

    @pytest.mark.parametrize(
        ("symbol", "older", "name", "value"),
        [
            ("nvmlDeviceGetTemperatureV", "nvmlDeviceGetTemperature", "temperature", 61),
            (
                "nvmlDeviceGetCurrentClocksEventReasons",
                "nvmlDeviceGetCurrentClocksThrottleReasons",
                "throttle_reasons",
                [],
            ),
            ("nvmlDeviceGetEnforcedPowerLimit", "nvmlDeviceGetPowerManagementLimit", "power_limit_watts", 700.0),
        ],
    )
    def test_gives_way_to_its_older_name_on_an_older_driver(
        self, driver: FakeNvml, sampler: GPUSampler, symbol: str, older: str, name: str, value: Any
    ) -> None:
        driver.missing.add(symbol)

        sampler.sample()
        assert sampler.sample()[0][name] == value

        assert driver.calls_by_gpu["GPU-a", older] == 2

    def test_is_only_empty_when_the_older_name_is_missing_too(self, driver: FakeNvml, sampler: GPUSampler) -> None:
        driver.missing |= {"nvmlDeviceGetTemperatureV", "nvmlDeviceGetTemperature"}

        first = sampler.sample()[0]

        assert first["temperature"] is None
        assert first["utilization_percent"] == 87.0

    def test_may_be_one_that_the_binding_refuses_for_the_driver(
        self, driver: FakeNvml, sampler: GPUSampler, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        tried = []

        def refuse(handle: Any) -> int:
            tried.append(handle)
            raise pynvml.NVMLLibraryMismatchError("driver too old for this function")

        monkeypatch.setattr(pynvml, "nvmlDeviceGetPowerUsage", refuse)

        for _ in range(3):
            first, _second = sampler.sample()

        assert first["power_draw_watts"] is None
        assert first["temperature"] == 61
        assert len(tried) == 2  # once a GPU

    def test_may_be_missing_from_an_older_binding(self, sampler: GPUSampler, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delattr(pynvml, "nvmlDeviceGetTemperatureV")

        assert sampler.sample()[0]["temperature"] == 61


class ACallThatFailsForAMoment:
    def test_is_made_again_at_the_next_sample(self, driver: FakeNvml, sampler: GPUSampler) -> None:
        driver.gpus[0].errors["nvmlDeviceGetPowerUsage"] = UNKNOWN

        assert sampler.sample()[0]["power_draw_watts"] is None
        driver.gpus[0].errors.clear()

        assert sampler.sample()[0]["power_draw_watts"] == 412.345

    def test_does_not_condemn_the_whole_card(self, driver: FakeNvml, sampler: GPUSampler, clock: Clock) -> None:
        driver.gpus[0].errors["nvmlDeviceGetFanSpeed"] = UNKNOWN

        for _ in range(3):
            assert sampler.sample()[0]["temperature"] == 61
            clock.now += 1000
        assert driver.calls["nvmlInitWithFlags"] == 1


class AGPUThatFallsOffTheBus:
    @pytest.mark.parametrize("code", [GPU_IS_LOST, UNKNOWN])
    def test_stays_in_the_list_with_its_name_and_empty_fields(
        self, driver: FakeNvml, sampler: GPUSampler, code: int
    ) -> None:
        sampler.sample()
        driver.gpus[0].errors["*"] = code

        first, second = sampler.sample()

        assert (first["gpu_id"], first["name"], first["uuid"]) == (0, "NVIDIA H100 80GB HBM3", "GPU-a")
        assert empty(first)
        assert second["temperature"] == 48

    def test_is_empty_altogether_when_one_call_says_that_it_is_lost(
        self, driver: FakeNvml, sampler: GPUSampler
    ) -> None:
        sampler.sample()
        driver.gpus[0].errors["nvmlDeviceGetPerformanceState"] = GPU_IS_LOST  # the last call of a sample

        assert [empty(entry) for entry in sampler.sample()] == [True, False]

    def test_is_left_alone_until_the_next_start(self, driver: FakeNvml, sampler: GPUSampler, clock: Clock) -> None:
        sampler.sample()
        driver.gpus[0].errors["*"] = GPU_IS_LOST
        sampler.sample()
        before = {key: n for key, n in driver.calls_by_gpu.items() if key[0] == "GPU-a"}

        for _ in range(29):
            clock.now += 1
            sampler.sample()

        assert {key: n for key, n in driver.calls_by_gpu.items() if key[0] == "GPU-a"} == before
        assert driver.calls["nvmlInitWithFlags"] == 1

    @pytest.mark.parametrize("code", [GPU_IS_LOST, UNKNOWN])
    def test_makes_the_driver_start_again_after_30_seconds_then_more_and_more_seldom(
        self, driver: FakeNvml, sampler: GPUSampler, clock: Clock, code: int
    ) -> None:
        sampler.sample()
        driver.gpus[0].errors["*"] = code
        start = clock.now
        starts = []
        for _ in range(3600):
            before = driver.calls["nvmlInitWithFlags"]
            sampler.sample()
            if driver.calls["nvmlInitWithFlags"] > before:
                starts.append(clock.now - start)
            clock.now += 1

        assert starts == [30, 90, 210, 450, 930, 1530, 2130, 2730, 3330]

    def test_is_read_again_when_it_came_back(self, driver: FakeNvml, sampler: GPUSampler, clock: Clock) -> None:
        sampler.sample()
        driver.gpus[0].errors["*"] = GPU_IS_LOST
        sampler.sample()
        driver.gpus[0].errors.clear()

        clock.now += 30

        assert [entry["temperature"] for entry in sampler.sample()] == [61, 48]

    def test_is_looked_for_after_30_seconds_each_time_that_it_is_lost_anew(
        self, driver: FakeNvml, sampler: GPUSampler, clock: Clock
    ) -> None:
        for _ in range(3):
            driver.gpus[0].errors.clear()
            assert [empty(entry) for entry in sampler.sample()] == [False, False]
            driver.gpus[0].errors["*"] = GPU_IS_LOST
            assert [empty(entry) for entry in sampler.sample()] == [True, False]
            clock.now += 30

    def test_keeps_its_number_when_the_driver_numbers_the_others_anew(
        self, driver: FakeNvml, sampler: GPUSampler, clock: Clock
    ) -> None:
        sampler.sample()
        lost = driver.gpus[0]
        lost.errors["*"] = GPU_IS_LOST
        sampler.sample()

        del driver.gpus[0]
        clock.now += 30
        first, second = sampler.sample()

        assert (first["gpu_id"], first["uuid"], empty(first)) == (0, "GPU-a", True)
        assert (second["gpu_id"], second["uuid"], second["temperature"]) == (1, "GPU-b", 48)

    def test_counts_even_when_it_was_lost_before_we_started(
        self, driver: FakeNvml, sampler: GPUSampler, clock: Clock
    ) -> None:
        driver.gpus[0].errors["nvmlDeviceGetHandleByIndex_v2"] = GPU_IS_LOST

        first, second = sampler.sample()

        assert (first["gpu_id"], first["name"], empty(first)) == (0, None, True)
        assert second["gpu_id"] == 1
        driver.gpus[0].errors.clear()
        clock.now += 30
        assert [(entry["gpu_id"], entry["uuid"]) for entry in sampler.sample()] == [(0, "GPU-a"), (1, "GPU-b")]

    def test_stays_in_the_list_when_the_driver_does_not_come_up_again(
        self, driver: FakeNvml, sampler: GPUSampler, clock: Clock
    ) -> None:
        sampler.sample()
        driver.gpus[0].errors["*"] = GPU_IS_LOST
        sampler.sample()
        driver.errors["nvmlInitWithFlags"] = DRIVER_NOT_LOADED
        clock.now += 30

        assert [empty(entry) for entry in sampler.sample()] == [True, True]


class AMachineWithoutADriver:
    @pytest.mark.parametrize("code", [LIBRARY_NOT_FOUND, DRIVER_NOT_LOADED, LIB_RM_VERSION_MISMATCH])
    def test_has_no_gpus_and_is_not_asked_each_second(
        self, driver: FakeNvml, sampler: GPUSampler, clock: Clock, code: int
    ) -> None:
        driver.errors["nvmlInitWithFlags"] = code

        for _ in range(90):
            assert sampler.sample() == []
            clock.now += 1

        assert driver.calls["nvmlInitWithFlags"] == 2  # at 0 s and at 30 s; the next at 90 s

    def test_has_no_gpus_when_the_library_is_not_there(self, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
        loads = []

        def no_such_file(name: str) -> None:
            loads.append(name)
            raise OSError(f"{name}: cannot open shared object file")

        monkeypatch.setattr(pynvml, "nvmlLib", None)
        monkeypatch.setattr(pynvml, "CDLL", no_such_file)
        sampler = GPUSampler(clock=clock)

        assert [sampler.sample() for _ in range(3)] == [[], [], []]
        assert len(loads) == 1

    def test_shows_its_gpus_once_the_driver_is_loaded(
        self, driver: FakeNvml, sampler: GPUSampler, clock: Clock
    ) -> None:
        driver.errors["nvmlInitWithFlags"] = DRIVER_NOT_LOADED
        assert sampler.sample() == []

        driver.errors.clear()
        clock.now += 30

        assert len(sampler.sample()) == 2

    def test_survives_a_binding_that_does_not_fit_the_library(
        self, driver: FakeNvml, sampler: GPUSampler, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse() -> None:
            raise pynvml.NVMLLibraryMismatchError("other version")

        monkeypatch.setattr(pynvml, "nvmlInit", refuse)

        assert sampler.sample() == []


class AGPUCutIntoInstances:
    @pytest.fixture
    def cut_up(self, driver: FakeNvml) -> FakeGPU:
        gpu = driver.gpus[0]
        gpu.mig_mode = 1
        gpu.instances = {
            0: FakeGPU(uuid="MIG-x", name="NVIDIA H100 MIG 1g.10gb", memory_used=GIB, memory_total=10 * GIB),
            2: FakeGPU(uuid="MIG-y", name="NVIDIA H100 MIG 2g.20gb", memory_used=5 * GIB, memory_total=20 * GIB),
        }
        return gpu

    def test_is_followed_by_them(self, cut_up: FakeGPU, sampler: GPUSampler) -> None:
        entries = sampler.sample()

        assert [entry["gpu_id"] for entry in entries] == [0, "0:0", "0:2", 1]
        assert [entry["memory_percent"] for entry in entries] == [25.0, 10.0, 25.0, 25.0]
        assert entries[1]["name"] == "NVIDIA H100 MIG 1g.10gb"

    def test_keeps_heat_and_power_but_has_no_utilisation(
        self, cut_up: FakeGPU, driver: FakeNvml, sampler: GPUSampler
    ) -> None:
        parent, child, _, other = sampler.sample()

        assert parent["utilization_percent"] is None
        assert (parent["temperature"], parent["power_draw_watts"]) == (61, 412.345)
        assert (child["temperature"], child["power_draw_watts"]) == (None, None)
        assert driver.calls_by_gpu["GPU-a", "nvmlDeviceGetUtilizationRates"] == 0
        assert other["utilization_percent"] == 87.0

    def test_follows_instances_that_are_made_and_unmade(self, cut_up: FakeGPU, sampler: GPUSampler) -> None:
        sampler.sample()
        cut_up.instances = {2: FakeGPU(uuid="MIG-z", name="NVIDIA H100 MIG 3g.40gb")}
        assert [(entry["gpu_id"], entry["uuid"], entry["name"]) for entry in sampler.sample()[1:2]] == [
            ("0:2", "MIG-z", "NVIDIA H100 MIG 3g.40gb")
        ]

        cut_up.mig_mode = 0
        entries = sampler.sample()
        assert [entry["gpu_id"] for entry in entries] == [0, 1]
        assert entries[0]["utilization_percent"] == 87.0

        cut_up.errors["*"] = GPU_IS_LOST
        assert [entry["gpu_id"] for entry in sampler.sample()] == [0, 1]

    def test_is_lost_with_them(self, cut_up: FakeGPU, sampler: GPUSampler) -> None:
        sampler.sample()
        cut_up.errors["*"] = GPU_IS_LOST

        entries = sampler.sample()

        assert [(entry["gpu_id"], empty(entry)) for entry in entries] == [
            (0, True),
            ("0:0", True),
            ("0:2", True),
            (1, False),
        ]

    def test_is_whole_on_cards_without_the_feature(self, driver: FakeNvml, sampler: GPUSampler) -> None:
        driver.gpus[0].errors["nvmlDeviceGetMigMode"] = NOT_SUPPORTED

        sampler.sample()
        assert sampler.sample()[0]["utilization_percent"] == 87.0

        assert driver.calls_by_gpu["GPU-a", "nvmlDeviceGetMigMode"] == 1


class TheReasonsForASlowClock:
    @pytest.mark.parametrize(
        ("bits", "names"),
        [
            (0x0, []),
            (0x1 | 0x2 | 0x4 | 0x10 | 0x100, []),
            (0x08, ["hw_slowdown"]),
            (0x20, ["sw_thermal_slowdown"]),
            (0x48, ["hw_slowdown", "hw_thermal_slowdown"]),
            (0x84, ["hw_power_brake_slowdown"]),
            (0xFFFF, ["hw_slowdown", "sw_thermal_slowdown", "hw_thermal_slowdown", "hw_power_brake_slowdown"]),
        ],
    )
    def test_are_those_that_point_to_trouble(
        self, driver: FakeNvml, sampler: GPUSampler, bits: int, names: list[str]
    ) -> None:
        driver.gpus[0].throttle_bits = bits

        assert sampler.sample()[0]["throttle_reasons"] == names


class AnUnknownPerformanceState:
    def test_is_empty(self, driver: FakeNvml, sampler: GPUSampler) -> None:
        driver.gpus[0].performance_state = 32

        assert sampler.sample()[0]["performance_state"] is None


class TheEndOfASampler:
    def test_lets_go_of_the_driver_once(self, driver: FakeNvml, sampler: GPUSampler) -> None:
        sampler.sample()

        sampler.close()
        sampler.close()

        assert driver.calls["nvmlShutdown"] == 1
        assert sampler.sample() == []

    def test_a_fork_starts_the_driver_for_itself(
        self, driver: FakeNvml, sampler: GPUSampler, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        sampler.sample()
        monkeypatch.setattr(os, "getpid", lambda: 424242)

        assert len(sampler.sample()) == 2
        assert driver.calls["nvmlInitWithFlags"] == 2
        assert driver.calls["nvmlShutdown"] == 0
