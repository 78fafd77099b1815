"""The client's module `llmmonitor.alerts` against servers that are not a monitor, or not well."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread

import pytest

from llmmonitor.alerts import AlertManager, AlertRule, BadRule, MonitorError

KEY = "llmm_secret"


@dataclass
class Stub:
    """A server with one response. `paths` are those that were requested, with the key that was sent."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    is_silent: bool = False
    url: str = ""
    requests: list[tuple[str, str | None]] = field(default_factory=list)


@pytest.fixture
def stub() -> Iterator[Stub]:
    stub, end = Stub(), Event()

    class Handler(BaseHTTPRequestHandler):
        def respond(self) -> None:
            stub.requests.append((f"{self.command} {self.path}", self.headers["Authorization"]))
            if stub.is_silent:
                end.wait()
                return
            self.send_response(stub.status)
            for name, value in stub.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(stub.body)

        do_GET = do_POST = do_DELETE = respond  # noqa: N815

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    stub.url = f"http://127.0.0.1:{server.server_port}"
    Thread(target=server.serve_forever, daemon=True).start()
    yield stub
    end.set()
    server.shutdown()
    server.server_close()


class TheClient:
    def test_follows_no_redirect_with_its_key(self, stub: Stub) -> None:
        for stub.status in (301, 302, 303, 307, 308):
            stub.requests.clear()
            stub.headers = {"Location": f"{stub.url}/other"}

            with pytest.raises(MonitorError, match=f"returned {stub.status}: It redirects to {stub.url}/other"):
                AlertManager(stub.url, KEY).add_alert_rule(AlertRule(id="r"))
            assert stub.requests == [("POST /alerts/rules", f"Bearer {KEY}")]

    @pytest.mark.parametrize("end", ["", "/", "/ "])
    def test_reads_the_address_and_the_key_when_it_needs_them(
        self, stub: Stub, monkeypatch: pytest.MonkeyPatch, end: str
    ) -> None:
        stub.body = b'{"results": [{"id": "r"}]}'
        manager = AlertManager()
        monkeypatch.setenv("LLMMONITOR_URL", f"{stub.url}/monitor{end}")
        monkeypatch.setenv("LLMMONITOR_API_KEY", f"{KEY}\n")

        assert manager.get_alert_rules() == [AlertRule(id="r")]
        assert stub.requests == [("GET /monitor/alerts/rules", f"Bearer {KEY}")]

    def test_does_not_wait_forever(self, stub: Stub) -> None:
        stub.is_silent = True

        with pytest.raises(MonitorError, match=r"did not respond.*timed out"):
            AlertManager(stub.url, KEY, timeout_seconds=0.1).get_alert_rules()

    @pytest.mark.parametrize(
        ("status", "body", "text"),
        [
            (502, b"<html>", "returned 502: Bad Gateway"),
            (503, b'{"detail": "The database is not available."}', "returned 503: The database is not available."),
            (400, b"[]", "returned 400: Bad Request"),
            (400, b'{"code": "bad_rule", "errors": 7}', "returned 400: Bad Request"),
            (200, b"<html>", "did not respond at"),
            (200, b"[]", "is not that of LLM Monitor"),
            (200, b'{"results": 7}', "is not that of LLM Monitor"),
        ],
    )
    def test_raises_one_exception_for_what_is_not_a_monitor(
        self, stub: Stub, status: int, body: bytes, text: str
    ) -> None:
        stub.status, stub.body = status, body

        with pytest.raises(MonitorError) as error:
            AlertManager(stub.url, KEY).get_alert_rules()
        assert text in str(error.value)
        assert KEY not in str(error.value)

    def test_raises_the_errors_of_a_rule(self, stub: Stub) -> None:
        stub.status, stub.body = 400, b'{"code": "bad_rule", "errors": [{"field": "id", "detail": "is required."}]}'

        with pytest.raises(BadRule, match="id is required") as error:
            AlertManager(stub.url, KEY).add_alert_rule(AlertRule())
        assert error.value.errors == [("id", "is required.")]

    def test_sends_an_id_as_one_part_of_the_path(self, stub: Stub) -> None:
        assert AlertManager(stub.url, KEY).remove_alert_rule("a/b?c")
        assert stub.requests[0][0] == "DELETE /alerts/rules/a%2Fb%3Fc"


class ANumberThatJsonLacks:
    def test_is_refused_before_anything_is_sent(self) -> None:
        rule = AlertRule(id="r", threshold=float("nan"), clear_threshold=float("inf"))

        with pytest.raises(BadRule) as refused:
            AlertManager("http://127.0.0.1:1").add_alert_rule(rule)

        assert refused.value.errors == [(name, "must be a finite number.") for name in ("threshold", "clear_threshold")]
