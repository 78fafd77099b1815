"""The modules of the pages' scripts that need a browser. tests/js/ has the tests of those that need none."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from dashboard.page_context import page_settings
from tests.support.server import Server

pytestmark = pytest.mark.browser

SCRIPTS = Path(__file__).parents[2] / "dashboard" / "static" / "dashboard" / "js"


@pytest.fixture
def run(module_server: Server, open_page: Any, request: pytest.FixtureRequest) -> Any:
    """`run("page/format.js", "(module, argument) => …", argument)` in the browser.

    On the Connect page, which draws no chart, unless the class of the tests has another `path`.
    """
    page = open_page(module_server.url + getattr(request.cls, "path", "/dashboard/connect/"))

    def run(module: str, body: str, argument: Any = None) -> Any:
        return page.evaluate(
            f"""async (argument) => {{
              const settings = {json.dumps(page_settings())};
              return ({body})(await import('/static/dashboard/js/{module}'), argument, settings);
            }}""",
            argument,
        )

    return run


class TheScripts:
    def test_draw_once_in_a_frame_however_often_they_are_asked(self, run: Any) -> None:
        body = """async (m) => {
          let drawn = 0;
          const draw = m.perFrame(() => { drawn += 1; });
          for (let asked = 0; asked < 3; asked += 1) draw({ asked });
          await new Promise(requestAnimationFrame);
          return drawn; }"""
        assert run("page/scheduling.js", body) == 1

    def test_draw_nothing_in_a_hidden_tab_until_it_is_shown(self, run: Any) -> None:
        body = """async (m) => {
          let drawn = 0;
          const draw = () => { drawn += 1; };
          const setHidden = (value) => Object.defineProperty(document, "hidden", { value, configurable: true });
          const idle = () => new Promise((done) => requestIdleCallback(done));
          setHidden(true);
          m.whenIdle(draw);
          m.whenIdle(draw);
          await idle();
          const hidden = drawn;
          setHidden(false);
          document.dispatchEvent(new Event("visibilitychange"));
          await idle();
          return [hidden, drawn]; }"""
        assert run("page/scheduling.js", body) == [0, 1]

    def test_write_what_an_alert_means(self, run: Any) -> None:
        body = """(m, [alert, others]) => others.map((other) => { const it = { ...alert, ...other };
                    return it.state === "resolved" ? m.outcome(it) : m.condition(it); })"""
        alert = {
            "state": "firing", "stat": "p95", "unit": "ms", "value": 5380, "threshold": 5000, "peak": 6310,
            "since": "2026-03-01T12:00:00Z", "started_at": "2026-03-01T12:01:00Z", "ended_at": "2026-03-01T12:37:00Z",
        }  # fmt: skip
        others: list[dict[str, Any]] = [
            {},
            {"stat": "avg", "unit": "requests", "value": 104, "threshold": 100, "since": alert["started_at"]},
            {"stat": "avg", "unit": "%", "value": 2, "threshold": 10, "since": "2026-03-01T12:00:35Z"},
            {"value": None, "threshold": None},
            {"state": "resolved"},
            {"unit": "requests", "value": 1, "threshold": 0, "since": alert["started_at"]},
        ]
        assert [text.replace("\xa0", " ") for text in run("alerting/messages.js", body, [alert, others])] == [
            "P95 5.38 s, over 5 s for 1 m",
            "104 requests, over 100",
            "2.0 %, under 10 % for 25 s",
            "no data",
            "fired for 36 m, peak 6.31 s",
            "P95 1 request, over 0",
        ]

    def test_offer_to_acknowledge_a_firing_alert_in_a_row(self, run: Any) -> None:
        body = """(m, states) => states.map((it) => {
          const page = { catalogue: {}, data: { can: [], options: {} } };
          const alert = { id: 1, name: "Hot", severity: "warning", labels: {}, metric_name: "a.b", stat: "avg", ...it };
          return [...m.createCard(alert, page, false).querySelectorAll(".alert-end button.primary")].length;
        })"""
        states = [{"state": "firing"}, {"state": "firing", "acknowledged_at": "x"}, {"state": "pending"}]
        assert run("alerts-page/card.js", body, states) == [1, 0, 0]

    def test_put_the_machines_with_a_firing_alert_first(self, run: Any) -> None:
        body = "(m, [hosts, firing]) => m.firingFirst(hosts.map((host) => ({ host })), firing).map(({ host }) => host)"
        assert run("overview/machines.js", body, [["a", "b", "vm"], ["vm"]]) == ["vm", "a", "b"]

    def test_write_in_a_row_how_long_an_alert_fires_and_what_was_done(self, run: Any) -> None:
        body = """(m, states) => states.map((it) => {
          const now = Date.parse("2026-03-01T12:30:00Z");
          const page = { catalogue: {}, data: { can: [], options: {} }, now: () => now };
          const alert = { id: 1, name: "Hot", severity: "warning", labels: {}, metric_name: "a.b", stat: "avg",
            unit: "%", threshold: 80, value: 90, state: "firing", started_at: "2026-03-01T12:25:00Z", ...it };
          const node = m.createCard(alert, page, false);
          m.updateCard(node, alert, page);
          const words = [node.querySelector(".alert-progress").textContent, node.querySelector(".alert-end").innerText];
          return words.map((text) => text.replaceAll("\u00a0", " "));
        })"""
        silenced = {"silence": 7, "silenced_until": "2026-03-01T18:00:00Z"}
        states = [{}, {"acknowledged_at": "2026-03-01T12:28:00Z", "acknowledged_by": "mara"}, silenced]
        known, acknowledged, quiet = run("alerts-page/card.js", body, states)
        assert known[0] == "firing 5 msince 13:25:00"
        assert acknowledged[0] == "firing 5 macknowledged by mara"
        assert quiet == ["firing 5 msilenced until 19:00:00", "End silence"]

    def test_name_what_most_of_the_rise_is_due_to(self, run: Any) -> None:
        body = """(m, splits) => splits.map((split) => {
          const target = document.createElement("div");
          m.drawContext(target, { context: { split, pending: 0, firing: [], count: 5, min_count: 1 } });
          return target.querySelector("h3").textContent.replace(" mean per request", "");
        })"""

        def phases(queue: float | None, decode: float) -> dict[str, Any]:
            total = (queue or 0) + decode + 100
            return {"queue_ms": queue, "prompt_ms": 100, "decode_ms": decode, "response_time_ms": total}

        before = phases(100, 900)
        splits = [
            {"now": phases(2_580, 2_960), "before": before},
            {"now": phases(2_580, 960), "before": before},
            {"now": phases(2_500, 2_500), "before": phases(1_250, 1_250)},
            {"now": phases(2_580, 900), "before": phases(None, 900)},
            {"now": phases(2_580, 900), "before": None},
        ]
        assert run("alerts-page/context.js", body, splits) == [
            "It waits longer in the queue",  # not: it waits, because it decodes for longer
            "It waits longer in the queue",
            "Where the time goes",
            "Where the time goes",
            "Where the time goes",
        ]

    def test_keep_the_cards_of_alerts_as_they_were_while_disconnected(self, run: Any) -> None:
        body = """async (m) => {
          const section = document.createElement("section");
          section.innerHTML = "<div data-list></div><p data-hidden></p><button data-more></button>";
          const now = Date.parse("2026-03-01T12:30:00Z");
          const alert = { id: 1, name: "Hot", severity: "warning", labels: {}, metric_name: "a.b", stat: "avg",
            unit: "%", threshold: 80, value: 90, peak: 90, state: "firing", started_at: "2026-03-01T12:25:00Z",
            since: "2026-03-01T12:25:00Z" };
          const listeners = {};
          const page = { catalogue: {}, now: () => now + 60_000, isDisconnected: false,
            data: { can: [], options: {}, now, alerts: [alert], alerts_omitted: 0, alerts_hidden: 0 },
            topics: { on: (topic, listener) => (listeners[topic] ??= []).push(listener) } };
          m.mount(section, page);
          const shown = async () => {
            for (const listener of listeners.connection) listener();
            await new Promise(requestAnimationFrame);
            await new Promise(requestAnimationFrame);
            const button = section.querySelector("button.primary");
            return [section.querySelector("dd b").textContent.replaceAll("\u00a0", " "), button.disabled];
          };
          const connected = await shown();
          page.isDisconnected = true;
          return [connected, await shown()];
        }"""
        assert run("alerts-page/cards.js", body) == [["6 m", False], ["5 m", True]]

    def test_draw_the_chart_of_an_alert_with_all_its_times_and_its_threshold_beside_it(self, run: Any) -> None:
        body = """(m) => {
          const now = Date.parse("2026-03-01T12:30:00Z");
          const earlier = [{ state: "firing", from: "2026-03-01T11:50:00Z", to: "2026-03-01T12:05:00Z" },
            { state: "pending", from: "2026-03-01T12:07:00Z", to: "2026-03-01T12:08:00Z" }];
          const chart = { start: now - 600_000, step: 30_000, values: [10, 20, 30], earlier };
          const alert = { unit: "ms", severity: "warning", value: 90, threshold: 20, clear_threshold: null, chart,
            comparison: "gt", since: "2026-03-01T12:10:00Z", started_at: "2026-03-01T12:11:00Z" };
          const target = document.createElementNS("http://www.w3.org/2000/svg", "svg");
          m.drawChart(target, alert, now, { width: 400, height: 150 });
          const number = (node, name) => Number(node.getAttribute(name));
          const dot = target.querySelector("circle");
          const line = target.querySelector(".chart-line").getAttribute("d");
          const limit = [...target.querySelectorAll("text.chart-tag")].at(-1);
          return [line.endsWith(`${dot.getAttribute("cx")} ${dot.getAttribute("cy")}`),
            [...target.querySelectorAll("rect")].map((rect) => [rect.classList[1], Math.round(number(rect, "width"))]),
            limit.textContent.replace("\u00a0", " "),
            number(limit, "x") > number(target.querySelector(".chart-limit"), "x2")];
        }"""
        spans = [["firing", 51], ["pending", 10], ["pending", 10], ["firing", 194]]
        assert run("alerts-page/chart.js", body) == [True, spans, "20 ms", True]

    def test_draw_the_chart_of_a_change_below_and_above_zero(self, run: Any) -> None:
        body = """(m) => {
          const now = Date.parse("2026-03-01T12:30:00Z");
          const chart = { start: now - 60_000, step: 30_000, values: [20, 0, -60] };
          const alert = { unit: "%", kind: "change", severity: "warning", value: -60, threshold: -50,
            clear_threshold: null, chart, comparison: "lt", since: "2026-03-01T12:29:00Z", started_at: null };
          const target = document.createElementNS("http://www.w3.org/2000/svg", "svg");
          m.drawChart(target, alert, now, { width: 400, height: 150 });
          const heights = target.querySelector(".chart-line").getAttribute("d").match(/[0-9.]+(?=L|$)/g).map(Number);
          const limit = Number(target.querySelector(".chart-limit").getAttribute("y1"));
          const labels = [...target.querySelectorAll(".chart-label[text-anchor=end]")].map((node) => node.textContent);
          const isInOrder = heights[0] < heights[1] && heights[1] < limit && limit < heights[2];
          return [isInOrder, labels.map((text) => text.replace("\u00a0", " "))];
        }"""
        assert run("alerts-page/chart.js", body) == [True, ["-60 %", "-40 %", "-20 %", "0 %", "20 %"]]

    def test_draw_one_line_with_one_label_for_rules_with_the_same_threshold(self, run: Any) -> None:
        body = """(m) => {
          const mark = { metric: "x", severity: "warning", firing: [], pending: [], threshold: 5 };
          const named = (name, more) => ({ ...mark, name, label: `${name} 5 s, each model`, ...more });
          const marks = [named("Slow"), named("Re", { firing: [[1, null]] }), named("High", { threshold: 7 })];
          return m.marksOf(marks, { thresholdsOf: ["x"] }).thresholds.map(({ label }) => label);
        }"""
        labels = ["Re and 1 other 5 s, each model", "High 5 s, each model"]
        assert run("charts/alert-marks.js", body) == labels

    def test_count_at_most_99_alerts_in_the_title(self, run: Any) -> None:
        body = """(m) => [0, 2, 1000].map((length) =>
                    m.tabTitle(Array.from({ length }, () => ({ severity: "critical", name: "Hot" })), "Overview"))"""
        titles = ["Overview", "(2) ■ Hot · LLM Monitor", "(99+) ■ Hot · LLM Monitor"]
        assert run("alerting/messages.js", body) == titles

    def test_open_the_alert_that_the_address_names(self, run: Any) -> None:
        body = """async (m) => {
          const section = document.createElement("section");
          section.innerHTML = "<div data-list></div><p data-hidden></p><button data-more></button>";
          const alerts = Array.from({ length: 12 }, (_, id) => ({ id, name: "Hot", severity: "warning", labels: {},
            metric_name: "a.b", stat: "avg", unit: "%", threshold: 80, value: 90, peak: 90, state: "firing",
            started_at: "2026-03-01T12:25:00Z", since: "2026-03-01T12:25:00Z" }));
          const page = { catalogue: {}, now: () => Date.parse("2026-03-01T12:30:00Z"), isDisconnected: false,
            data: { can: [], options: {}, alerts, alerts_omitted: 0, alerts_hidden: 0 }, topics: { on: () => {} } };
          location.hash = "#alert-10";
          m.mount(section, page);
          await new Promise(requestAnimationFrame);
          await new Promise(requestAnimationFrame);
          location.hash = "";
          return [...section.querySelectorAll(".is-large")].map((node) => node.dataset.alert);
        }"""
        assert run("alerts-page/cards.js", body) == ["0", "1", "10"]

    def test_count_how_often_an_alert_has_fired(self, run: Any) -> None:
        counted = run("alerting/messages.js", "(m) => [2, 3, 4, 11].map(m.times)")
        assert [text.split()[2] for text in counted] == ["2nd", "3rd", "4th", "11th"]

    def test_ring_for_each_alert_once_and_once_in_ten_seconds(self, run: Any) -> None:
        body = """async (m) => {
          window.AudioContext = class extends EventTarget { state = "running"; currentTime = 0; };
          const gain = { setValueAtTime() {}, linearRampToValueAtTime() {} };
          const silent = { connect: () => silent, start() {}, stop() {}, gain };
          window.OscillatorNode = window.GainNode = function () { return silent; };
          localStorage.clear();
          const rung = [];
          const topics = { emit: (topic, value) => topic === "sound-played" && rung.push(value.severity) };
          const [one, other] = [new m.AlertSound({ topics }), new m.AlertSound({ topics })]; // two tabs
          const alert = (id, severity) => ({ id, severity, started_at: "2026-03-01T12:00:00Z" });
          const ring = async (tabs, ...alerts) => {
            for (const tab of tabs) await tab.ring(alerts, () => true);
            rung.push("|");
          };
          const later = () => {
            const key = "llmmonitor.alert-sound-rung";
            const last = JSON.parse(localStorage.getItem(key));
            localStorage.setItem(key, JSON.stringify({ ...last, at: Date.now() - 11_000 }));
          };
          await ring([one, other], alert(1, "critical")); // it is off
          one.isOn = other.isOn = true;
          await ring([one, other], alert(2, "warning"), alert(3, "critical"));
          await ring([one], alert(4, "critical")); // too soon
          later();
          await ring([one, other], alert(2, "warning")); // the same again
          await ring([one], alert(5, "info"));
          await ring([other], alert(6, "warning"));
          later();
          one.mute();
          await ring([one, other], alert(7, "warning"));
          one.mute(false);
          await ring([one, other], alert(8, "warning"));
          return rung.join(" ");
        }"""
        assert run("alerting/sound.js", body) == "| critical | | | | warning | | warning |"

    def test_ring_for_a_critical_alert_when_the_ten_seconds_after_a_warning_are_over(self, run: Any) -> None:
        body = """async (m) => {
          const waits = [];
          window.setTimeout = (work, wait) => waits.push([work, wait]);
          window.AudioContext = class extends EventTarget { state = "running"; };
          localStorage.clear();
          const sound = new m.AlertSound({ topics: { emit() {} } });
          sound.isOn = true;
          localStorage.setItem("llmmonitor.alert-sound-rung",
            JSON.stringify({ at: Date.now() - 4_000, severity: "warning", alerts: [] }));
          await sound.ring([{ id: 1, severity: "critical", started_at: "" }], () => true);
          return waits.map(([, wait]) => Math.ceil(wait / 1000));
        }"""
        assert run("alerting/sound.js", body) == [6]

    def test_notify_once_allowed_while_the_page_is_not_in_view(self, run: Any) -> None:
        body = """(m, alert) => {
          const shown = [];
          window.Notification = class extends EventTarget {
            static permission = "granted";
            constructor(title, options) { super(); shown.push([title, options.body.split("\\n")[0], options.tag]); }
          };
          document.hasFocus = () => false;
          m.notify([alert]);
          localStorage.setItem("llmmonitor.alert-notifications", "true");
          m.notify([alert]);
          document.hasFocus = () => true;
          m.notify([alert]);
          return shown;
        }"""
        alert = {
            "id": 7, "name": "Queue Backlog", "severity": "warning", "stat": "avg", "unit": "requests",
            "value": 104, "threshold": 100, "labels": {"model": "m"},
            "since": "2026-03-01T12:00:00Z", "started_at": "2026-03-01T12:00:00Z",
        }  # fmt: skip
        ((title, text, tag),) = run("alerting/browser-notification.js", body, alert)
        assert (title, text.replace("\xa0", " ")) == ("▲ Queue Backlog", "m: 104 requests, over 100")
        assert tag == "llmmonitor-7"

    def test_give_each_name_a_colour_that_does_not_depend_on_the_others_shown(self, run: Any) -> None:
        body = """(m, order) => { m.setColourOrder({ model: order });
                  const all = order.map((name) => m.slotOf("model", name));
                  m.setColourOrder({ model: order });
                  return [all, order.toReversed().map((name) => m.slotOf("model", name)).toReversed(),
                          order.map((name) => m.lineStyle("model", name).dash.length > 0)]; }"""
        all_, shown_otherwise, dashed = run("charts/palette.js", body, [f"model-{n}" for n in range(8)])
        assert shown_otherwise == all_
        assert sorted(all_[:6]) == ["1", "2", "3", "5", "6", "7"]  # slot 4 is the queue's
        assert dashed == [False] * 6 + [True] * 2

    def test_keep_the_peaks_of_more_points_than_a_chart_shows(self, run: Any) -> None:
        body = """(m) => { const valueAt = (x) => (x === 31_337 ? 9 : x % 2);
                  const kept = m.decimated(Array.from({ length: 50_000 }, (_, x) => ({ x, y: valueAt(x) })));
                  const inOrder = kept.every(({ x }, index) => !index || x > kept[index - 1].x);
                  return [kept.length, kept.some(({ y }) => y === 9), inOrder]; }"""
        length, has_peak, in_order = run("charts/lines.js", body)
        assert 1_000 < length <= 2_000
        assert has_peak
        assert in_order

    def test_show_the_largest_groups_and_the_sum_of_the_others(self, run: Any) -> None:
        body = """(m) => {
          const points = (...values) => values.map((y, x) => ({ x, y }));
          const of = { a: points(1, 1), b: points(5, 5), c: points(3, null) };
          const series = { labels: () => Object.keys(of), get: (metric, stat, name) => of[name] ?? points(10, 6) };
          const lines = m.linesByGroup({ series }, "m", "rate", "model", { limit: 2, total: true });
          return m.stacked(lines).map(({ label, points, below }) => [label, points.map(({ y }) => y), below]); }"""
        assert run("charts/lines.js", body) == [
            ["b", [5, 5], "origin"],
            ["c", [3, 0], "-1"],
            ["1 other model", [2, 1], "-1"],
        ]

    def test_draw_the_window_before_as_a_grey_twin(self, run: Any) -> None:
        body = """(m) => {
          const before = { get: (...key) => [{ x: 1, y: key.join("|") }] };
          const line = { label: "P95", points: [], compared: { metric: "m", stat: "p95", label: "a" } };
          const lines = [line, { label: "P50" }];
          return [m.withComparison(lines, null).length,
                  m.withComparison(lines, before).map(({ label, points }) => [label, points?.[0]?.y])]; }"""
        assert run("charts/lines.js", body) == [
            2, [["P95", None], ["P50", None], ["P95 before", "m|p95|a"]],
        ]  # fmt: skip

    def test_colour_a_heatmap_in_steps_of_whole_counts(self, run: Any) -> None:
        body = "(m, most) => most.map((max) => m.countSteps(max).map(({ low, high }) => [low, high]))"
        few, many = run("charts/heat.js", body, [2, 490])
        assert few == [[1, 1], [2, 2]]
        assert many == [[1, 10], [11, 40], [41, 90], [91, 160], [161, 250], [251, 360], [361, 490]]

    def test_mark_a_logarithmic_axis_with_round_figures(self, run: Any) -> None:
        body = "(m, limits) => limits.map(([low, high]) => m.logTicks(low, high))"
        wide, narrow = run("charts/heat.js", body, [[90, 12_000], [820, 1_100]])
        assert wide == [100, 300, 1_000, 3_000, 10_000]
        assert narrow == [900, 1_000]

    def test_name_a_file_by_its_chart_filters_and_range(self, run: Any) -> None:
        body = """(m, present) => m.fileName("Response time", {
                    window: { from: Date.parse("2026-11-24T12:30:00Z"), to: 0 }, params: { range: "1h" },
                    filters: { model: ["llama/3 70b", "../x" + "y".repeat(99)] },
                    data: { demo: { present } } }, "png")"""
        stem = f"llmmonitor_response-time_llama-3-70b+x{'y' * 39}_2026-11-24T1330_1h"
        assert run("charts/export.js", body, False) == f"{stem}.png"
        assert run("charts/export.js", body, True) == f"{stem}_demo.png", (
            "values in a file have no other mark of demo data"
        )

    def test_write_names_as_text_in_a_csv_file(self, run: Any) -> None:
        rows = [["a", 'b "c", d'], ["=1+1", -1.5, None]]
        assert run("charts/export.js", "(m, rows) => m.csvText(rows)", rows) == 'a,"b ""c"", d"\r\n\'=1+1,-1.5,\r\n'

    def test_show_the_last_minute_while_live_and_the_window_where_it_has_nothing(self, run: Any) -> None:
        body = """(m, _, settings) => {
          const params = { range: "24h", filters: {}, span: "the last 24 hours" };
          const tiles = [{ tick: "rate" }];
          const summary = { rate: 2, unknown: null };
          const page = new m.Page({ settings, tiles, data: { now: Date.now(), params, summary } });
          const current = () => [page.showsLastMinute, page.currentValue((minute) => minute.rate, "rate")];
          const all = [current()];
          page.tick = { overall: { rate: 0 } };
          all.push(current());
          page.tick = { overall: { rate: null } };
          all.push(current(), [page.showsLastMinute, page.currentValue((minute) => minute.unknown, "unknown")]);
          page.pause = { window: { from: 0, to: 1 } };
          all.push(current());
          page.pause = null;
          page.tiles = [{ tick: "rate" }, { tick: "" }];
          all.push(current());
          return all; }"""
        assert run("live/page.js", body) == [
            [False, {"value": 2, "fromWindow": False}],
            [True, {"value": 0, "fromWindow": False}],
            [True, {"value": 2, "fromWindow": True}],
            [True, {"value": None, "fromWindow": False}],
            [False, {"value": 2, "fromWindow": False}],
            [False, {"value": 2, "fromWindow": False}],
        ]

    def test_show_times_of_the_server_in_the_time_zone_of_the_browser(self, run: Any) -> None:
        body = """(m, text) => m.withLocalTimes(text, Date.parse("2026-03-02T09:00:00Z"))"""
        text = "It fired from 2026-03-01T22:30:00Z to 2026-03-01T23:30:00Z."
        assert run("page/sentence-text.js", body, text) == "It fired from 1 Mar, 23:30 to 00:30."
        short = "It fired from 2026-03-02T08:30:05Z to 2026-03-02T08:30:50Z."
        assert run("page/sentence-text.js", body, short) == "It fired from 09:30:05 to 09:30:50."
        yesterday = "It fired from 2026-03-01T12:30:00Z to 2026-03-01T13:30:00Z."
        assert run("page/sentence-text.js", body, yesterday) == "It fired from 1 Mar, 13:30 to 14:30."


def within(setting: str, body: str) -> str:
    """Return a JavaScript function that runs `setting` before `body`."""
    return f"async (m, argument, settings) => {{ {setting} {body} }}"


# `page`, whose server answers with the hour before `now` by half minutes, unless `answer` is set to something else.
AN_HOUR = """
    let now = 1_700_000_000_000, answer = null;
    Date.now = () => now;
    const hour = () => {
      const values = new Array(120).fill(2);
      const series = ["inference.requests", "x"].map((metric) => ({ metric, stat: "rate", values }));
      const params = { range: "1h", filters: {}, span: "the last hour" };
      const history = { step_seconds: 30, start: now - 3600_000, series };
      return { now, has_events: true, summary: {}, params, history };
    };
    const ask = window.fetch;
    window.fetch = (path, options) => /overview([?]|$)/.test(path)
      ? (answer ? answer(options.signal) : Promise.resolve(Response.json(hour()))) : ask(path, options);
    const page = new m.Page({ settings, data: hour() });
    const shown = () => {
      const { from, to } = page.window;
      return page.series.get("x", "rate").filter(({ x }) => x >= from && x < to).length;
    };
    const tick = (at, rate) => page.applyTick({ seq: at / 1000 + 29, overall: {}, buckets:
      ["inference.requests", "x"].map((metric) => ({ metric, stat: "rate", labels: {}, points: [[at, rate]] })) });
