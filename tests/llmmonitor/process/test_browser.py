"""The browser that a start opens."""

from __future__ import annotations

import threading
import webbrowser

import pytest

from llmmonitor.process.browser import has_display, open_browser


class ADisplay:
    @pytest.fixture(autouse=True)
    def bare_environment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("sys.platform", "linux")
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

    def test_is_always_there_on_a_mac(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("sys.platform", "darwin")
        assert has_display()


class TheBrowser:
    def test_is_opened_without_holding_up_the_start(self, monkeypatch: pytest.MonkeyPatch) -> None:
        opened: list[str] = []
        go_on, done = threading.Event(), threading.Event()

        def slow(url: str) -> None:
            go_on.wait(10)
            opened.append(url)
            done.set()

        monkeypatch.setattr(webbrowser, "open", slow)
        open_browser("http://127.0.0.1:8899/")
        assert opened == []
        go_on.set()
        assert done.wait(10)
        assert opened == ["http://127.0.0.1:8899/"]
