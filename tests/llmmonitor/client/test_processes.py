"""What a program records arrives, however its processes and threads start and end, and without `flush`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest

from tests.support import odd_servers
from tests.support.odd_servers import OddServer, odd_server
from tests.support.programs import finish, run_program, start_program
from tests.support.server import Server


@pytest.fixture
def accepting() -> Iterator[OddServer]:
    with odd_server(odd_servers.accept) as server:
        yield server


def arrived(server: OddServer, program: str, returncode: int = 0) -> dict[str, int]:
    """Run the program. Return how often each model arrived."""
    finished = run_program(program, url=server.url)
    assert finished.returncode == returncode, finished.stderr
    assert "not sent" not in finished.stderr
    events = server.events()
    assert len({event["request_id"] for event in events}) == len(events)
    return dict(Counter(event["model_name"] for event in events))


class AScript:
    def test_that_ends_at_once_has_sent_its_event(self, module_server: Server) -> None:
        program = """
            from llmmonitor import LLMMonitor
            with LLMMonitor().track("script") as call:
                call.usage(prompt_tokens=3, completion_tokens=4)
        """
        finished = run_program(program, url=module_server.url, service="cron")
        assert (finished.returncode, finished.stderr) == (0, "")
        (request,) = module_server.get("/requests?model=script").json()["results"]
        assert (request["prompt_tokens"], request["completion_tokens"], request["service"]) == (3, 4, "cron")

    def test_that_exits_within_a_call_has_sent_it(self, accepting: OddServer) -> None:
        program = """
            import sys
            from llmmonitor import LLMMonitor
            with LLMMonitor().track("exiting"):
                sys.exit(7)
        """
        assert arrived(accepting, program, returncode=7) == {"exiting": 1}
        assert accepting.events()[0]["error_type"] == "CancelledError"

    def test_that_fails_has_sent_the_failure(self, accepting: OddServer) -> None:
        program = """
            from llmmonitor import LLMMonitor
            with LLMMonitor().track("failing"):
                raise RuntimeError("no model")
        """
        assert arrived(accepting, program, returncode=1) == {"failing": 1}
        assert accepting.events()[0]["error_message"] == "no model"

    def test_sends_what_its_functions_of_atexit_record(self, accepting: OddServer) -> None:
        program = """
            import atexit
            atexit.register(lambda: monitor.record("after"))   # runs after that of the SDK
            from llmmonitor.client import LLMMonitor
            monitor = LLMMonitor()
            atexit.register(lambda: monitor.record("before"))
            monitor.record("script")
        """
        assert arrived(accepting, program) == {"script": 1, "before": 1, "after": 1}

    def test_may_record_after_close(self, accepting: OddServer) -> None:
        program = """
            from llmmonitor import LLMMonitor
            monitor = LLMMonitor()
            for _ in range(3):
                monitor.record("closed")
                monitor.close()
                monitor.close()
            monitor.record("closed")
        """
        assert arrived(accepting, program) == {"closed": 4}

    def test_has_one_thread_though_a_handler_of_a_signal_records_while_it_starts(self, accepting: OddServer) -> None:
        program = """
            import threading
            from llmmonitor import LLMMonitor
            monitor = LLMMonitor()
            start = threading.Thread.start
            def start_and_handle(thread):
                monitor.record("handler")
                start(thread)
            threading.Thread.start = start_and_handle
            monitor.record("program")
            assert threading.active_count() == 2
        """
        assert arrived(accepting, program) == {"handler": 1, "program": 1}

    def test_has_no_thread_of_a_monitor_that_it_has_dropped(self, accepting: OddServer) -> None:
        # As in a function that makes a monitor for each request, or a script that Streamlit runs again and again.
        program = """
            import threading
            from llmmonitor import LLMMonitor
            for _ in range(3):
                monitor = LLMMonitor()
                with monitor.track("dropped"):
                    pass
                _, thread = threading.enumerate()
                del monitor
                thread.join()   # for ever, if it does not end
        """
        assert arrived(accepting, program) == {"dropped": 3}

    def test_sends_from_all_its_threads(self, accepting: OddServer) -> None:
        program = """
            import threading
            from llmmonitor import LLMMonitor
            monitor = LLMMonitor()
            def work():
                for _ in range(500):
                    with monitor.track("threads"):
                        pass
            threads = [threading.Thread(target=work) for _ in range(16)]
            for thread in threads: thread.start()
        """
        assert arrived(accepting, program) == {"threads": 8_000}

    def test_loses_nothing_while_a_thread_closes_and_others_record(self, accepting: OddServer) -> None:
        program = """
            import threading
            from llmmonitor import LLMMonitor
            monitor = LLMMonitor()
            def work():
                for _ in range(300):
                    monitor.record("racing")
                    monitor.close()
            threads = [threading.Thread(target=work) for _ in range(4)]
            for thread in threads: thread.start()
        """
        assert arrived(accepting, program) == {"racing": 1_200}

    def test_whose_main_thread_has_ended_sends_from_the_others(self, accepting: OddServer) -> None:
        # Python 3.12 starts no thread any more at this time.
        program = """
            import threading
            from llmmonitor import LLMMonitor
            monitor = LLMMonitor()
            def work():
                threading.main_thread().join()
                for _ in range(10):
                    monitor.record("late")
                print(monitor.flush())
                monitor.record("last")
            threading.Thread(target=work).start()
        """
        assert arrived(accepting, program) == {"late": 10, "last": 1}

    def test_sends_from_asyncio(self, accepting: OddServer) -> None:
        program = """
            import asyncio
            from llmmonitor import LLMMonitor
            monitor = LLMMonitor()
            async def request():
                async with monitor.track("asyncio") as call:
                    await asyncio.sleep(0)
                    call.first_token()
            async def main():
                await asyncio.gather(*(request() for _ in range(1_000)))
            asyncio.run(main())
        """
        assert arrived(accepting, program) == {"asyncio": 1_000}

    def test_sends_nothing_and_starts_no_thread_if_it_is_disabled(self, accepting: OddServer) -> None:
        program = """
            import threading
            from llmmonitor import LLMMonitor
            monitor = LLMMonitor()
            with monitor.track("disabled"):
                pass
            monitor.record("disabled")
            monitor.record_batch([{"model_name": "disabled"}])
            monitor.error("disabled")
            health = monitor.health()
            print(threading.active_count(), monitor.flush(), health["status"], health["queued"], health["in_flight"])
        """
        finished = run_program(program, url=accepting.url, disabled="1")
        assert (finished.stdout, finished.stderr) == ("1 True disabled 0 0\n", "")
        assert accepting.bodies == []


class AForkedProcess:
    def test_sends_its_own_events_and_the_parent_its_own(self, accepting: OddServer) -> None:
        program = """
            import os, sys
            from llmmonitor import LLMMonitor
            monitor = LLMMonitor()
            monitor.record("parent")               # waits for the sender's thread while the process forks
            open_call = monitor.start("both end it")
            children = []
            for _ in range(4):
                child = os.fork()
                if not child:
                    open_call.end()
                    monitor.record("child")
                    assert monitor.flush()
                    os._exit(0)
                children.append(child)
            for child in children:
                assert os.waitpid(child, 0)[1] == 0
            open_call.end()
            monitor.record("parent")
        """
        assert arrived(accepting, program) == {"parent": 2, "child": 4, "both end it": 1}

    def test_may_fork_while_other_threads_record(self, accepting: OddServer) -> None:
        # A lock that another thread holds while the process forks stays locked in the child.
        program = """
            import os, threading
            from llmmonitor import LLMMonitor
            monitor = LLMMonitor()
            done = threading.Event()
            def work():
                while not done.wait(0.001):
                    monitor.record_batch([{"model_name": "parent"}] * 10)
            threading.Thread(target=work).start()
            for _ in range(30):
                child = os.fork()
                if not child:
                    monitor.record("child")
                    os._exit(0 if monitor.flush(30) else 1)
                assert os.waitpid(child, 0)[1] == 0
            done.set()
        """
        assert arrived(accepting, program)["child"] == 30

    @pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
    def test_of_multiprocessing_sends_before_it_ends(self, accepting: OddServer, method: str, tmp_path: object) -> None:
        program = f"""
            import multiprocessing, runpy, sys
            from tests.support import recording_child
            if __name__ == "__main__":
                context = multiprocessing.get_context({method!r})
                recording_child.record("parent")
                children = [context.Process(target=recording_child.record, args=("child",)) for _ in range(3)]
                for child in children: child.start()
                for child in children: child.join()
                with context.Pool(2) as pool:
                    pool.map(recording_child.record, ["pool"] * 20)
                    pool.close()
                    pool.join()
        """
        assert arrived(accepting, program) == {"parent": 1, "child": 3, "pool": 20}

    def test_of_a_pool_that_loaded_the_program_first_sends_its_own_events(self, accepting: OddServer) -> None:
        # As gunicorn with --preload: workers fork from a process that has recorded, serve, and leave with sys.exit.
        program = """
            import os, signal, sys
            from llmmonitor import LLMMonitor
            monitor = LLMMonitor(service="web")
            monitor.record("loading")
            assert monitor.flush()
            workers = []
            for _ in range(3):
                worker = os.fork()
                if not worker:
                    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
                    for _ in range(10):
                        with monitor.track("worker"):
                            pass
                    os.write(1, b"served\\n")  # in one piece, unlike `print` without a buffer
                    signal.pause()
                workers.append(worker)
            sys.stdin.readline()
            for worker in workers:
                os.kill(worker, signal.SIGTERM)
                assert os.waitpid(worker, 0)[1] == 0
        """
        running = start_program(program, url=accepting.url)
        assert running.stdout is not None
        assert [running.stdout.readline() for _ in range(3)] == ["served\n"] * 3
        finished = finish(running)
        assert finished.returncode == 0, finished.stderr
        assert Counter(event["model_name"] for event in accepting.events()) == {"loading": 1, "worker": 30}
