"""The Overview in a real browser, on a real server."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from playwright.sync_api import Page, Route, expect

from tests.support.proxy import Proxy
from tests.support.server import Server

pytestmark = pytest.mark.browser


def request(model: str = "llama-3-8b", ago_seconds: float = 0, **fields: Any) -> dict[str, Any]:
    """An event of the past."""
    at = datetime.now(UTC) - timedelta(seconds=ago_seconds)
    return {
        "timestamp": at.isoformat(),
        "model_name": model,
        "provider": "vllm",
        "prompt_tokens": 120,
        "completion_tokens": 80,
        "response_time_ms": 1234.5,
        "queue_time_ms": 130,
        "success": True,
        **fields,
    }


def send(server: Server, *events: dict[str, Any]) -> None:
    reply = server.post("/track/inference", list(events))
    assert reply.status == 200, reply.body
    assert reply.json()["accepted"] == len(events)


def wait_live(page: Page) -> None:
    expect(page.locator("#connection")).to_have_attribute("data-state", "live")


def tile(page: Page, name: str) -> Any:
    return page.locator(f'[data-tile="{name}"] [data-number]')


def points(page: Page, widget: str, dataset: int = 0) -> list[list[Any]]:
    """What a chart shows now: [[epoch ms, value or None], …]."""
    values: list[list[Any]] = page.evaluate(
        """([widget, dataset]) => Chart.getChart(document.querySelector(`[data-widget="${widget}"] canvas`))
             ?.data.datasets[dataset]?.data.map(({ x, y }) => [x, y]) ?? []""",
        [widget, dataset],
    )
    return values


class AnEmptyPage:
    def test_turns_into_charts_when_its_command_is_pasted(
        self, server: Server, open_page: Any, console_errors: list[str]
    ) -> None:
        page = open_page(server.url)
        expect(page.get_by_role("heading", name="Send your first event")).to_be_visible()
        expect(page.locator("#listening-text")).to_contain_text("no event yet (0:0")
        expect(page.locator('[data-widget="latency"]')).to_be_hidden()
        wait_live(page)
        page.get_by_role("button", name="Copy", exact=True).click()
        expect(page.locator("#copy-snippet")).to_contain_text("Copied")
        command = page.evaluate("navigator.clipboard.readText()")
        match = re.search(r"curl (\S+) -H 'Content-Type: application/json' -d '(.*)'", command, re.DOTALL)
        assert match
        assert match.group(1) == f"{server.url}/track/inference"

        assert server.post("/track/inference", match.group(2).encode()).json()["accepted"] == 1

        expect(page.locator('[data-widget="latency"]')).to_be_visible()
        expect(page.get_by_role("heading", name="Send your first event")).to_be_hidden()
        expect(tile(page, "p50")).to_have_text(re.compile(r"1\.2\d"))
        expect(page.locator("#models-table")).to_contain_text("llama-3-8b")
        assert console_errors == []

    def test_is_there_again_when_a_long_removal_of_demo_data_has_ended(self, server: Server, open_page: Any) -> None:
        send(server, request(metadata={"llmmonitor.demo": True}))
        page = open_page(server.url)
        state = {"present": True, "running": False, "removing": True}

        def answer(route: Route) -> None:
            if state["removing"]:
                route.fulfill(status=202, json=state)
            else:
                route.continue_()

        page.route("**/demo", answer)
        page.get_by_role("button", name="Remove demo data").click()
        expect(page.locator("#demo-banner")).to_contain_text("Removing the demo data…")
        expect(page.get_by_role("button", name="Remove demo data")).to_be_hidden()
        expect(page.locator('[data-widget="latency"]')).to_be_visible()

        assert server.request("DELETE", "/demo").status == 200
        state["removing"] = False

        expect(page.locator("#demo-banner")).to_be_hidden()
        expect(page.get_by_role("heading", name="Send your first event")).to_be_visible()


class APage:
    def test_moves_each_second(self, module_server: Server, open_page: Any) -> None:
        page = open_page(module_server.url)
        wait_live(page)
        clock = page.locator(".sentence [data-aside]")
        newest = points(page, "cpu")[-1][0]
        for _ in range(3):
            expect(clock).not_to_have_text(clock.inner_text(), timeout=3_000)
        expect(page.locator("[data-age]")).to_have_text(re.compile(r"sampled (now|[1-4] s ago)"))
        assert points(page, "cpu")[-1][0] >= newest + 2_000

    def test_changes_data_and_address_with_the_range(self, module_server: Server, open_page: Any) -> None:
        send(module_server, *(request("steady", ago_seconds=60 * minute) for minute in range(1, 50)))
        page = open_page(f"{module_server.url}/?range=1h&model=steady")
        expect(page.locator("#models-table tbody td").first).to_have_text("49")

        page.get_by_role("button", name="15m", exact=True).click()

        expect(page).to_have_url(re.compile(r"\?model=steady&range=15m$"))
        expect(page.locator("#models-table tbody td").first).to_have_text("14")
        page.go_back()
        expect(page.locator("#models-table tbody td").first).to_have_text("49")
        expect(page.get_by_role("button", name="1h", exact=True)).to_have_attribute("aria-pressed", "true")

    def test_changes_data_and_address_with_the_model_filter(self, module_server: Server, open_page: Any) -> None:
        send(module_server, *(request("meta-llama/Llama-3", 30 + n) for n in range(3)), request("gpt-4o", 20))
        page = open_page(module_server.url)
        rows = page.locator("#models-table tbody tr")
        expect(page.locator("#models-table")).to_contain_text("gpt-4o")

        page.locator('[data-filter="model"] > button').click()
        page.get_by_role("checkbox", name="meta-llama/Llama-3").check()

        expect(page).to_have_url(re.compile(r"model=meta-llama%2FLlama-3$"))
        expect(rows).to_have_count(1)
        expect(page.locator("#chips")).to_contain_text("meta-llama/Llama-3")
        wait_live(page)
        page.get_by_role("button", name="Clear all").click()
        expect(page.locator("#models-table")).to_contain_text("gpt-4o")

    def test_shows_one_model_alone_when_its_name_in_the_table_is_clicked(
        self, module_server: Server, open_page: Any
    ) -> None:
        send(module_server, request("meta-llama/Llama-3", 30), request("<b>bold</b>", 20))
        page = open_page(module_server.url)
        table = page.locator("#models-table tbody")
        expect(table.locator("tr", has_text="meta-llama/Llama-3").locator("svg path").first).to_be_attached()

        page.get_by_role("button", name="<b>bold</b>").click()

        expect(page).to_have_url(re.compile(r"model=%3Cb%3Ebold%3C%2Fb%3E$"))
        expect(table.locator("tr")).to_have_count(1, timeout=20_000)
        expect(table.locator("th")).to_have_text("<b>bold</b>")

    def test_names_the_filter_to_remove_when_nothing_matches(self, module_server: Server, open_page: Any) -> None:
        send(module_server, request())
        page = open_page(f"{module_server.url}/?model=nobody")
        expect(page.get_by_text("No requests match model = nobody")).to_be_visible()
        page.get_by_role("button", name="Remove the model filter").click()
        expect(page.locator("#models-table")).to_contain_text("llama-3-8b")

    def test_shows_no_value_where_the_last_minute_has_no_requests_and_names_that_of_the_window(
        self, module_server: Server, open_page: Any
    ) -> None:
        send(module_server, *(request("quiet", ago_seconds=600 + n) for n in range(3)))
        page = open_page(f"{module_server.url}/?range=1h&model=quiet")
        wait_live(page)
        expect(page.locator(".sentence [data-aside]")).to_contain_text("The last minute; not enough data to compare")
        expect(tile(page, "p50")).to_have_text("—")
        expect(page.locator('[data-tile="p50"] [data-change]')).to_have_text(re.compile(r"1h: 1\.2\d\ss"))
        page.set_viewport_size({"width": 1101, "height": 800})  # the narrowest with all tiles in a row
        wider = "(all) => all.filter((node) => node.scrollWidth > node.clientWidth).map((node) => node.dataset.tile)"
        assert page.locator(".tile").evaluate_all(wider) == []
        expect(page.locator('[data-widget="latency"] [data-values]')).to_have_text(
            re.compile(r"P99 1\.2\d\ss in the last hour")
        )

    def test_shows_no_change_against_a_window_that_is_nearly_empty(self, server: Server, open_page: Any) -> None:
        send(server, *(request(ago_seconds=60 * n) for n in range(1, 59)))
        send(server, *(request(ago_seconds=3_601 + n) for n in range(30)))
        page = open_page(f"{server.url}/?range=1h")
        wait_live(page)
        page.locator("#live").click()
        expect(page.locator(".sentence [data-aside]")).to_contain_text(
            "The last hour; not enough data to compare with the previous hour"
        )
        expect(page.locator('[data-tile="requests"] [data-change]')).to_have_text(re.compile(r"^\s*$"))

        send(server, *(request(ago_seconds=3_700 + 60 * n) for n in range(58)))
        page.goto(f"{server.url}/?range=1h")
        wait_live(page)
        page.locator("#live").click()

        expect(page.locator(".sentence [data-aside]")).to_contain_text(
            "The last hour, ▲ ▼ compared with the previous hour"
        )
        expect(page.locator('[data-tile="requests"] [data-change]')).to_contain_text("▼")

    def test_compares_the_last_minute_with_the_window_and_keeps_its_words_in_a_reload(
        self, server: Server, open_page: Any
    ) -> None:
        send(server, *(request(ago_seconds=600 + n, response_time_ms=900) for n in range(30)))
        send(server, *(request(ago_seconds=1) for _ in range(30)))
        page = open_page(f"{server.url}/?range=1h")
        wait_live(page)
        shown = page.locator('[data-tile="p50"]')
        expect(shown.locator("[data-change]")).to_have_text(re.compile(r"▲\s\d+\s%"))
        aside = page.locator(".sentence [data-aside]")
        expect(aside).to_contain_text("The last minute, ▲ ▼ compared with the last hour · ")
        parts = ("[data-number]", "[data-unit]", "[data-change]")
        running = [shown.locator(part).text_content() for part in parts]

        page.context.set_offline(True)  # nothing changes what the server has rendered
        html = server.request("GET", "/?range=1h").body
        rendered = page.evaluate(
            """([html, parts]) => {
                 const read = new DOMParser().parseFromString(html, "text/html");
                 const text = (selector) => read.querySelector(selector).textContent;
                 const ofTile = parts.map((part) => text(`[data-tile="p50"] ${part}`));
                 return [...ofTile, text(".sentence [data-aside]")]; }""",
            [html.decode() if isinstance(html, bytes) else html, list(parts)],
        )
        assert rendered == [*running, "The last minute, ▲ ▼ compared with the last hour"]

    def test_hints_at_machines_below_the_edge(self, server: Server, open_page: Any) -> None:
        send(server, request())
        for number in range(8):
            sample = {"host": f"gpu-{number}", "cpu_percent": 10 + number, "memory_percent": 50}
            assert server.post("/track/system", sample).status == 200
        page = open_page(server.url)
        machines = page.locator(".machine-list")
        expect(page.locator(".machine")).to_have_count(9)
        expect(machines).to_have_class(re.compile("has-more"))
        machines.evaluate("(list) => list.scrollTo(0, list.scrollHeight)")
        expect(machines).not_to_have_class(re.compile("has-more"))

    def test_shows_whole_names_of_models_on_a_phone(self, module_server: Server, open_page: Any) -> None:
        name = "meta-llama/Llama-3.1-405B-Instruct-FP8-and-a-long-tail"
        send(module_server, request(name, ago_seconds=5))
        page = open_page(f"{module_server.url}/?model={name}", width=390, height=844)
        cell = page.locator("#models-table tbody th")
        expect(cell).to_have_text(name)
        cut = """(node) => [node, ...node.querySelectorAll("*")].some((child) =>
                   child.scrollWidth > child.clientWidth + 1 && getComputedStyle(child).overflowX !== "visible")"""
        assert not cell.evaluate(cut)
        assert page.evaluate("document.documentElement.scrollWidth") == 390

    def test_pauses_and_resumes_with_a_key(self, module_server: Server, open_page: Any) -> None:
        send(module_server, request())
        page = open_page(f"{module_server.url}?range=15m")
        wait_live(page)
        entries = page.evaluate("history.length")
        page.keyboard.press("l")
        expect(page.locator("#live")).to_contain_text("Paused at")
        expect(page).to_have_url(re.compile(r"/\?from=[^&]+Z&to=[^&]+Z$"))
        expect(page.locator("#connection")).to_have_text("Connected")
        expect(page.locator(".machines [data-values]")).to_contain_text(" up at ")
        send(module_server, request(), request())
        expect(page.locator("#live")).to_contain_text("new")
        page.keyboard.press("l")
        expect(page.locator("#live")).to_have_text("Pause")
        expect(page).to_have_url(re.compile(r"/\?range=15m$"))
        assert page.evaluate("history.length") == entries

    def test_shows_after_a_reload_what_it_was_paused_on(self, module_server: Server, open_page: Any) -> None:
        page = open_page(f"{module_server.url}?range=15m")
        wait_live(page)
        page.keyboard.press("l")
        expect(page).to_have_url(re.compile("from="))
        shown = page.url
        page.reload()
        expect(page.locator("#live")).to_have_text("Go live")
        assert page.url == shown
        assert page.evaluate("JSON.parse(document.getElementById('page-data').textContent).params.range") is None

    def test_opens_the_list_of_keys(self, module_server: Server, open_page: Any) -> None:
        page = open_page(module_server.url)
        page.keyboard.press("?")
        expect(page.get_by_role("dialog")).to_contain_text("Pause or resume")

    def test_looks_at_what_is_drawn_on_a_chart(self, module_server: Server, open_page: Any) -> None:
        send(module_server, request(ago_seconds=600))
        page = open_page(module_server.url)
        box = page.locator('[data-widget="latency"] canvas').bounding_box()
        assert box is not None
        page.mouse.move(box["x"] + box["width"] * 0.4, box["y"] + 100)
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] * 0.6, box["y"] + 100, steps=4)
        page.mouse.up()
        expect(page).to_have_url(re.compile(r"\?from=[^&]+&to=[^&]+$"))
        expect(page.locator("#live")).to_contain_text("Go live")

    def test_shows_the_values_of_a_chart_in_a_table(self, module_server: Server, open_page: Any) -> None:
        send(module_server, request(ago_seconds=20))
        page = open_page(module_server.url)
        card = page.locator('[data-widget="latency"]')
        card.get_by_role("button", name="Response time menu").click()
        page.get_by_role("menuitem", name="View as table").click()
        expect(card.locator("table")).to_contain_text(re.compile(r"1\.2\d\ss"))

    def test_saves_a_chart_as_picture_drawing_and_figures(
        self, module_server: Server, open_page: Any, console_errors: list[str]
    ) -> None:
        send(module_server, *(request(ago_seconds=20 * n) for n in range(1, 20)))
        page = open_page(f"{module_server.url}/?range=15m", height=2600, theme="dark")
        saved = {}
        # At most ten, because Chromium blocks further downloads of a page.
        wanted = {
            "latency": ("PNG", "SVG", "CSV"),
            "requests": ("SVG",),
            "throughput": ("SVG",),
            "heatmap": ("PNG", "SVG", "CSV"),
        }
        for widget, kinds in wanted.items():
            for kind in kinds:
                page.locator(f'[data-widget="{widget}"] [data-menu]').click()
                with page.expect_download() as download:
                    page.get_by_role("menuitem", name=f"Save as {kind}").click()
                saved[widget, kind] = Path(download.value.path()).read_bytes()

        for (widget, kind), content in saved.items():
            if kind == "PNG":
                assert content.startswith(b"\x89PNG"), widget
                assert len(content) > 5_000, widget
            elif kind == "SVG":
                drawing = ElementTree.fromstring(content)  # noqa: S314 (our own drawing)
                words = [node.text for node in drawing.iter("{http://www.w3.org/2000/svg}text")]
                assert page.locator(f"#{widget}-title").inner_text() in words
                assert len(list(drawing.iter("{http://www.w3.org/2000/svg}path"))) > 4, widget
                assert b"NaN" not in content
                assert b"undefined" not in content
            else:
                head = b"timestamp,metric,stat" if widget == "latency" else b"time,above,up_to,count"
                assert content.startswith(head), widget
        assert console_errors == []

    def test_keeps_the_theme_that_was_chosen(self, module_server: Server, open_page: Any) -> None:
        page = open_page(module_server.url)
        page.locator("#theme").click()
        page.locator("#theme").click()
        page.reload()
        assert page.content().split("<head>")[0].count('data-theme="dark"') == 1
        background = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert background == "rgb(11, 14, 19)"

    @pytest.mark.parametrize("theme", ["light", "dark"])
    @pytest.mark.parametrize("width", [320, 390, 768])
    def test_does_not_scroll_sideways_on_a_phone(
        self, module_server: Server, open_page: Any, width: int, theme: str
    ) -> None:
        send(module_server, request("a-model-with-a-very-long-name/" + "x" * 150, ago_seconds=5))
        page = open_page(module_server.url, width=width, height=844, theme=theme)
        assert page.evaluate("document.documentElement.scrollWidth") == width

    def test_does_not_violate_its_content_security_policy(
        self, module_server: Server, open_page: Any, console_errors: list[str]
    ) -> None:
        send(module_server, request(ago_seconds=5))
        page = open_page(module_server.url, height=2600)
        wait_live(page)
        page.keyboard.press("?")
        page.keyboard.press("Escape")
        page.locator("#range-custom").click()
        page.keyboard.press("Escape")
        page.locator('[data-widget="requests"] [data-info]').click()
        assert console_errors == []


class ALostServer:
    def test_is_shown_and_missed_data_is_loaded_except_for_the_outage(self, server: Server, open_page: Any) -> None:
        page = open_page(f"{server.url}/?range=5m", height=1000)  # both charts of this machine in sight, by the second
        wait_live(page)
        before = server.get("/metrics/current").json()["seq"]

        server.kill()

        expect(page.locator("#connection")).to_have_attribute("data-state", "disconnected", timeout=4_000)
        expect(page.locator("#connection")).to_contain_text("data from")
        expect(page.locator("#connection-banner")).to_contain_text("Disconnected")
        page.wait_for_timeout(33_000)  # a sample counts for 15 s; long enough for a bucket of five seconds after that
        server.start()
        after = server.get("/metrics/current").json()["seq"]
        send(server, request("came-meanwhile", ago_seconds=1))
        expect(page.locator("#models-table")).to_contain_text("came-meanwhile", timeout=30_000)
        wait_live(page)
        expect(page.locator("#connection-banner")).to_be_hidden()
        page.locator('[data-widget="cpu"]').scroll_into_view_if_needed()
        page.wait_for_timeout(1_500)  # the chart draws with the next tick

        # What the page shows is what a reload would show: no point twice, and a gap where there are no samples. Samples
        # that came since may change how long an older one is valid, so the page may differ until it loads its data.
        until = time.monotonic() + 75
        while True:
            history = server.get("/metrics/history?metric=system.cpu_percent&stat=avg&range=5m&step=5").json()
            stored = dict(history["series"][0]["points"])
            shown = points(page, "cpu")
            times = [at for at, _ in shown]
            assert times == sorted(set(times)), "a point exists twice"
            settled = [(at, value) for at, value in shown if at in stored and at < after * 1000 - 5_000]
            differing = [at for at, value in settled if (value is None) != (stored[at] is None)]
            if not differing:
                break
            assert time.monotonic() < until, differing
            page.wait_for_timeout(1_000)
        # The last sample may be two seconds younger than `before`, and its bucket begins up to five seconds later.
        outage = [value for at, value in shown if before * 1000 + 22_000 < at < after * 1000 - 6_000]
        assert set(outage) == {None}, "the outage is drawn as data"


class APageWithoutASocket:
    def test_polls(self, module_server: Server, browser: Any) -> None:
        context = browser.new_context()
        try:
            page = context.new_page()
            page.route_web_socket(re.compile("/ws/metrics"), lambda socket: socket.close())
            page.goto(module_server.url)
            expect(page.locator("#connection")).to_have_text("Polling · 5 s", timeout=30_000)
            send(module_server, request("polled"))
            expect(page.locator("#models-table")).to_contain_text("polled", timeout=30_000)
        finally:
            context.close()

    def test_counts_down_to_the_next_question_whichever_way_it_is_asked(
        self, module_server: Server, browser: Any
    ) -> None:
        context = browser.new_context()
        try:
            page = context.new_page()
            page.route_web_socket(re.compile("/ws/metrics"), lambda socket: socket.close())
            page.route("**/metrics/current", lambda route: route.abort())
            with page.expect_request("**/metrics/current"):  # the socket is tried again after a minute
                page.goto(module_server.url)
            expect(page.locator("#connection-banner")).to_have_text(re.compile(r"Next attempt in [1-5] s\."))
        finally:
            context.close()


class APageWithManyModels:
    def test_shows_the_busiest_and_finds_the_others(
        self, server: Server, open_page: Any, console_errors: list[str]
    ) -> None:
        busy = [request(f"busy-{number:02}", ago_seconds=5) for number in range(30) for _ in range(2)]
        send(server, *busy, *(request(f"rare-{number:03}", ago_seconds=5) for number in range(70)))
        page = open_page(f"{server.url}/?range=15m")
        wait_live(page)
        table = page.locator("#models-table")
        expect(table.locator("tbody tr")).to_have_count(26)
        expect(table).to_contain_text("Not shown: 75 models.")
        expect(page.locator('[data-widget="throughput"] .legend')).to_contain_text("93 other models")
        search = page.get_by_role("searchbox", name="Find a model").last
        search.fill("RARE-06")
        expect(table.locator("tbody tr")).to_have_count(10)
        expect(table).to_contain_text("rare-069")
        search.fill("nobody")
        expect(table).to_contain_text("No model matches “nobody”.")
        search.fill("")
        expect(table.locator("tbody tr")).to_have_count(26)

        menu = page.locator('[data-filter="model"]')
        expect(menu.locator(".filter-value")).to_have_text("All 100")
        menu.locator("button").first.click()
        expect(menu).to_contain_text("Not shown: 50.")
        menu.get_by_role("searchbox").fill("rare-069")
        menu.get_by_role("checkbox", name="rare-069").check()
        expect(table.locator("tbody tr")).to_have_count(1)
        expect(page.locator("#chips")).to_contain_text("rare-069")
        assert console_errors == []


class APageBelowAPathOfAProxy:
    def test_works_as_at_the_root(self, make_server: Any, open_page: Any, console_errors: list[str]) -> None:
        server = make_server(env={"LLMMONITOR_PATH_PREFIX": "/monitor"}, fresh=True)
        link = re.search(r"Sign in .*: http://[^/]+(/\S+)", server.output)
        assert link
        with Proxy(server.port, "/monitor", strips=True) as proxy:
            page = open_page(proxy.url + link[1])
            assert page.url == f"{proxy.url}/monitor/dashboard/connect/"
            page.goto(f"{proxy.url}/monitor/")
            wait_live(page)
            send(server, request(ago_seconds=5))
            expect(tile(page, "p50")).to_have_text(re.compile(r"1\.2\d"))
            page.locator('[data-range="1h"]').click()
            expect(page).to_have_url(f"{proxy.url}/monitor/?range=1h")
            page.locator("#theme").click()
            page.reload()
            wait_live(page)
            expect(page.locator("html")).to_have_attribute("data-theme", "light")
            with page.expect_request(f"{proxy.url}/monitor/export/history.json?**"), page.expect_download() as saved:
                page.locator('[data-widget="requests"] [data-menu]').click()
                page.get_by_role("menuitem", name="CSV").click()
            assert saved.value.suggested_filename.startswith("llmmonitor_requests_")
            page.goto(f"{proxy.url}/monitor/docs")
            expect(page.get_by_text("/metrics/current", exact=True)).to_be_visible()
            expect(page.get_by_role("combobox")).to_contain_text("/monitor")
            assert proxy.not_forwarded == []
        assert console_errors == []

    def test_starts_the_demo(self, make_server: Any, open_page: Any) -> None:
        server = make_server(env={"LLMMONITOR_PATH_PREFIX": "/monitor"}, fresh=True)
        link = re.search(r"Sign in .*: http://[^/]+(/\S+)", server.output)
        assert link
        with Proxy(server.port, "/monitor", strips=False) as proxy:
            page = open_page(proxy.url + link[1])
            page.goto(f"{proxy.url}/monitor/")
            with page.expect_response(lambda reply: reply.request.method == "POST") as started:
                page.locator(".welcome [data-demo-start]").click()
            assert (started.value.url, started.value.status) == (f"{proxy.url}/monitor/demo", 202)
