"""Whether there is anything to show; and what the query layer may know."""

from __future__ import annotations

import subprocess
import sys
from datetime import timedelta
from typing import Any

import pytest

from metrics import queries
from metrics.events import ErrorEvent, QueueEvent, SystemEvent
from metrics.queries import BadQuery, Filters
from metrics.queries.parameters import parse_filters_object
from tests.metrics.queries.known_events import CHATTY, NOW, request, write


@pytest.mark.store
@pytest.mark.django_db
class TheQuestionWhetherThereAreEvents:
    def test_is_no_in_an_empty_store(self) -> None:
        assert not queries.has_events()
        assert not queries.has_demo()

    def test_is_no_while_only_machines_speak(self) -> None:
        write([SystemEvent(timestamp=NOW, host="here", cpu_percent=1.0)])

        assert not queries.has_events()

    @pytest.mark.parametrize(
        "event",
        [
            request(NOW, 1),
            request(NOW - timedelta(days=300), 2),
            ErrorEvent(timestamp=NOW, request_id="e", error_type="Odd", severity="WARNING"),
        ],
        ids=["request", "old request", "warning"],
    )
    def test_is_yes_from_the_first_on(self, event: Any) -> None:
        write([event])

        assert queries.has_events()
        assert not queries.has_demo()

    @pytest.mark.parametrize(
        "event",
        [
            request(NOW, 1, is_demo=True),
            SystemEvent(timestamp=NOW, host="demo-host", is_demo=True),
            QueueEvent(timestamp=NOW, source="s", model_name=CHATTY, pending=1, is_demo=True),
        ],
        ids=["request", "machine", "queue"],
    )
    def test_says_that_demo_data_is_demo_data(self, event: Any) -> None:
        write([event])

        assert queries.has_demo()


class TheQueryLayer:
    def test_knows_neither_rest_framework_nor_requests_over_http(self) -> None:
        # In a process of its own: here both are loaded already.
        program = (
            "import os, sys, django\n"
            "os.environ['DJANGO_SETTINGS_MODULE'] = 'llmmonitor.settings'\n"
            "from django.conf import settings\n"
            "settings.INSTALLED_APPS = ['metrics']\n"
            "django.setup()\n"
            "import metrics.queries\n"
            "own = [name for name, module in sys.modules.items() if name.startswith('metrics.queries')]\n"
            "print(len(own), sorted(name for name in sys.modules if name.split('.')[0] == 'rest_framework'))\n"
        )

        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

        count, loaded = done.stdout.split(maxsplit=1)
        assert int(count) > 20
        assert loaded.strip() == "[]"


class TheFiltersOfALivePage:
    def test_are_read_from_an_object(self) -> None:
        found = parse_filters_object({"model": ["a/b", "🐢"], "host": "alpha", "outcome": "failed"})

        assert found == Filters(model=("a/b", "🐢"), host=("alpha",), outcome="failed")
        assert found.as_dict() == {"model": ["a/b", "🐢"], "host": ["alpha"], "outcome": "failed"}

    @pytest.mark.parametrize("given", [[], "model", {"colour": "red"}, {"status_code": 500}, {"model": ["x" * 401]}])
    def test_that_make_no_sense_are_refused(self, given: Any) -> None:
        with pytest.raises(BadQuery):
            parse_filters_object(given)
