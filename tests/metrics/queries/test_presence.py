"""Whether there are events and demo data, and what the query layer may import."""

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
class ThePresenceOfEvents:
    def test_is_false_in_an_empty_store(self) -> None:
        assert not queries.has_events()
        assert not queries.has_demo()

    def test_is_false_while_there_are_only_host_samples(self) -> None:
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
    def test_is_true_from_the_first_event_on(self, event: Any) -> None:
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
    def test_includes_example_data_which_is_marked(self, event: Any) -> None:
        write([event])

        assert queries.has_demo()


class TheQueryLayer:
    def test_does_not_import_rest_framework(self) -> None:
        # In a separate process, because the tests have already imported it.
        program = (
            "import os, sys, django\n"
            "os.environ['DJANGO_SETTINGS_MODULE'] = 'llmmonitor.settings'\n"
            "from django.conf import settings\n"
            "settings.INSTALLED_APPS = ['llmmonitor.backup', 'metrics']\n"
            "django.setup()\n"
            "import metrics.queries\n"
            "modules = [name for name, module in sys.modules.items() if name.startswith('metrics.queries')]\n"
            "print(len(modules), sorted(name for name in sys.modules if name.split('.')[0] == 'rest_framework'))\n"
        )

        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

        count, loaded = done.stdout.split(maxsplit=1)
        assert int(count) > 20
        assert loaded.strip() == "[]"


class TheFiltersOfALivePage:
    def test_are_read_from_an_object(self) -> None:
        filters = parse_filters_object({"model": ["a/b", "🐢"], "host": "alpha", "outcome": "failed"})

        assert filters == Filters(model=("a/b", "🐢"), host=("alpha",), outcome="failed")
        assert filters.as_dict() == {"model": ["a/b", "🐢"], "host": ["alpha"], "outcome": "failed"}

    @pytest.mark.parametrize("given", [[], "model", {"colour": "red"}, {"status_code": 500}, {"model": ["x" * 401]}])
    def test_that_are_wrong_are_rejected(self, given: Any) -> None:
        with pytest.raises(BadQuery):
            parse_filters_object(given)