"""


class APausedPage:
    path = "/"  # has data to load

    def test_keeps_what_it_was_paused_on_until_it_is_resumed(self, run: Any) -> None:
        body = """
            page.pauseNow();
            now += 2 * 3600_000;
            const quiet = [await page.load({ quiet: true }), Boolean(page.pause), shown()];
            page.resume();
            return [quiet, [await page.load({ quiet: true }), Boolean(page.pause), shown() >= 119]];"""
        assert run("live/page.js", within(AN_HOUR, body)) == [["paused", True, 120], ["loaded", False, True]]

    def test_ignores_a_load_that_began_before(self, run: Any) -> None:
        body = """
            let respond;
            answer = () => new Promise((done) => { respond = done; });
            const reading = page.load({ quiet: true });
            page.pauseNow();
            now += 2 * 3600_000;
            respond(Response.json(hour()));
            return [await reading, shown()];"""
        assert run("live/page.js", within(AN_HOUR, body)) == ["paused", 120]

    def test_stays_paused_when_the_present_cannot_be_read(self, run: Any) -> None:
        body = """
            page.pauseNow();
            answer = async () => new Response("{}", { status: 503 });
            page.resume();
            return [await page.load({ quiet: true }), Boolean(page.pause), shown()];"""
        assert run("live/page.js", within(AN_HOUR, body)) == ["failed", True, 120]

    def test_has_its_window_in_the_address_until_it_is_resumed(self, run: Any) -> None:
        body = """
            const addresses = [], note = () => addresses.push(location.search);
            page.pauseNow();
            note();
            answer = async () => new Response("{}", { status: 503 });
            await page.resume();
            note();
            answer = async () => Response.json(hour());
            await page.resume();
            note();
            return [page.pause?.window, ...addresses];"""
        _, paused, failed, resumed = run("live/page.js", within(AN_HOUR, body))
        assert re.fullmatch(r"\?from=[^&]+Z&to=[^&]+Z", paused)
        assert (failed, resumed) == (paused, "")

    def test_is_live_again_after_a_load_that_began_before(self, run: Any) -> None:
        body = """
            let respond;
            answer = () => new Promise((done) => { respond = done; });
            const reading = page.load();
            page.pauseNow();
            respond(Response.json(hour()));
            return [await reading, page.live, location.search];"""
        assert run("live/page.js", within(AN_HOUR, body)) == ["loaded", True, ""]

    def test_counts_the_requests_since_in_bounded_memory(self, run: Any) -> None:
        body = """
            page.tick = { seq: now / 1000 - 1 };
            page.pauseNow();
            const begin = now, counts = [page.requestsSincePause];
            tick(begin, 1);
            tick(begin, 2);  // the same bucket, as of later
            counts.push(page.requestsSincePause);
            for (let bucket = 1; bucket < 1000; bucket += 1) tick(begin + bucket * 30_000, 2);
            counts.push(page.requestsSincePause);
            tick(begin, 500);  // of so long ago that no tick brings it again
            page.tick = { seq: begin / 1000 + 29_999 };
            return [...counts, page.requestsSincePause, page.series.get("x", "rate").length];"""
        assert run("live/page.js", within(AN_HOUR, body)) == [0, 60, 60_000, 60_000, 120]

    def test_does_not_count_requests_once_ticks_were_missed(self, run: Any) -> None:
        body = """
            page.pauseNow();
            await page.load({ quiet: true });
            tick(now, 2);
            return page.requestsSincePause;"""
        assert run("live/page.js", within(AN_HOUR, body)) is None


class ALoad:
    path = "/"  # has data to load

    def test_distinguishes_cancelled_from_failed(self, run: Any) -> None:
        body = """
            const outcomes = [await page.load({ quiet: true })];
            answer = async () => new Response("{}", { status: 503 });
            outcomes.push(await page.load({ quiet: true }));
            answer = (signal) => new Promise((_, fail) => signal.addEventListener("abort", () => fail(signal.reason)));
            const stopped = page.load({ quiet: true });
            page.cancel();
            return [...outcomes, await stopped];"""
        assert run("live/page.js", within(AN_HOUR, body)) == ["loaded", "failed", "cancelled"]

    def test_ends_like_the_load_that_replaced_it(self, run: Any) -> None:
        body = """
            answer = (signal) => new Promise((_, fail) => signal.addEventListener("abort", () => fail(signal.reason)));
            const quiet = page.load({ quiet: true });
            answer = null;
            return Promise.all([quiet, page.load()]);"""
        assert run("live/page.js", within(AN_HOUR, body)) == ["loaded", "loaded"]


# `live`: the connection of a stub page. A test calls `read(outcome)` to end a load, `receive(message)` and `lose()` for
# the socket, and `pass(ms)` to run the timers of that delay.
A_CONNECTION = """
    let socket, read;
    const sent = [], ticks = [], states = [], timers = [];
    window.WebSocket = class extends EventTarget {
      static OPEN = 1;
      readyState = 1;
      constructor() { super(); socket = this; }
      send(text) { sent.push(JSON.parse(text)); }
      close() {}
    };
    window.setTimeout = (run, after) => timers.push({ run, after });
    const pass = (after) => timers.filter((timer) => timer.after === after && !timer.over).forEach((timer) => {
      timer.over = true;
      timer.run();
    });
    const listeners = {};
    const page = {
      rolling: true, isFiltered: false, filters: {}, specs: [{}], series: { step: 10000 }, data: { now: 0 },
      now: () => 0, live: true, tick: null, connection: { state: "connecting" },
      setConnection(state) { states.push(state); this.connection = { state }; },
      topics: { on(topic, listener) { listeners[topic] = listener; }, emit(topic) { listeners[topic]?.(); } },
      applyTick(tick) { ticks.push(tick); },
      load() { states.push("read"); return new Promise((done) => { read = async (outcome) => done(outcome); }); },
    };
    const receive = (message) => socket.dispatchEvent(new MessageEvent("message", { data: JSON.stringify(message) }));
    const hello = (seq) => receive({ type: "hello", seq, server: {} });
    const lose = (code = 1006, reason = "") => socket.dispatchEvent(new CloseEvent("close", { code, reason }));
    const live = new m.LiveConnection(page);
    const texts = () => live.events.map(({ text }) => text.replace("\u00a0", " "));
