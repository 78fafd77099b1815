"""The series that the pages send, in a real browser: each is one that something on the page draws."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from playwright.sync_api import expect

from dashboard.pages import PAGES
from tests.support.server import Server

pytestmark = pytest.mark.browser

# Load the data of the page again, and note which of its series are read from the store.
WATCH = """async () => {
  const { SeriesStore } = await import(new URL("../live/series.js", document.querySelector("script[type=module]").src));
  const key = (metric, stat, isByLabel) => [metric, stat, ...(isByLabel ? ["by label"] : [])].join(" ");
  const embedded = (id) => JSON.parse(document.getElementById(id)?.textContent ?? "[]");
  const sent = [...embedded("series-specs"), ...embedded("opened-specs")];
  const unread = new Set(sent.map(({ metric, stat, group_by: groups }) => key(metric, stat, groups?.length)));
  const read = SeriesStore.prototype.get;
  window.unread = new Promise((resolve) => {
    SeriesStore.prototype.get = function (metric, stat, label) {
      unread.delete(key(metric, stat, label));
      if (!unread.size) resolve([]);
      return read.call(this, metric, stat, label);
    };
    window.stopWatching = () => resolve([...unread]);
  });
  document.querySelector('[data-range="15m"]').click();
}"""
NEVER_READ = "() => { setTimeout(window.stopWatching, 5_000); return window.unread; }"
PAGES_WITH_CHARTS = [spec.path.replace("models/", "models/?open=llama") for spec in PAGES if spec.series]


@pytest.fixture(scope="module")
def server(module_server: Server) -> Server:
    """A server with requests, errors and samples of all kinds in the last minutes."""
    times = [(datetime.now(UTC) - timedelta(seconds=10 + 20 * number)).isoformat() for number in range(20)]
    requests = {
        "model_name": "llama", "provider": "vllm", "success": True, "response_time_ms": 900, "queue_time_ms": 20,
        "ttft_ms": 200, "prompt_tokens": 90, "completion_tokens": 50, "finish_reason": "stop",
    }  # fmt: skip
    module_server.post("/track/inference", [requests | {"timestamp": at} for at in times])
    module_server.post(
        "/track/error", [{"model_name": "llama", "error_type": "timeout", "timestamp": at} for at in times]
    )
    module_server.post(
        "/track/queue",
        [{"model_name": "llama", "source": "vllm", "pending": 3, "processing": 1, "timestamp": at} for at in times],
    )
    gpu = {"gpu_id": 0, "utilization_percent": 50, "memory_used_mb": 40_000, "memory_total_mb": 80_000}
    module_server.post(
        "/track/system",
        [
            {"host": "gpu-box", "cpu_percent": 20, "memory_percent": 30, "gpu_metrics": [gpu], "timestamp": at}
            for at in times
        ],
    )
    return module_server


@pytest.mark.parametrize("path", PAGES_WITH_CHARTS)
def test_every_series_of_a_page_is_drawn_or_shown_under_the_pointer(path: str, server: Server, open_page: Any) -> None:
    page = open_page(f"{server.url}/{path}")
    page.evaluate(WATCH)
    expect(page.locator("#content")).not_to_have_attribute("aria-busy", "")
    for canvas in page.query_selector_all("canvas"):
        if canvas.is_visible():  # it is not where a chart has no data
            box = canvas.bounding_box()
            canvas.hover(position={"x": 0.8 * box["width"], "y": 0.5 * box["height"]})
    assert page.evaluate(NEVER_READ) == []
