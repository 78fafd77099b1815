"""`LLMMonitor.annotate`, against the application and against servers that misbehave."""

from __future__ import annotations

import json
import logging
from datetime import datetime
from typing import Any

import pytest
from pytest_django.live_server_helper import LiveServer

from llmmonitor.access.keys import create_key
from llmmonitor.client import warn
from llmmonitor.client.monitor import LLMMonitor
from metrics.models import Annotation
from tests.support import odd_servers
from tests.support.odd_servers import odd_server

DEAD = "http://127.0.0.1:1"


@pytest.fixture(autouse=True)
def nothing_logged_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warn, "_next", {})


class TheAnnotationOfAProgram:
    @pytest.mark.django_db(transaction=True)
    def test_is_stored_with_a_key_that_may_manage(self, live_server: LiveServer) -> None:
        from django.utils import timezone

        _, key = create_key("deploys", ["manage"], at=timezone.now())
        monitor = LLMMonitor(url=live_server.url, api_key=key)
        at = datetime.now()  # noqa: DTZ005 - local time, as a program has it

        assert monitor.annotate("<b>deploy</b> 1.4", kind="deploy", model="m", host="h", at=at)
        assert monitor.annotate("lunch")
        lunch, deploy = Annotation.objects.order_by("-id")
        assert (deploy.text, deploy.kind, deploy.model_name, deploy.host) == ("<b>deploy</b> 1.4", "deploy", "m", "h")
        assert deploy.at == at.astimezone()
        assert (lunch.kind, lunch.model_name, lunch.host) == ("note", "", "")

    @pytest.mark.django_db(transaction=True)
    def test_is_refused_without_a_key_with_the_reason_in_the_log(
        self, live_server: LiveServer, caplog: pytest.LogCaptureFixture
    ) -> None:
        assert LLMMonitor(url=live_server.url).annotate("x") is False
        assert "the annotation was not stored: Sign in at" in caplog.text
        assert caplog.text.rstrip().endswith("Set LLMMONITOR_API_KEY to a key with the scope manage.")
        assert not Annotation.objects.exists()

    @pytest.mark.parametrize("answer", [odd_servers.html, odd_servers.refuse(500), odd_servers.garbage])
    def test_raises_nothing_because_of_the_server(self, answer: Any, caplog: pytest.LogCaptureFixture) -> None:
        with odd_server(answer) as server:
            assert LLMMonitor(url=server.url).annotate("x") is False
        assert [record.levelno for record in caplog.records] == [logging.WARNING]

    @pytest.mark.parametrize("settings", [{"url": DEAD}, {"url": "ftp://x"}, {"disabled": True}])
    def test_raises_nothing_because_of_the_settings(self, settings: dict[str, Any]) -> None:
        assert LLMMonitor(**settings).annotate("x") is False

    def test_raises_nothing_because_of_its_arguments(self, caplog: pytest.LogCaptureFixture) -> None:
        class Odd:
            def __str__(self) -> str:
                raise RuntimeError("no text")

        text: Any = Odd()
        assert LLMMonitor(url=DEAD).annotate(text) is False
        assert "RuntimeError: no text" in caplog.text

    def test_is_one_json_object_in_one_request(self) -> None:
        with odd_server(odd_servers.accept) as server:
            assert LLMMonitor(url=server.url).annotate("x", at=1_770_000_000)
            ((path, body),) = server.bodies
        assert (path, json.loads(body)) == ("/annotations", {"text": "x", "kind": "note", "at": 1_770_000_000})
