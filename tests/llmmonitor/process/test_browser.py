"""The browser that a start opens."""

from __future__ import annotations

import os
import threading
import time
import webbrowser
from collections.abc import Iterator
from pathlib import Path

import pytest

from llmmonitor.process.browser import has_display, open_browser
from tests.support.server import MakeServer


class ADisplay:
    @pytest.fixture(autouse=True)
    def bare_environment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("sys.platform", "linux")
        monkeypatch.setattr("sys.stdin.isatty", lambda: True)
        for name in ("CI", "DISPLAY", "WAYLAND_DISPLAY"):
            monkeypatch.delenv(name, raising=False)

    @pytest.mark.parametrize("variable", ["DISPLAY", "WAYLAND_DISPLAY"])
    def test_is_there_when_the_environment_names_one(self, monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
        assert not has_display()
        monkeypatch.setenv(variable, ":0")
        assert has_display()

    def test_is_never_there_on_a_ci_machine(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("DISPLAY", ":0")
        monkeypatch.setenv("CI", "true")
        assert not has_display()

    def test_is_not_there_for_a_service(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("DISPLAY", ":0")
        monkeypatch.setattr("sys.stdin.isatty", lambda: False)
        assert not has_display()

    def test_is_always_there_on_a_mac(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("sys.platform", "darwin")
        assert has_display()


class TheBrowser:
    def test_is_opened_without_holding_up_the_start(self, monkeypatch: pytest.MonkeyPatch) -> None:
        opened: list[str] = []
        started, done = threading.Event(), threading.Event()

        def slow(url: str) -> None:
            started.wait(10)
            opened.append(url)
            done.set()

        monkeypatch.setattr(webbrowser, "open", slow)
        open_browser("http://127.0.0.1:8899/")
        assert opened == []
        started.set()
        assert done.wait(10)
        assert opened == ["http://127.0.0.1:8899/"]

    def test_that_cannot_be_opened_is_reported(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        def failing(url: str) -> bool:
            raise webbrowser.Error("no browser")

        monkeypatch.setattr(webbrowser, "open", failing)
        open_browser("http://127.0.0.1:8899/")
        until = time.monotonic() + 10
        while not caplog.records and time.monotonic() < until:
            time.sleep(0.01)
        assert "http://127.0.0.1:8899/" in caplog.text


class AStart:
    @pytest.fixture
    def display(self, tmp_path: Path) -> dict[str, str]:
        """Variables with a display and a browser that writes the URL to a file."""
        program = tmp_path / "browser"
        program.write_text(f'#!/bin/sh\necho "$1" > {tmp_path}/part && mv {tmp_path}/part {tmp_path}/opened\n')
        program.chmod(0o755)
        return {"CI": "", "DISPLAY": ":0", "BROWSER": f"{program} %s"}

    @pytest.fixture
    def terminal(self) -> Iterator[int]:
        controller, terminal = os.openpty()
        yield terminal
        os.close(terminal)
        os.close(controller)

    def test_opens_the_page_and_leaves_the_login_link_to_the_user(
        self, make_server: MakeServer, display: dict[str, str], tmp_path: Path, terminal: int
    ) -> None:
        server = make_server(env=display, start=False)
        server.start(stdin=terminal)
        until = time.monotonic() + 60
        while not (tmp_path / "opened").exists() and time.monotonic() < until:
            time.sleep(0.05)
        assert (tmp_path / "opened").read_text().strip() == server.url
        assert f"{server.url}/login/link/" in server.output

    @pytest.mark.parametrize("command", [("up", "--no-browser"), ("serve",)])
    def test_opens_nothing(
        self, make_server: MakeServer, display: dict[str, str], tmp_path: Path, terminal: int, command: tuple[str, ...]
    ) -> None:
        server = make_server(env=display, start=False)
        server.command = ("manage.py", *command)
        server.start(wait=False, stdin=terminal)
        until = time.monotonic() + 60
        while "Ctrl-C stops" not in server.output and time.monotonic() < until:
            time.sleep(0.05)
        assert server.stop() == 0  # the browser is started before the text is printed
        assert not (tmp_path / "opened").exists()