"""


class ALivePage:
    def test_uses_only_ticks_of_its_current_subscription(self, run: Any) -> None:
        body = """
            const subscriptions = sent, applied = ticks, changed = () => page.topics.emit("data");
            page.isFiltered = true;
            page.filters = { model: ["a"] };
            const tickOf = (subscription) =>
              receive({ type: "tick", seq: 1, id: subscription?.id, view: {}, buckets: [] });
            live.start();
            hello(1);
            tickOf(subscriptions[0]);
            changed();  // loaded again, the same subscription
            page.filters = { model: ["b"] };
            changed();
            for (const subscription of subscriptions) tickOf(subscription);
            page.rolling = page.isFiltered = false;
            changed();
            for (const subscription of [subscriptions[1], undefined]) tickOf(subscription);
            return [subscriptions.map(({ type, id }) => [type, id ?? null]),
                    applied.slice(1).map(({ view, buckets }) => Boolean(view && buckets))];"""
        sent, complete = run("live/connection.js", within(A_CONNECTION, body))
        assert sent == [["subscribe", "1"], ["subscribe", "2"], ["unsubscribe", None]]
        assert complete == [True, False, True, False, False]

    def test_loads_missed_data_from_the_store_and_not_from_the_stream(self, run: Any) -> None:
        body = """
            live.start();
            hello(1_000);
            lose();
            live.retry();
            hello(1_012);
            await read("loaded");
            return [states, texts().slice(0, 3), sent.map(({ type }) => type)];"""
        states, texts, sent = run("live/connection.js", within(A_CONNECTION, body))
        assert states == ["live", "disconnected", "catching-up", "read", "live"]
        assert texts == ["Caught up", "Reconnected after 12 s", "Connection lost"]
        assert sent == ["subscribe", "subscribe"]

    def test_is_not_live_when_the_connection_is_lost_while_it_catches_up(self, run: Any) -> None:
        body = """
            live.start();
            hello(1);
            lose();
            live.retry();
            hello(2);
            lose();
            await read("loaded");
            const lost = states.splice(0);
            live.retry();
            hello(3);
            await read("loaded");
            return [lost.at(-1), states];"""
        assert run("live/connection.js", within(A_CONNECTION, body)) == [
            "disconnected",
            ["catching-up", "read", "live"],
        ]

    def test_has_not_caught_up_before_it_has_loaded(self, run: Any) -> None:
        body = """
            live.start();
            hello(1);
            lose();
            live.retry();
            hello(2);
            await read("failed");
            const first = [states.at(-1), texts()[0]];
            pass(15_000);
            await read("cancelled");
            pass(15_000);
            await read("loaded");
            return [first, texts().slice(0, 2), states.slice(2)];"""
        first, texts, states = run("live/connection.js", within(A_CONNECTION, body))
        assert first == ["read", "The missed data could not be loaded"]
        assert texts == ["Caught up", "The missed data could not be loaded"]
        assert states == ["catching-up", "read", "catching-up", "read", "catching-up", "read", "live"]

    def test_does_not_catch_up_while_it_is_paused(self, run: Any) -> None:
        body = """
            live.start();
            hello(1);
            lose();
            live.retry();
            hello(3);
            await read("paused");
            return [states.at(-1), texts()[0]];"""
        assert run("live/connection.js", within(A_CONNECTION, body)) == ["live", "Reconnected after 2 s"]

    def test_loads_some_seconds_after_ticks_were_skipped(self, run: Any) -> None:
        body = """
            live.start();
            hello(1);
            for (const seq of [5, 9]) receive({ type: "tick", seq, dropped: 3 });
            const before = states.length;
            pass(5_000);
            await read("loaded");
            receive({ type: "tick", seq: 10 });
            pass(5_000);
            return [before, states];"""
        assert run("live/connection.js", within(A_CONNECTION, body)) == [1, ["live", "read"]]

    def test_loads_some_seconds_after_late_events_changed_old_buckets(self, run: Any) -> None:
        body = """
            const late = (more) => receive({ type: "tick", seq: 2, reread_from: "2026-03-01T11:00:00Z", ...more });
            live.start();
            hello(1);
            for (const _ of [1, 2]) late({ id: sent[0].id });
            pass(5_000);
            await read("loaded");
            late({ id: "of an earlier subscription" });
            page.live = false;
            late({ id: sent[0].id });
            pass(5_000);
            return states;"""
        assert run("live/connection.js", within(A_CONNECTION, body)) == ["live", "read"]

    @pytest.mark.parametrize("reason", ["Too many messages.", "Answers are not read.", "Too many live connections."])
    def test_names_the_servers_reason_and_waits(self, run: Any, reason: str) -> None:
        body = """
            live.start();
            hello(1);
            lose(4429, argument);
            return [texts()[0], timers.at(-1).after];"""
        assert run("live/connection.js", within(A_CONNECTION, body), reason) == [reason, 30_000]

    def test_drops_the_last_minute_of_the_previous_filters(self, run: Any) -> None:
        body = """(m, _, settings) => {
            const params = (model) => ({ range: "1h", filters: { model } });
            const data = (model) => ({ now: Date.now(), has_events: true, params: params(model) });
            const page = new m.Page({ settings, data: data(["a"]) });
            page.applyTick({ overall: {}, view: { of: "a" } });
            page.setData(data(["a"]));
            const same = page.lastMinute;
            page.setData(data(["b"]));
            return [same, page.lastMinute];
        }"""
        assert run("live/page.js", body) == [{"of": "a"}, None]


CONTEXT = "document.createElement('canvas').getContext('2d')"


class ADrawing:
    def test_clips_text_by_a_group_around_it_and_escapes_its_words(self, run: Any) -> None:
        body = f"""(m) => {{ const ctx = new m.SvgContext(100, 50, {CONTEXT});
                   ctx.beginPath(); ctx.rect(0, 0, 10, 10); ctx.clip(); ctx.rotate(1); ctx.fillText("a < b", 1, 2);
                   return ctx.toString("T & t", "D"); }}"""
        drawn = run("charts/svg-context.js", body)
        assert '<g clip-path="url(#clip1)"><text transform="matrix(' in drawn
        assert ">a &lt; b</text></g>" in drawn
        assert "<title>T &amp; t</title>" in drawn

    def test_scales_widths_and_dashes_with_its_paths(self, run: Any) -> None:
        body = f"""(m) => {{ const ctx = new m.SvgContext(100, 50, {CONTEXT});
                   ctx.scale(2, 2); ctx.setLineDash([3, 1]); ctx.strokeStyle = "rgba(1, 2, 3, 0.5)";
                   ctx.beginPath(); ctx.moveTo(1, 1); ctx.lineTo(4, 5); ctx.stroke(); return ctx.toString("", ""); }}"""
        drawn = run("charts/svg-context.js", body)
        assert 'd="M2 2L8 10"' in drawn
        assert 'stroke="rgb(1,2,3)" stroke-opacity="0.5" stroke-width="2" stroke-dasharray="6 2"' in drawn

    def test_rejects_a_path_that_cannot_be_read(self, run: Any) -> None:
        body = f"""(m) => {{ const ctx = new m.SvgContext(100, 50, {CONTEXT});
                   try {{ ctx.stroke(new Path2D("M0 0L1 1")); }} catch (problem) {{ return problem.message; }}
                   return "drawn"; }}"""
        assert "segment" in run("charts/svg-context.js", body)

    def test_ignores_values_that_are_not_finite_as_a_canvas_does(self, run: Any) -> None:
        body = f"""(m) => {{ const ctx = new m.SvgContext(100, 50, {CONTEXT}); ctx.beginPath(); ctx.moveTo(1, 1);
                   ctx.lineTo(NaN, 2); ctx.arc(1, 1, NaN, 0, 1); ctx.lineTo(3, 3); ctx.stroke();
                   return ctx.toString("", ""); }}"""
        assert 'd="M1 1L3 3"' in run("charts/svg-context.js", body)

    def test_restores_the_state_that_was_saved(self, run: Any) -> None:
        body = f"""(m) => {{ const ctx = new m.SvgContext(100, 50, {CONTEXT}); ctx.fillStyle = "#111111";
                   ctx.save(); ctx.translate(50, 0); ctx.fillStyle = "#222222"; ctx.restore(); ctx.fillRect(0, 0, 1, 1);
                   return ctx.toString("", ""); }}"""
        assert '<path d="M0 0L1 0L1 1L0 1Z" fill="#111111"/>' in run("charts/svg-context.js", body)


def test_modules_import_each_other_in_one_direction() -> None:
    """Hashed file names cannot be computed for modules that import each other in a cycle."""
    imports = {
        path: [(path.parent / target).resolve() for target in re.findall(r'from "(\.[^"]+)"', path.read_text("utf-8"))]
        for path in SCRIPTS.rglob("*.js")
    }
    done: set[Path] = set()

    def visit(path: Path, above: tuple[Path, ...]) -> None:
        assert path not in above, f"import cycle: {[step.name for step in (*above, path)]}"
        assert path in imports, f"{path} is imported but does not exist"
        if path not in done:
            for other in imports[path]:
                visit(other, (*above, path))
            done.add(path)

    for path in imports:
        visit(path, ())


class TheWordsOfAlerts:
    def test_describe_a_rule(self, run: Any) -> None:
        rule = {"metric_type": "inference", "metric_name": "ttft_ms", "stat": "p95", "window_seconds": 300}
        rule |= {"kind": "threshold", "comparison": "gt", "threshold": 3_000, "for_seconds": 600, "unit": "ms"}
        change = rule | {
            "kind": "change",
            "unit": "%",
            "threshold": 60,
            "compare_to_seconds": 604_800,
            "for_seconds": 0,
        }
        body = """(m, rules) => rules.map((rule) => m.condition(rule, { catalogue: { "inference.ttft_ms":
                    { title: "Time to first token", kind: "histogram" } } }).replaceAll("\\u00a0", " "))"""
        timeouts = rule | {"filters": {"outcome": ["success_or_timeout"]}}
        assert run("alerts/words.js", body, [rule, timeouts, change, rule | {"kind": "no_data"}]) == [
            "P95 time to first token over 5 min > 3 s for 10 min",
            "P95 time to first token including timeouts over 5 min > 3 s for 10 min",
            "P95 time to first token over 5 min against a week before > 60 %",
            "no time to first token for 5 min",
        ]

    def test_silence_a_group_until_the_clocks_show_nine(self, run: Any) -> None:
        alert = {"id": 7, "rule": "slow", "labels": {"model": "llama"}}
        body = """(m, alert) => [{ seconds: 60 }, { untilHour: 9 }, { whileFiring: true }].map((choice) =>
                    m.silenceOf(alert, choice, Date.parse("2026-03-28T08:30:00Z")))"""
        matchers = {"rule": ["slow"], "model": ["llama"]}
        assert run("alerts/actions.js", body, alert) == [
            {"matchers": matchers, "ends_at": "2026-03-28T08:31:00.000Z"},
            {"matchers": matchers, "ends_at": "2026-03-29T07:00:00.000Z"},  # the clocks are set forward in the night
            {"matchers": {"alert": ["7"]}, "ends_at": None},
        ]


def test_folders_import_in_one_direction() -> None:
    """A page imports widgets, widgets import charts, and so on; nothing imports back up."""
    shared = ["page", "live", "charts", "alerts", "widgets", "alerting", "header", "frame"]
    for path in SCRIPTS.rglob("*.js"):
        for target in re.findall(r'from "(\.[^"]+)"', path.read_text("utf-8")):
            folder = (path.parent / target).resolve().parent.name
            layers = [*shared, path.parent.name]  # each other folder is a page
            assert folder in layers, f"{path} imports {target} of another page"
            assert layers.index(folder) <= layers.index(path.parent.name), f"{path} imports {target}"
