from __future__ import annotations

import os
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from llmmonitor.sampling import GPUSampler, HostSampler, SystemSampler, sample_host
from llmmonitor.sampling.cgroup import Cgroup, CPUUse
from tests.llmmonitor.sampling.fake_nvml import FakeGPU, FakeNvml

FIELDS = {
    *("host", "platform", "cpu_percent", "cpu_count", "per_core_percent", "memory_percent", "memory_used_gb"),
    *("memory_total_gb", "swap_percent", "disk_percent", "disk_read_bytes", "disk_write_bytes", "network_bytes_sent"),
    *("network_bytes_recv", "load_average", "monitor_cpu_percent", "monitor_memory_mb"),
}


class Times(tuple[float, ...]):
    """psutil's scputimes with the fields that matter."""

    user = property(lambda self: self[0])
    idle = property(lambda self: self[1])
    iowait = property(lambda self: self[2])


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def no_container(tmp_path: Path) -> dict[str, Path]:
    """Roots under which no control group is found."""
    return {"cgroup_root": tmp_path / "no-cgroup", "proc_root": tmp_path / "no-proc"}


def write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")


class ASampleOfThisMachine:
    def test_has_every_field_filled_here(self, tmp_path: Path) -> None:
        sample = SystemSampler(host="box", data_dir=tmp_path).sample()

        assert set(sample) == FIELDS
        assert sample["host"] == "box"
        assert [
            name for name in ("memory_percent", "disk_percent", "load_average", "cpu_count") if sample[name] is None
        ] == []

    def test_agrees_with_psutil_outside_a_container(self, tmp_path: Path, no_container: dict[str, Path]) -> None:
        sampler = SystemSampler(data_dir=tmp_path, **no_container)

        net0, load = psutil.net_io_counters(), psutil.getloadavg()
        sample = sampler.sample()
        memory, disk, net1 = psutil.virtual_memory(), psutil.disk_usage(str(tmp_path)), psutil.net_io_counters()

        assert sample["memory_total_gb"] == pytest.approx(memory.total / 2**30, abs=0.001)
        assert sample["memory_percent"] == pytest.approx(memory.percent, abs=3)
        assert sample["memory_used_gb"] == pytest.approx((memory.total - memory.available) / 2**30, rel=0.1, abs=0.2)
        assert sample["disk_percent"] == pytest.approx(disk.percent, abs=0.5)
        assert net0.bytes_sent <= sample["network_bytes_sent"] <= net1.bytes_sent
        assert net0.bytes_recv <= sample["network_bytes_recv"] <= net1.bytes_recv
        assert sample["load_average"] == pytest.approx(load, abs=1)
        assert sample["cpu_count"] == psutil.cpu_count()
        assert sample["monitor_memory_mb"] == pytest.approx(psutil.Process().memory_info().rss / 2**20, rel=0.1)

    def test_takes_the_filesystem_above_a_data_directory_that_is_not_made_yet(self, tmp_path: Path) -> None:
        sample = SystemSampler(data_dir=tmp_path / "not" / "yet").sample()

        assert sample["disk_percent"] == pytest.approx(psutil.disk_usage(str(tmp_path)).percent, abs=0.5)

    def test_is_named_after_the_machine_when_nobody_names_it(self) -> None:
        assert SystemSampler().sample()["host"] == os.uname().nodename


