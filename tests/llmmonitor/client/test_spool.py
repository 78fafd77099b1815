"""Events that wait in the spool directory survive an outage of the server and a crash of the program."""

from __future__ import annotations

import errno
import shutil
import socket
from pathlib import Path

import pytest

from llmmonitor import LLMMonitor
from llmmonitor.client import sender, spool, warn
from llmmonitor.client.events import Batch
from llmmonitor.client.slot import Slot
from llmmonitor.client.spool import WaitingOnDisk
from tests.support import odd_servers
from tests.support.odd_servers import OddServer, odd_server
from tests.support.programs import finish, run_program, start_program
from tests.support.server import MakeServer

# Reads numbers, records as many calls, and prints how many events wait.
RECORDING = """
    import sys
    from llmmonitor import LLMMonitor
    monitor = LLMMonitor()
    for line in sys.stdin:
        for _ in range(int(line)):
            with monitor.track("outage"):
                pass
        monitor.flush(0.1)
        print(monitor.health()["queued"], flush=True)
"""
NEXT = """
    from llmmonitor import LLMMonitor
    monitor = LLMMonitor()
    monitor.record("next")
    print(monitor.flush(50), monitor.health()["sent"])
"""


@pytest.fixture(autouse=True)
def no_warnings_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warn, "_next", {})


