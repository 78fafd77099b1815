"""A program that records with the SDK does not notice what is wrong with the server."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from llmmonitor import LLMMonitor
from llmmonitor.client import sender, warn
from tests.support import odd_servers
from tests.support.odd_servers import Answer, odd_server, refuse
from tests.support.programs import run_program
from tests.support.server import Server

ODD: dict[str, Answer | None] = {
    "is away": None,
    "refuses with 503": refuse(503, "Retry-After: 3600"),
    "refuses with 429": refuse(429, "Retry-After: 3600"),
    "refuses with 401": refuse(401),
    "never answers": odd_servers.never,
    "answers with HTML": odd_servers.html,
    "answers with odd JSON": odd_servers.odd_json,
    "answers with garbage": odd_servers.garbage,
    "answers without an end": odd_servers.endless,
    "closes the connection": odd_servers.hang_up,
}


@pytest.fixture(autouse=True)
def no_warnings_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warn, "_next", {})


@pytest.fixture(params=ODD.values(), ids=ODD.keys())
def odd_url(request: pytest.FixtureRequest) -> Iterator[str]:
    if request.param is None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            free = listener.getsockname()[1]
        yield f"http://127.0.0.1:{free}"
    else:
        with odd_server(request.param) as server:
            yield server.url


class WhenTheServerIsOdd:
    def test_a_program_records_and_ends_as_without_it(self, odd_url: str) -> None:
        # Without a limit of its own, the end of the process would wait an hour for the post.
        program = """
            from llmmonitor import LLMMonitor
            from llmmonitor.client import sender
            sender.TIMEOUT_SECONDS = 3600.0
            monitor = LLMMonitor()
            for _ in range(60_000):
                with monitor.track("model") as call:
                    call.usage(prompt_tokens=1)
            counts = monitor._sender.counts()
            print(sum(counts.values()), counts["sent"], counts["rejected"])
        """
        finished = run_program(program, url=odd_url)
        assert (finished.returncode, finished.stdout) == (0, "60000 0 0\n"), finished.stderr
        assert "Traceback" not in finished.stderr
        assert "Events that were not sent: " in finished.stderr
        assert finished.stderr.endswith(". Run `llmmonitor check`.\n")
        assert ".." not in finished.stderr

    def test_one_warning_is_logged_and_the_events_wait(
        self, odd_url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.setattr(sender, "TIMEOUT_SECONDS", 0.2)
        monitor = LLMMonitor(url=odd_url)
        for _ in range(3):
            monitor.record("model")
            assert not monitor.flush(0.3)

        health = monitor.health()
        monitor.close()

        failed = [text for text in caplog.messages if "Events that wait" in text]
        assert len(failed) == 1
        assert odd_url in failed[0]
        assert (health["queued"], health["sent"], health["rejected"], health["dropped"]) == (3, 0, 0, 0)
        assert odd_url in health["last_error"]


class TheSender:
    def test_sends_what_waited_when_the_server_is_back(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sender, "LONGEST_WAIT_SECONDS", 0.1)
        with odd_server(odd_servers.hang_up) as server:
            monitor = LLMMonitor(url=server.url)
            for number in range(10):
                monitor.record("model", request_id=f"r-{number}")
            assert server.wait_for(2)
            server.answer = odd_servers.accept
            assert monitor.flush(30)
            monitor.close()
            assert {event["request_id"] for event in server.events()} == {f"r-{number}" for number in range(10)}
            assert monitor.health()["sent"] == 10

    def test_waits_as_long_as_the_server_demands(self) -> None:
        with odd_server(refuse(429, "Retry-After: 250")) as server:
            monitor = LLMMonitor(url=server.url)
            monitor.record("model")
            assert server.wait_for(1)
            monitor.flush(0.1)  # until the refusal is read
            wait = monitor._sender._not_before - sender.time.monotonic()
            monitor.close()
        assert 200 < wait <= 250 * 1.5

    def test_posts_no_more_than_once_a_second_while_a_flush_waits(self) -> None:
        with odd_server(refuse(503, "Retry-After: 300")) as server:
            monitor = LLMMonitor(url=server.url)
            monitor.record("model")
            assert not monitor.flush(1.5)
            assert 1 <= len(server.bodies) <= 3
            monitor.close()

    def test_uses_one_connection(self) -> None:
        with odd_server(odd_servers.accept) as server:
            monitor = LLMMonitor(url=server.url)
            for _ in range(5):
                monitor.record("model")
                assert monitor.flush()
            monitor.close()
            assert (len(server.events()), len(server.connections)) == (5, 1)

    def test_opens_another_connection_if_the_server_has_closed_it(self) -> None:
        def once(connection: socket.socket) -> None:
            odd_servers.accept(connection)
            odd_servers.hang_up(connection)

        with odd_server(once) as server:
            monitor = LLMMonitor(url=server.url)
            for _ in range(3):
                monitor.record("model")
                assert monitor.flush()
            monitor.close()
            assert monitor.health()["last_error"] == ""
            # One may have come twice: the server closes the connection when it has read the next post, too.
            assert len({event["request_id"] for event in server.events()}) == 3

    def test_counts_what_the_server_rejects(self, module_server: Server) -> None:
        monitor = LLMMonitor(url=module_server.url)
        monitor.record("model", timestamp="never")
        monitor.record("model")
        assert monitor.flush()
        health = monitor.health()
        monitor.close()
        assert (health["sent"], health["rejected"], health["queued"]) == (1, 1, 0)
        assert "1 of 2 events were rejected: timestamp:" in health["last_error"]

    def test_drops_a_body_that_is_too_large_and_continues(self) -> None:
        with odd_server(refuse(413)) as server:
            monitor = LLMMonitor(url=server.url)
            monitor.record("model")
            assert monitor.flush()
            assert monitor._sender.counts() == {"queued": 0, "sent": 0, "rejected": 1, "dropped": 0}
            monitor.close()


class TheHealth:
    def test_of_a_live_server(self, module_server: Server) -> None:
        monitor = LLMMonitor(url=module_server.url)
        with monitor.track("model"):
            health = monitor.health()
        assert monitor.flush()
        assert health["status"] == "ok"
        assert health["server"]["status"] == "ok"
        assert (health["error"], health["url"], health["in_flight"]) == ("", module_server.url, 1)
        assert (monitor.health()["sent"], monitor.health()["in_flight"]) == (1, 0)
        monitor.close()

    def test_of_a_server_that_refuses_the_key(self, module_server: Server) -> None:
        health = LLMMonitor(url=module_server.url, api_key="llmm_wrong").health()
        assert (health["status"], health["error"]) == (
            "refused",
            "This key is unknown, revoked or expired.",
        )
        assert health["server"]["status"] == "ok"

    def test_of_no_server(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        health = LLMMonitor(url=url).health()
        assert (health["status"], health["server"]) == ("unreachable", {})
        assert health["error"].startswith(f"no response from {url}: ")
        assert "refused" in health["error"]

    @pytest.mark.parametrize("name", ["never answers", "answers with garbage", "answers without an end"])
    def test_of_what_does_not_speak_http(self, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("llmmonitor.client.monitor.HEALTH_SECONDS", 0.2)
        with odd_server(ODD[name] or odd_servers.never) as server:
            health = LLMMonitor(url=server.url).health()
        assert health["status"] == "unreachable"
        assert server.url in health["error"]

    def test_of_the_address_of_a_page(self, module_server: Server) -> None:
        health = LLMMonitor(url=f"{module_server.url}/dashboard/connect/").health()
        assert health["status"] == "unreachable"
        assert health["error"].endswith("(status 404). The address is that of the server, without the path of a page.")

    def test_of_the_address_of_another_program(self) -> None:
        with odd_server(odd_servers.html) as server:
            health = LLMMonitor(url=server.url).health()
        assert health["status"] == "unreachable"
        assert health["error"].startswith(f"{server.url}/health is not that of LLM Monitor (status 200). The address")

    @pytest.mark.parametrize(
        "url", ["127.0.0.1:8899", "ftp://127.0.0.1", "http:", "http://127.0.0.1:99999", "http://[::1"]
    )
    def test_of_a_wrong_address(self, url: str, caplog: pytest.LogCaptureFixture) -> None:
        monitor = LLMMonitor(url=url)
        monitor.record("model")
        health = monitor.health()
        assert health["status"] == "misconfigured"
        assert health["error"] == f"LLMMONITOR_URL={url!r} must be an address such as http://127.0.0.1:8899."
        assert caplog.messages == [f"LLM Monitor: Nothing is sent. {health['error']}"]
        assert monitor.flush()

    @pytest.mark.parametrize("url", ["http://user:secret@127.0.0.1:1/path", "user:se/secret@127.0.0.1:1"])
    def test_of_an_address_with_a_password_does_not_show_it(self, url: str, caplog: pytest.LogCaptureFixture) -> None:
        monitor = LLMMonitor(url=url)
        monitor.record("model")
        health = monitor.health()
        assert health["status"] == "misconfigured"
        assert health["error"].startswith("LLMMONITOR_URL must have no user name and no password.")
        assert health["url"] in ("http://127.0.0.1:1/path", "127.0.0.1:1")
        assert "secret" not in f"{health} {caplog.text}"

    def test_of_a_key_with_a_line_break(self) -> None:
        health = LLMMonitor(api_key="llmm_a\nb").health()
        assert (health["status"], health["error"]) == (
            "misconfigured",
            "LLMMONITOR_API_KEY has characters that a key does not have.",
        )


@pytest.mark.parametrize(("scheme", "port"), [("http", 80), ("https", 443)])
def test_an_ipv6_address_without_a_port_has_that_of_its_scheme(
    scheme: str, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def connect(address: tuple[str, int], *_: object) -> socket.socket:
        raise OSError(f"to {address}")

    monkeypatch.setattr(socket, "create_connection", connect)
    health = LLMMonitor(url=f"{scheme}://[2001:db8::1]/prefix").health()
    assert health["error"].endswith(f"to ('2001:db8::1', {port})")