class TheProcessorsPercentage:
    @pytest.fixture
    def cores(self, monkeypatch: pytest.MonkeyPatch) -> list[Times]:
        """Two cores' counters: user, idle, waiting for a disk."""
        cores = [Times((100.0, 900.0, 0.0)), Times((200.0, 800.0, 0.0))]
        monkeypatch.setattr(psutil, "cpu_times", lambda percpu: list(cores))
        return cores

    def test_is_over_the_time_since_the_sample_before(self, cores: list[Times], no_container: dict[str, Path]) -> None:
        sampler = SystemSampler(**no_container)

        cores[:] = [Times((100.9, 900.1, 0.0)), Times((200.1, 800.4, 0.5))]
        sample = sampler.sample()

        assert sample["cpu_percent"] == 50.0  # a wait for the disk is idle
        assert sample["per_core_percent"] == [90.0, 10.0]

    def test_is_empty_rather_than_a_false_zero_when_no_time_has_passed(
        self, cores: list[Times], no_container: dict[str, Path]
    ) -> None:
        assert SystemSampler(**no_container).sample()["cpu_percent"] is None

    def test_is_the_same_again_within_one_step_of_the_kernels_counters(
        self, cores: list[Times], no_container: dict[str, Path]
    ) -> None:
        sampler = SystemSampler(**no_container)
        cores[:] = [Times((101.0, 900.0, 0.0)), Times((201.0, 800.0, 0.0))]

        assert [sampler.sample()["cpu_percent"] for _ in range(2)] == [100.0, 100.0]

    def test_is_right_whichever_thread_asks(self, cores: list[Times], no_container: dict[str, Path]) -> None:
        sampler = SystemSampler(**no_container)
        answers = []
        for seconds in (1.0, 2.0):
            cores[:] = [Times((100.0 + seconds, 900.0, 0.0)), Times((200.0, 800.0 + seconds, 0.0))]
            thread = threading.Thread(target=lambda: answers.append(sampler.sample()["cpu_percent"]))
            thread.start()
            thread.join()

        assert answers == [50.0, 50.0]

    def test_starts_anew_when_a_core_is_taken_away(self, cores: list[Times], no_container: dict[str, Path]) -> None:
        sampler = SystemSampler(**no_container)
        del cores[1]

        assert sampler.sample()["cpu_percent"] is None
        cores[:] = [Times((101.0, 901.0, 0.0))]
        assert sampler.sample()["cpu_percent"] == 50.0

    def test_stays_between_0_and_100_when_a_counter_steps_back(
        self, cores: list[Times], no_container: dict[str, Path]
    ) -> None:
        sampler = SystemSampler(**no_container)
        cores[:] = [Times((102.0, 899.9, 0.0)), Times((199.9, 802.0, 0.0))]

        assert sampler.sample()["per_core_percent"] == [100.0, 0.0]


class TheMonitorsOwnProcess:
    def test_is_measured_in_parts_of_one_core(self, clock: Clock, no_container: dict[str, Path]) -> None:
        process: Any = SimpleNamespace(
            cpu_times=lambda: SimpleNamespace(user=user, system=1.0),
            memory_info=lambda: SimpleNamespace(rss=90 * 2**20),
        )
        user = 5.0
        sampler = SystemSampler(process=process, clock=clock, **no_container)

        user, clock.now = 8.0, clock.now + 2.0
        sample = sampler.sample()

        assert sample["monitor_cpu_percent"] == 150.0
        assert sample["monitor_memory_mb"] == 90.0


