"""Fixtures of the tests of integrations: the monitor, what it has stored, and a server with formats of providers."""

from __future__ import annotations

import json
import os
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from provider import Provider

import llmmonitor
from llmmonitor import LLMMonitor

SERVER = os.environ.get("LLMMONITOR_TEST_SERVER_URL", "http://127.0.0.1:8899")


class Recorded:
    """What the integrations have recorded."""

    def __init__(self, monitor: LLMMonitor) -> None:
        self.monitor = monitor

    def requests(self, model: str) -> list[dict[str, Any]]:
        """Return the stored requests of a model, newest first."""
        assert self.monitor.flush(30)
        return self._get(f"/requests?model={model}")

    def one(self, model: str) -> dict[str, Any]:
        """Return the only request of a model."""
        (request,) = self.requests(model)
        return request

    def errors(self, model: str) -> list[dict[str, Any]]:
        """Return the stored errors of a model."""
        assert self.monitor.flush(30)
        return self._get(f"/errors?model={model}")

    def get(self, path: str) -> Any:
        """Return the JSON of a path of the server."""
        with urllib.request.urlopen(SERVER + path, timeout=30) as response:
            return json.load(response)

    def _get(self, path: str) -> list[dict[str, Any]]:
        results: list[dict[str, Any]] = self.get(path)["results"]
        return results


@pytest.fixture(scope="session")
def recorded() -> Iterator[Recorded]:
    """Turn on the integrations of all installed libraries, as a program does."""
    with llmmonitor.instrument(url=SERVER, service="tests") as monitor:
        yield Recorded(monitor)
    llmmonitor.uninstrument()


@pytest.fixture(scope="session")
def provider() -> Iterator[Provider]:
    """A provider of models on this machine."""
    with Provider() as running:
        yield running


@pytest.fixture
def model(request: pytest.FixtureRequest) -> str:
    """A model's name that no other test has."""
    name: str = request.node.nodeid.replace("::", "-").replace("/", "-").replace("[", "-").rstrip("]")
    return name[-150:] + f"-{os.getpid()}"
