"""The formats of log lines."""

from __future__ import annotations

import json
import logging
import sys
from typing import Any

import pytest

from llmmonitor.infra.log_formats import JSONFormatter, RequestIdFilter, TextFormatter


def record(message: str = "Stored %d events", *arguments: Any, request_id: str = "", exc_info: Any = None) -> Any:
    made = logging.LogRecord("metrics.ingest", logging.WARNING, __file__, 1, message, arguments, exc_info)
    RequestIdFilter(lambda: request_id).filter(made)
    return made


class TestJSON:
    def test_has_one_object_a_line(self) -> None:
        line = JSONFormatter().format(record('two\nlines with “quotes” " and %s', "a tag: <b>", request_id="abc"))

        assert "\n" not in line
        fields = json.loads(line)
        assert fields["message"] == 'two\nlines with “quotes” " and a tag: <b>'
        assert (fields["level"], fields["logger"], fields["request_id"]) == ("WARNING", "metrics.ingest", "abc")
        assert fields["time"].endswith("+00:00")

    def test_has_the_exception_in_it(self) -> None:
        try:
            raise ValueError("a\nb")
        except ValueError:
            line = JSONFormatter().format(record(exc_info=sys.exc_info(), message="failed"))

        assert "\n" not in line
        assert "ValueError: a\nb" in json.loads(line)["exception"]

    def test_keeps_a_file_name_that_is_not_utf_8(self) -> None:
        name = b"/data/\xff\xe9.json".decode("utf-8", "surrogateescape")

        line = JSONFormatter().format(record("“%s” cannot be read", name))

        assert line.encode()
        assert json.loads(line)["message"] == f"“{name}” cannot be read"
        assert "“" in line

    def test_has_no_request_id_outside_of_requests(self) -> None:
        assert "request_id" not in json.loads(JSONFormatter().format(record("x")))


class TestText:
    @pytest.mark.parametrize(("request_id", "end"), [("", "Stored 3 events"), ("abc", "Stored 3 events [request abc]")])
    def test_ends_with_the_request(self, request_id: str, end: str) -> None:
        line = TextFormatter().format(record("Stored %d events", 3, request_id=request_id))

        assert line.endswith(f"WARNING metrics.ingest: {end}")
