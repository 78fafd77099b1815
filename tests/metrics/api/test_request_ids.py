"""The id of a request: in the response, in problem responses, and in the log."""

from __future__ import annotations

import json
import logging
import re
import subprocess
import sys
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from llmmonitor.http.request_ids import current_request_id
from llmmonitor.infra.log_formats import JSONFormatter, RequestIdFilter
from metrics import readiness
from tests import services
from tests.metrics.api.asgi_client import AsgiClient
from tests.support.server import ROOT, Server, copy_prepared, environment


class ARequest:
    def test_has_an_id_in_its_response_and_in_its_problem(self, api: AsgiClient) -> None:
        reply = api.get("/metrics/history?metric=nothing")

        assert reply.status == 400
        assert re.fullmatch("[0-9a-f]{16}", reply.headers["x-request-id"])
        assert reply.json()["request_id"] == reply.headers["x-request-id"]

    def test_has_an_id_of_its_own(self, api: AsgiClient) -> None:
        assert len({api.get("/health").headers["x-request-id"] for _ in range(3)}) == 3

    @pytest.mark.parametrize("path", ["/health", "/track/inference", "/nowhere", "/"])
    def test_keeps_the_id_that_its_sender_gave(self, api: AsgiClient, path: str) -> None:
        assert (
            api.request("GET", path, headers={"X-Request-ID": "proxy-1.2:3"}).headers["x-request-id"] == "proxy-1.2:3"
        )

    @pytest.mark.parametrize("sent", ["", "a b", "<script>", "x" * 65])
    def test_gets_another_id_for_an_odd_one(self, api: AsgiClient, sent: str) -> None:
        reply = api.request("GET", "/health", headers={"X-Request-ID": sent})

        assert re.fullmatch("[0-9a-f]{16}", reply.headers["x-request-id"])

    def test_on_the_fast_lane_has_an_id_of_its_own(self, api: AsgiClient) -> None:
        ids = {api.post("/track/inference", {"model_name": "m"}).headers["x-request-id"] for _ in range(4)}

        assert len(ids) == 4

    def test_has_its_id_in_the_lines_of_its_log(self, api: AsgiClient, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail() -> None:
            raise OSError("the disk is gone")

        monkeypatch.setitem(readiness.PARTS, "disk", fail)
        monkeypatch.setattr(readiness, "_cached_report", None)
        handler = logging.StreamHandler(StringIO())
        handler.addFilter(RequestIdFilter(current_request_id.get))
        handler.setFormatter(JSONFormatter())
        logger = logging.getLogger("metrics.readiness")
        logger.addHandler(handler)
        try:
            reply = api.get("/health/ready")
        finally:
            logger.removeHandler(handler)

        lines = [json.loads(line) for line in handler.stream.getvalue().splitlines()]
        [line] = [line for line in lines if "the disk is gone" in line["message"]]
        assert line["request_id"] == reply.headers["x-request-id"]


class TheLogOfAServer:
    def test_has_one_json_object_a_line(self, prepared_data_dir: Path, tmp_path: Path) -> None:
        data_dir, log = copy_prepared(prepared_data_dir, tmp_path / "data"), tmp_path / "log"
        command = [sys.executable, "manage.py", "up", "--port", str(port := services.free_port())]
        settings = {"LLMMONITOR_LOG_FORMAT": "json", "LLMMONITOR_LOG_LEVEL": "DEBUG"}
        with log.open("wb") as stderr:
            process = subprocess.Popen(
                command, cwd=ROOT, env=environment(data_dir, port, settings), stdout=subprocess.DEVNULL, stderr=stderr
            )
        try:
            Server(data_dir, port=port, process=process).wait_until_ready()
        finally:
            process.terminate()
            process.wait(30)

        lines: list[dict[str, Any]] = [json.loads(line) for line in log.read_text().splitlines()]
        assert lines
        assert all({"time", "level", "logger", "message"} <= line.keys() for line in lines)