@pytest.fixture
def away() -> str:
    """The address of no server."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"http://127.0.0.1:{listener.getsockname()[1]}"


def files(directory: Path) -> list[Path]:
    return sorted(path for path in directory.glob("*/*") if path.is_file())


def events_in(directory: Path) -> int:
    return sum(int(path.name.rpartition(".")[2]) for path in files(directory) if not path.name.endswith(".part"))


def models(server: OddServer) -> list[str]:
    return sorted(event["model_name"] for event in server.events())


class AnOutage:
    def test_loses_no_spooled_event_though_the_program_is_killed(
        self, make_server: MakeServer, tmp_path: Path, full: bool
    ) -> None:
        bursts = 600 if full else 10  # of 100 calls: ten minutes of 100 calls per second
        directory = tmp_path / "spool"
        server = make_server()
        server.stop()
        settings = {"url": server.url, "spool_dir": str(directory)}
        program = start_program(RECORDING, **settings)
        assert program.stdin is not None
        assert program.stdout is not None
        for number in range(1, bursts + 1):
            program.stdin.write("100\n")
            program.stdin.flush()
            assert int(program.stdout.readline()) == number * 100
        program.stdin.write("10000000\n")
        program.stdin.flush()
        while events_in(directory) == bursts * 100:
            assert program.poll() is None
        program.kill()
        finish(program)
        spooled = events_in(directory)
        left = {path: path.read_bytes() for path in files(directory)}
        server.start()

        assert run_program(NEXT, **settings).stdout == f"True {spooled + 1}\n"
        assert files(directory) == []
        # As if that program was killed, too, before it removed the files of what the server had stored.
        for path, body in left.items():
            path.write_bytes(body)
        assert run_program(NEXT, **settings).stdout == f"True {spooled + 1}\n"

        total = {row["model_name"]: row["total_requests"] for row in server.get("/models?range=1h").json()["results"]}
        assert total == {"outage": spooled, "next": 2}

    def test_keeps_what_a_program_recorded_before_it_ended(self, away: str, tmp_path: Path) -> None:
        program = "from llmmonitor import LLMMonitor; LLMMonitor().record('short')"
        finished = run_program(program, url=away, spool_dir=str(tmp_path))
        assert "not sent" not in finished.stderr
        with odd_server(odd_servers.accept) as server:
            run_program(NEXT, url=server.url, spool_dir=str(tmp_path))
            assert models(server) == ["next", "short"]

    @pytest.mark.parametrize("more", ["", 'atexit.register(lambda: monitor.record("at the end"))'])
    def test_keeps_what_was_recorded_while_a_post_is_not_answered(self, more: str, tmp_path: Path) -> None:
        program = f"""
            import atexit
            {more}
            from llmmonitor import LLMMonitor
            monitor = LLMMonitor()
            monitor.record("posted")
            monitor.flush(0.5)
            monitor.record("waiting")
        """
        with odd_server(odd_servers.never) as server:
            run_program(program, url=server.url, spool_dir=str(tmp_path))
        assert events_in(tmp_path) == 2 + bool(more)


class TheSpool:
    def test_of_a_process_that_has_ended_is_sent_by_one_that_runs(
        self, away: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(spool, "ADOPT_SECONDS", 0.0)
        with odd_server(odd_servers.accept) as server:
            monitor = LLMMonitor(url=server.url, spool_dir=tmp_path)
            monitor.record("running")
            assert monitor.flush()
            program = "from llmmonitor import LLMMonitor; LLMMonitor(service='other').record('ended')"
            run_program(program, url=away, spool_dir=str(tmp_path))
            assert server.wait_for(2)
            monitor.close()
            assert models(server) == ["ended", "running"]

    def test_of_a_process_that_runs_is_not_sent_by_another(self, away: str, tmp_path: Path) -> None:
        settings = {"url": away, "spool_dir": str(tmp_path)}
        program = start_program(RECORDING, **settings)
        assert program.stdin is not None
        assert program.stdout is not None
        program.stdin.write("5\n")
        program.stdin.flush()
        assert program.stdout.readline() == "5\n"
        with odd_server(odd_servers.accept) as server:
            assert run_program(NEXT, url=server.url, spool_dir=str(tmp_path)).stdout == "True 1\n"
            assert models(server) == ["next"]
            program.kill()
            finish(program)
            assert run_program(NEXT, url=server.url, spool_dir=str(tmp_path)).stdout == "True 6\n"

    def test_drops_the_oldest_beyond_its_limit_and_counts_them(self, tmp_path: Path) -> None:
        waiting = WaitingOnDisk(str(tmp_path), Slot("", str(tmp_path)), max_bytes=100)
        assert [waiting.add(Batch("/track/inference", events, b"x" * 40)) for events in (1, 2, 4, 8)] == [0, 0, 1, 2]
        assert waiting.count == events_in(tmp_path) == 12
        assert sum(path.stat().st_size for path in files(tmp_path)) == 80

    def test_does_not_remove_another_batch_if_that_which_is_posted_is_dropped(self, tmp_path: Path) -> None:
        waiting = WaitingOnDisk(str(tmp_path), Slot("", str(tmp_path)), max_bytes=50)
        waiting.add(Batch("/track/inference", 1, b"x" * 40))
        posted = waiting.first()
        assert posted is not None
        waiting.add(Batch("/track/inference", 2, b"x" * 40))
        assert not waiting.remove(posted)
        assert waiting.count == 2

    @pytest.mark.parametrize("directory", ["/proc/none", "/dev/null", "/a\0b"])
    def test_is_memory_if_the_directory_cannot_be_written(
        self, directory: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        with odd_server(odd_servers.hang_up) as server:
            monitor = LLMMonitor(url=server.url, spool_dir=directory)
            monitor.record("model")
            assert not monitor.flush(0.5)
            server.answer = odd_servers.accept
            assert monitor.flush()
            monitor.close()
            assert models(server)[-1] == "model"
            assert f"LLMMONITOR_SPOOL_DIR={directory} cannot be used" in caplog.text

    def test_is_memory_while_writing_to_it_fails(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        with odd_server(odd_servers.accept) as server:
            monitor = LLMMonitor(url=server.url, spool_dir=tmp_path)
            monitor.record("model")
            assert monitor.flush()
            shutil.rmtree(tmp_path / "sdk-0")
            monitor.record("model")
            assert monitor.flush()
            monitor.close()
            assert models(server) == ["model", "model"]
            assert "Events wait in memory." in caplog.text

    def test_may_have_files_of_others(self, tmp_path: Path) -> None:
        (tmp_path / "sdk-0").mkdir()
        for name in ("notes.txt", "a.inference.many", "b.part"):
            (tmp_path / "sdk-0" / name).write_text("?")
        with odd_server(odd_servers.accept) as server:
            monitor = LLMMonitor(url=server.url, spool_dir=tmp_path)
            monitor.record("model")
            assert monitor.flush()
            monitor.close()
        assert {path.name for path in files(tmp_path)} == {"notes.txt", "a.inference.many"}

    def test_counts_a_file_that_was_removed_as_dropped(self, away: str, tmp_path: Path) -> None:
        monitor = LLMMonitor(url=away, spool_dir=tmp_path)
        monitor.record("model")
        assert not monitor.flush(0.5)
        for path in files(tmp_path):
            path.unlink()
        assert monitor.flush(sender.EVERY_SECONDS * 30)
        monitor.close()
        assert monitor._sender.counts() == {"queued": 0, "sent": 0, "rejected": 0, "dropped": 1}

    def test_is_the_same_after_the_program_has_changed_its_directory(
        self, away: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        monitor = LLMMonitor(url=away, spool_dir="spool")
        monitor.record("model")
        assert not monitor.flush(0.5)
        monkeypatch.chdir("/")
        monitor.record("model")
        assert not monitor.flush(0.5)
        monitor.close()
        assert events_in(tmp_path / "spool") == 2

    def test_keeps_a_file_while_too_many_files_are_open(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def read_bytes(path: Path) -> bytes:
            raise OSError(errno.EMFILE, "Too many open files")

        monkeypatch.setattr(sender, "LONGEST_WAIT_SECONDS", 0.1)
        with odd_server(odd_servers.accept) as server:
            monitor = LLMMonitor(url=server.url, spool_dir=tmp_path)
            with monkeypatch.context() as many_open:
                many_open.setattr(Path, "read_bytes", read_bytes)
                monitor.record("model")
                assert not monitor.flush(0.5)
                assert "Too many open files" in monitor.health()["last_error"]
            assert monitor.flush()
            monitor.close()
            assert models(server) == ["model"]