class AFigureThatCannotBeRead:
    @pytest.mark.parametrize(
        ("function", "fields"),
        [
            ("virtual_memory", {"memory_percent", "memory_used_gb", "memory_total_gb"}),
            ("swap_memory", {"swap_percent"}),
            ("disk_usage", {"disk_percent"}),
            ("disk_io_counters", {"disk_read_bytes", "disk_write_bytes"}),
            ("net_io_counters", {"network_bytes_sent", "network_bytes_recv"}),
            ("getloadavg", {"load_average"}),
            ("cpu_times", {"cpu_percent", "per_core_percent"}),
            ("cpu_count", {"cpu_count"}),
            ("Process", {"monitor_cpu_percent", "monitor_memory_mb"}),
        ],
    )
    @pytest.mark.parametrize(
        "error", [PermissionError("hidden"), psutil.AccessDenied(1), NotImplementedError(), IndexError("parser")]
    )
    def test_is_empty_and_costs_no_other(
        self,
        monkeypatch: pytest.MonkeyPatch,
        clock: Clock,
        no_container: dict[str, Path],
        function: str,
        fields: set[str],
        error: Exception,
    ) -> None:
        ticks = iter(range(1, 100))
        monkeypatch.setattr(psutil, "cpu_times", lambda percpu: [Times((float(next(ticks)), 0.0, 0.0))])
        io = SimpleNamespace(read_bytes=1, write_bytes=2)
        monkeypatch.setattr(psutil, "disk_io_counters", lambda: io)  # some test machines have no disk of their own

        def fail(*args: Any, **options: Any) -> None:
            raise error

        monkeypatch.setattr(psutil, function, fail)
        sampler = SystemSampler(clock=clock, **no_container)
        clock.now += 1

        sample = sampler.sample()

        assert {name for name, value in sample.items() if value is None} == fields

    def test_is_empty_where_the_machine_has_no_such_device(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(psutil, "disk_io_counters", lambda: None)
        monkeypatch.setattr(psutil, "net_io_counters", lambda: None)

        sample = SystemSampler().sample()

        assert (sample["disk_read_bytes"], sample["network_bytes_recv"]) == (None, None)


GIB = 2**30
V2 = {
    "proc/self/cgroup": "0::/kubepods/pod/box",
    "sys/cgroup.controllers": "cpuset cpu memory",
    "sys/kubepods/pod/box/memory.max": str(2 * GIB),
    "sys/kubepods/pod/box/memory.current": str(GIB),
    "sys/kubepods/pod/box/memory.stat": f"anon 1\ninactive_file {GIB // 2}\nactive_file 7",
    "sys/kubepods/pod/box/cpu.max": "150000 100000",
    "sys/kubepods/pod/box/cpu.stat": "usage_usec 1000000\nuser_usec 1",
}
V1 = {
    "proc/self/cgroup": "5:memory:/docker/box\n3:cpu,cpuacct:/docker/box\n1:name=systemd:/\n0::/",
    "sys/memory/docker/box/memory.limit_in_bytes": str(2 * GIB),
    "sys/memory/docker/box/memory.usage_in_bytes": str(GIB),
    "sys/memory/docker/box/memory.stat": f"inactive_file 3\ntotal_inactive_file {GIB // 2}",
    "sys/cpu/docker/box/cpu.cfs_quota_us": "150000",
    "sys/cpu/docker/box/cpu.cfs_period_us": "100000",
    "sys/cpuacct/docker/box/cpuacct.usage": "1000000000",
}
HOST_MEMORY, HOST_CORES = 512 * GIB, 64


class AContainer:
    @pytest.fixture(params=["version 2", "version 1"])
    def tree(self, request: pytest.FixtureRequest, tmp_path: Path) -> Path:
        write(tmp_path, V2 if request.param == "version 2" else V1)
        return tmp_path

    @pytest.fixture(autouse=True)
    def big_host(self, monkeypatch: pytest.MonkeyPatch) -> None:
        memory = SimpleNamespace(total=HOST_MEMORY, available=HOST_MEMORY // 2)
        monkeypatch.setattr(psutil, "virtual_memory", lambda: memory)
        monkeypatch.setattr(psutil, "cpu_count", lambda logical=True: HOST_CORES)

    def sampler(self, tree: Path, clock: Clock) -> SystemSampler:
        return SystemSampler(clock=clock, cgroup_root=tree / "sys", proc_root=tree / "proc")

    def change(self, tree: Path, name: str, text: str) -> None:
        (path,) = tree.rglob(name)
        path.write_text(text)

    def test_shows_its_own_memory_without_the_cache_that_can_be_dropped(self, tree: Path, clock: Clock) -> None:
        sample = self.sampler(tree, clock).sample()

        assert sample["memory_total_gb"] == 2.0
        assert sample["memory_used_gb"] == 0.5
        assert sample["memory_percent"] == 25.0

    def test_shows_its_processor_time_as_a_share_of_its_quota(self, tree: Path, clock: Clock) -> None:
        sampler = self.sampler(tree, clock)

        clock.now += 2.0
        if (tree / "sys/cpuacct").exists():
            self.change(tree, "cpuacct.usage", "2500000000")
        else:
            self.change(tree, "cpu.stat", "user_usec 5\nusage_usec 2500000")
        sample = sampler.sample()

        assert sample["cpu_count"] == 1.5
        assert sample["cpu_percent"] == 50.0  # 1.5 s in 2 s of 1.5 cores

    def test_is_full_at_100_percent_during_a_burst(self, tree: Path, clock: Clock) -> None:
        sampler = self.sampler(tree, clock)
        clock.now += 1.0
        if (tree / "sys/cpuacct").exists():
            self.change(tree, "cpuacct.usage", "9000000000")
        else:
            self.change(tree, "cpu.stat", "usage_usec 9000000")

        assert sampler.sample()["cpu_percent"] == 100.0

    def test_gives_no_processor_share_before_any_time_has_passed(self, tree: Path, clock: Clock) -> None:
        assert self.sampler(tree, clock).sample()["cpu_percent"] is None

    def test_shows_the_machine_when_nothing_limits_it(self, tree: Path, clock: Clock) -> None:
        if (tree / "sys/cpuacct").exists():
            self.change(tree, "memory.limit_in_bytes", str(2**63 - 4096))
            self.change(tree, "cpu.cfs_quota_us", "-1")
        else:
            self.change(tree, "memory.max", "max")
            self.change(tree, "cpu.max", "max 100000")

        sample = self.sampler(tree, clock).sample()

        assert (sample["memory_total_gb"], sample["memory_percent"], sample["cpu_count"]) == (512.0, 50.0, 64.0)

    def test_shows_the_machine_when_its_limit_is_above_the_machines(self, tree: Path, clock: Clock) -> None:
        for path in [*tree.rglob("memory.max"), *tree.rglob("memory.limit_in_bytes")]:
            path.write_text(str(HOST_MEMORY * 2))

        assert self.sampler(tree, clock).sample()["memory_total_gb"] == 512.0

    @pytest.mark.parametrize("text", ["", "nonsense", "1 2 3", "\x00\xff", "-5", "0"])
    def test_shows_the_machine_when_its_files_hold_nonsense(self, tree: Path, clock: Clock, text: str) -> None:
        for path in tree.joinpath("sys").rglob("*.*"):
            if path.is_file() and path.name != "cgroup.controllers":
                path.write_text(text)

        sample = self.sampler(tree, clock).sample()

        assert (sample["memory_total_gb"], sample["cpu_count"]) == (512.0, 64.0)

    @pytest.mark.parametrize("gone", ["memory.current", "memory.usage_in_bytes", "cpu.stat", "cpuacct.usage"])
    def test_shows_the_machine_when_its_use_cannot_be_read(self, tree: Path, clock: Clock, gone: str) -> None:
        for path in tree.rglob(gone):
            path.unlink()
            path.mkdir()  # a directory: reading it fails for root, too

            sample = self.sampler(tree, clock).sample()
            field, value = ("memory_total_gb", 512.0) if gone.startswith("memory") else ("cpu_count", 64.0)
            assert sample[field] == value


class ThePathToAControlGroup:
    def memory(self, root: Path) -> tuple[int, int] | None:
        found = Cgroup(root / "sys", root / "proc").memory(HOST_MEMORY)
        return None if found is None else (found.used_bytes, found.limit_bytes)

    def test_leads_through_all_groups_and_the_tightest_counts(self, tmp_path: Path) -> None:
        write(tmp_path, {**V2, "sys/kubepods/memory.max": str(GIB), "sys/kubepods/memory.current": "77"})

        assert self.memory(tmp_path) == (77, GIB)

    def test_takes_the_outermost_of_equal_limits_for_the_neighbours_use_it_too(self, tmp_path: Path) -> None:
        write(tmp_path, {**V2, "sys/kubepods/pod/memory.max": str(2 * GIB), "sys/kubepods/pod/memory.current": "99"})

        assert self.memory(tmp_path) == (99, 2 * GIB)

    @pytest.mark.parametrize("line", ["0::/", "0::/docker/of-the-host", "0::/../../elsewhere", "nonsense"])
    def test_ends_at_the_mounted_root_when_the_rest_is_not_visible(self, tmp_path: Path, line: str) -> None:
        write(tmp_path, {"proc/self/cgroup": line, "sys/cgroup.controllers": "memory"})
        write(tmp_path, {"sys/memory.max": str(GIB), "sys/memory.current": "5"})

        assert self.memory(tmp_path) == (5, GIB)

    def test_does_not_leave_the_mount(self, tmp_path: Path) -> None:
        write(tmp_path, {"proc/self/cgroup": "0::/../elsewhere", "sys/cgroup.controllers": "memory"})
        write(tmp_path, {"elsewhere/memory.max": str(GIB), "elsewhere/memory.current": "5"})

        assert self.memory(tmp_path) is None

    def test_is_cut_short_when_it_is_absurdly_deep(self, tmp_path: Path) -> None:
        write(tmp_path, {"proc/self/cgroup": "0::/" + "a/" * 5000, "sys/cgroup.controllers": "memory"})

        assert self.memory(tmp_path) is None

    def test_may_lead_nowhere(self, tmp_path: Path) -> None:
        assert self.memory(tmp_path) is None


class ASetOfProcessors:
    @pytest.mark.parametrize(("text", "cores"), [("0-3", 4), ("0,2,4", 3), ("0-1,8-9,63", 5), ("7", 1)])
    def test_limits_the_cores_as_a_quota_does(self, tmp_path: Path, text: str, cores: int) -> None:
        write(tmp_path, {**V2, "sys/kubepods/pod/box/cpu.max": "max 100000"})
        write(tmp_path, {"sys/kubepods/pod/box/cpuset.cpus.effective": text, "sys/cpuset.cpus.effective": "0-63"})

        found = Cgroup(tmp_path / "sys", tmp_path / "proc").cpu(HOST_CORES)

        assert found == CPUUse(cores=cores, usage_seconds=1.0)

    @pytest.mark.parametrize("text", ["", "3-1", "a-b", "0-63"])
    def test_is_no_limit_when_it_is_unreadable_or_the_whole_machine(self, tmp_path: Path, text: str) -> None:
        write(tmp_path, {**V2, "sys/kubepods/pod/box/cpu.max": "max 100000"})
        write(tmp_path, {"sys/kubepods/pod/box/cpuset.cpus.effective": text})

        assert Cgroup(tmp_path / "sys", tmp_path / "proc").cpu(HOST_CORES) is None


class ASampleOfAHost:
    def test_joins_the_machine_and_its_gpus(self, tmp_path: Path) -> None:
        gpu = FakeGPU(uuid="GPU-a", mig_mode=1, instances={0: FakeGPU(uuid="MIG-x")})

        with FakeNvml(gpu, FakeGPU(uuid="GPU-b")).installed():
            sample = HostSampler(host="box", data_dir=tmp_path).sample()

        assert set(sample) == FIELDS | {"gpu_count", "gpu_metrics"}
        assert sample["gpu_count"] == 2  # boards
        assert [entry["gpu_id"] for entry in sample["gpu_metrics"]] == [0, "0:0", 1]

    def test_has_no_gpus_on_a_machine_without_them(self) -> None:
        library = FakeNvml()
        library.errors["nvmlInitWithFlags"] = 12

        with library.installed():
            sample = HostSampler(gpus=GPUSampler()).sample()

        assert (sample["gpu_count"], sample["gpu_metrics"]) == (0, [])

    def test_can_be_had_in_one_call_with_a_true_percentage(self, tmp_path: Path) -> None:
        sample = sample_host(host="box", data_dir=tmp_path)

        assert sample["host"] == "box"
        assert sample["cpu_percent"] is not None
        assert 0 <= sample["cpu_percent"] <= 100
