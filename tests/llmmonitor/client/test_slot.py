"""The number of a process among those of its service on this host."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from llmmonitor import LLMMonitor
from llmmonitor.client.slot import Slot
from tests.support import odd_servers
from tests.support.odd_servers import odd_server
from tests.support.programs import finish, run_program, start_program

HOLDING = """
    import sys
    from llmmonitor.client.slot import Slot
    slot = Slot("shop")
    print(slot.number, flush=True)
    sys.stdin.readline()
"""


@pytest.fixture(autouse=True)
def own_temporary_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))


class TheSlot:
    def test_of_processes_one_after_another_is_0(self, full: bool) -> None:
        numbers = {finish(start_program(HOLDING)).stdout for _ in range(200 if full else 20)}
        assert numbers == {"0\n"}

    def test_of_processes_at_the_same_time_are_the_lowest_numbers(self) -> None:
        programs = [start_program(HOLDING) for _ in range(5)]
        numbers = [program.stdout.readline() for program in programs if program.stdout]
        assert sorted(numbers) == ["0\n", "1\n", "2\n", "3\n", "4\n"]
        programs[numbers.index("2\n")].kill()
        finish(programs[numbers.index("2\n")])
        assert finish(start_program(HOLDING)).stdout == "2\n"
        for program in programs:
            program.kill()
            program.wait()

    def test_is_counted_for_each_service(self) -> None:
        shop, other, second = Slot("shop"), Slot("other"), Slot("shop")
        assert [shop.name, other.name, second.name] == ["shop-0", "other-0", "shop-1"]
        shop.release()
        assert Slot("shop").number == 0

    @pytest.mark.parametrize("name", ["../../x", "a b/c", "", "ü" * 300])
    def test_is_a_file_in_its_directory_whatever_the_name(self, name: str, tmp_path: Path) -> None:
        slot = Slot(name)
        assert slot.is_locked
        assert [path.parent.parent for path in tmp_path.rglob("*.lock")] == [tmp_path]

    def test_is_0_if_nothing_can_be_locked(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("TMPDIR", "/proc/none")
        slot = Slot("shop")
        assert (slot.number, slot.is_locked) == (0, False)

    def test_is_0_if_another_user_has_made_the_directory_among_temporary_files(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        user = os.getuid() + 1
        monkeypatch.setattr(os, "getuid", lambda: user)
        assert not Slot("shop").is_locked

    def test_names_the_source_of_the_requests_in_flight(self) -> None:
        with odd_server(odd_servers.accept) as server:
            monitors = [LLMMonitor(url=server.url, service="shop") for _ in range(2)]
            calls = [monitor.start("model") for monitor in monitors]
            while len({sample["source"] for sample in server.events("/track/queue")}) < 2:
                assert server.wait_for(len(server.bodies) + 1)
            samples = server.events("/track/queue")
            for call, monitor in zip(calls, monitors, strict=True):
                call.end()
                monitor.close()
            last = {sample["source"]: sample["processing"] for sample in server.events("/track/queue")}
        assert {sample["source"].partition("@")[0] for sample in samples} == {"shop"}
        assert {sample["source"].partition("#")[2] for sample in samples} == {"0", "1"}
        assert {sample["processing"] for sample in samples} == {1}
        assert set(last.values()) == {0}

    def test_of_a_process_that_forks_stays_with_it(self) -> None:
        program = """
            import os
            from llmmonitor import LLMMonitor
            monitor = LLMMonitor(url="http://127.0.0.1:1")
            def number():
                monitor.record("model")
                monitor.flush(0.1)
                return monitor._sender._slot.number
            print(number(), flush=True)
            for _ in range(2):
                if not os.fork():
                    print(number(), flush=True)
                    os._exit(0)
                os.wait()
            print(number(), flush=True)
        """
        assert run_program(program).stdout == "0\n1\n1\n0\n"
