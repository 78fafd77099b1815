"""HEAD gets the status and the headers of GET, and no body."""

from __future__ import annotations

import http.client
from collections.abc import Iterator

import pytest
from django.urls import get_resolver

from llmmonitor.http import static
from tests.support.server import UVICORN, Server

# Of each request, of the time at which it was served, or of the body.
CHANGING = {"date", "x-request-id", "set-cookie", "expires", "content-length", "transfer-encoding"}
WINDOW = "?metric=inference.requests&range=15m"
ARGUMENTS = {
    "requests/<int:number>": "requests/1",
    "models/<path:name>": "models/a/b",
    "export/<str:kind>.<str:extension>": "export/inference.csv",
    "metrics/history": f"metrics/history{WINDOW}",
    "metrics/distribution": "metrics/distribution?metric=inference.ttft_ms",
    "metrics/heatmap": "metrics/heatmap?metric=inference.ttft_ms",
}
# Only for posts, or tested elsewhere: a login link must not be used up by a HEAD.
NOT_READ = ("track/", "logout/", "login/link/", "admin/")


def read_paths() -> Iterator[str]:
    """Yield the paths of everything that GET may read."""
    for included in get_resolver().url_patterns:
        for pattern in included.url_patterns:
            route = str(included.pattern) + str(pattern.pattern)
            if not route.startswith(NOT_READ):
                yield "/" + ARGUMENTS.get(route, route)
    yield from ("/nothing", "/metrics/history", "/admin/", "/export/history.csv" + WINDOW, "/export/nothing.csv")
    yield f"/static/{static.fingerprint()}/vendor/chart.umd.min.js"
    yield "/static/dashboard/css/base.css"


@pytest.mark.parametrize("module_server", [{}, {"command": UVICORN}], indirect=True, ids=["daphne", "uvicorn"])
class TheMethodHead:
    @pytest.mark.parametrize("path", list(read_paths()))
    def test_gets_the_status_and_the_headers_of_get_and_no_body(self, module_server: Server, path: str) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", module_server.port, timeout=60)
        replies = []
        for method in ("GET", "HEAD", "GET"):  # on one connection, where a body of HEAD would be read as the next head
            connection.request(method, path, headers={"Accept-Encoding": "gzip"})
            reply = connection.getresponse()
            body = reply.read()
            assert bool(body) == (method == "GET" and reply.status not in (302, 307)), method
            headers = {name.lower(): value for name, value in reply.getheaders()}
            replies.append((reply.status, {k: v for k, v in headers.items() if k not in CHANGING}))
        connection.close()
        before, head, after = replies
        assert before[0] < 500
        assert head in (before, after)  # a tick may have changed whether the body is long enough to be compressed


class AnExport:
    def test_asked_for_by_head_reads_no_more_than_its_first_rows_and_leaves_its_slot_free(
        self, module_server: Server
    ) -> None:
        for _ in range(10):
            assert module_server.request("HEAD", "/export/inference.ndjson").status == 200
