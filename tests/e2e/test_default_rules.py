"""Each of the six default rules fires and is resolved, from the posts to the page and its sound, on a real server."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.support.rules import hurry_rules
from tests.support.server import Server

pytestmark = pytest.mark.browser

ARRIVES_MS = 20_000  # an evaluation each five seconds, and a machine under load
SPY = """() => { window.notes = [];
  window.OscillatorNode = class extends window.OscillatorNode {
    constructor(context, options) { super(context, options); window.notes.push(Math.round(options.frequency)); } };
  document.getElementById("sound-switch").click(); }"""
FORGET_RUNG = "() => { localStorage.removeItem('llmmonitor.alert-sound-rung'); window.notes = []; }"
WARNING, CRITICAL = [659], [880, 1175]

CPU = ("/track/system", {"host": "box", "cpu_percent": 81}, {"host": "box", "cpu_percent": 20})
MEMORY = ("/track/system", {"host": "box", "memory_percent": 86}, {"host": "box", "memory_percent": 20})
GPU = ("/track/system", *({"host": "box", "gpu_metrics": [{"gpu_id": 0, "temperature": t}]} for t in (86, 60)))
SLOW = ("/track/inference", *([{"model_name": "slow", "response_time_ms": ms}] * 3 for ms in (5_100, 900)))
FAILED = (
    "/track/inference",
    [{"model_name": "bad", "success": False, "status_code": 500}] * 5,
    [{"model_name": "bad", "response_time_ms": 90}] * 5,
)
QUEUE = ("/track/queue", *({"source": "gateway", "model_name": "full", "pending": n} for n in (101, 3)))
RULES = {
    "High CPU Usage": (*CPU, WARNING),
    "High Memory Usage": (*MEMORY, WARNING),
    "Slow Response Time": (*SLOW, WARNING),
    "High Error Rate": (*FAILED, CRITICAL),
    "GPU Overheating": (*GPU, CRITICAL),
    "Queue Backlog": (*QUEUE, WARNING),
}


class TheDefaultRules:
    def test_fire_over_their_thresholds_and_are_resolved_under_them(self, server: Server, open_page: Any) -> None:
        hurry_rules(server)  # the thresholds are those of a new installation
        page = open_page(f"{server.url}/dashboard/alerts/")
        page.evaluate(SPY)

        def post(path: str, body: Any) -> None:
            reply = server.post(path, body)
            assert (reply.status, reply.json()["rejected"]) == (200, []), reply.body

        for name, (path, over, _, notes) in RULES.items():
            page.evaluate(FORGET_RUNG)
            post(path, over)
            rule = page.locator(".rule").filter(has_text=name)
            expect(rule).to_contain_text("firing now", timeout=ARRIVES_MS)
            page.wait_for_function("count => window.notes.length === count", arg=len(notes))
            assert page.evaluate("notes") == notes, name

        for path, _, under, _ in RULES.values():
            post(path, under)
        expect(page.locator(".sentence h1")).to_have_text(re.compile("Nothing fires"), timeout=2 * ARRIVES_MS)
        history = server.get("/alerts/history?limit=500").json()["results"]
        changes = {(change["name"], change["to"]) for change in history}
        assert changes >= {(name, to) for name in RULES for to in ("firing", "resolved")}
        assert all(re.search(rf'"name":"{name}","state":"firing"', server.output) for name in RULES)
