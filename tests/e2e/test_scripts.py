"""The scripts' pure modules, held to the same cases as their Python twins."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from dashboard.page_context import page_settings
from tests.support.server import Server

pytestmark = pytest.mark.browser

CASES = Path(__file__).parents[1] / "dashboard"
SCRIPTS = Path(__file__).parents[2] / "dashboard" / "static" / "dashboard" / "js"


@pytest.fixture
def run(module_server: Server, open_page: Any) -> Any:
    """`run("page/format.js", "(module, argument) => …", argument)` in the browser."""
    page = open_page(module_server.url)

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
    def test_say_figures_as_the_server_does(self, run: Any) -> None:
        cases = json.loads((CASES / "format_cases.json").read_text(encoding="utf-8"))
        said = run("page/format.js", "(m, cases) => cases.map(([name, value]) => m.FORMATS[name](value))", cases)
        assert [(one["number"], one["unit"]) for one in said] == [(number, unit) for _, _, number, unit in cases]

    def test_judge_changes_as_the_server_does(self, run: Any) -> None:
        cases = json.loads((CASES / "change_cases.json").read_text(encoding="utf-8"))
        said = run("page/change.js", "(m, cases) => cases.map((one) => m.change(...one.slice(0, 4)))", cases)
        assert [(one["text"], one["judgement"]) for one in said] == [tuple(one[4:]) for one in cases]

    def test_put_a_bucket_in_the_place_of_the_one_with_the_same_start(self, run: Any) -> None:
        body = """(m) => { const points = [];
                  for (const [x, y] of [[1, 1], [3, 3], [2, 2], [3, 9], [3, 9]]) m.place(points, x, y);
                  return points.map(({ x, y }) => [x, y]); }"""
        assert run("live/series.js", body) == [[1, 1], [2, 2], [3, 9]]

    def test_forget_what_is_older_than_the_window(self, run: Any) -> None:
        body = """(m) => { const store = new m.SeriesStore(); store.step = 1000;
                  for (let second = 0; second < 5000; second += 1) {
                    const bucket = { metric: "a", stat: "avg", labels: {}, points: [[second * 1000, 1]] };
                    store.merge([bucket], (second - 300) * 1000);
                  }
                  return store.get("a", "avg").length; }"""
        assert 300 <= run("live/series.js", body) <= 303

    def test_call_two_missing_buckets_a_gap_but_not_one(self, run: Any) -> None:
        body = "(m, points) => m.gaps(points.map(([x, y]) => ({ x, y })), 1)"
        points = [[0, 1], [1, None], [2, 1], [3, None], [4, None], [5, 1], [9, 1]]
        assert run("live/series.js", body, points) == [{"from": 3, "to": 5}, {"from": 6, "to": 9}]

    def test_find_the_value_under_a_time(self, run: Any) -> None:
        body = """(m, times) => times.map((time) =>
                    m.at([{ x: 0, y: 1 }, { x: 10, y: 2 }, { x: 20, y: null }], time, 10))"""
        assert run("live/series.js", body, [0, 9, 10, 25, 30]) == [1, 1, 2, None, None]

    def test_give_models_colours_that_stay(self, run: Any) -> None:
        body = """(m) => { localStorage.clear();
                  const first = m.slotsOf(["a", "b", "c"]); const later = m.slotsOf(["c", "x", "a"]);
                  return [[...first], [...later]]; }"""
        first, later = run("charts/palette.js", body)
        assert first == [["a", "1"], ["b", "2"], ["c", "3"]]
        assert dict(later) == {"c": "3", "a": "1", "x": "4"}

    def test_show_the_last_minute_while_live_and_the_window_where_it_has_nothing(self, run: Any) -> None:
        body = """(m, _, settings) => {
          const params = { range: "24h", filters: {}, span: "the last 24 hours" };
          const page = new m.Page({ settings, data: { now: Date.now(), params, summary: { rate: 2, unknown: null } } });
          const found = () => [page.showsMinute, page.figure((minute) => minute.rate, "rate")];
          const all = [found()];
          page.tick = { overall: { rate: 0 } };
          all.push(found());
          page.tick = { overall: { rate: null } };
          all.push(found(), [page.showsMinute, page.figure((minute) => minute.unknown, "unknown")]);
          page.frozen = { from: 0, to: 1 };
          all.push(found());
          return all; }"""
        assert run("live/page.js", body) == [
            [False, {"value": 2, "standsIn": False}],
            [True, {"value": 0, "standsIn": False}],
            [True, {"value": 2, "standsIn": True}],
            [True, {"value": None, "standsIn": False}],
            [False, {"value": 2, "standsIn": False}],
        ]

    @pytest.mark.parametrize(
        ("minute", "comparable", "text"),
        [
            (True, True, "Values: the last minute · ▲ ▼ the span compared with the window before"),
            (False, True, "Values: the span · ▲ ▼ the span compared with the window before"),
            (True, False, "Values: the last minute · not enough data to compare with the window before"),
        ],
    )
    def test_say_what_is_shown_and_what_its_arrows_compare(
        self, run: Any, minute: bool, comparable: bool, text: str
    ) -> None:
        body = """(m, [showsMinute, comparable]) => m.explain({
                    showsMinute, data: { summary: { comparable } },
                    params: { span: "the span", span_before: "the window before" } })"""
        assert run("overview/sentence.js", body, [minute, comparable]) == text

    @pytest.mark.parametrize(
        ("most", "is_duration", "step"),
        [
            (14.5, False, 5),
            (0.9, False, 0.25),
            (41, False, 20),
            (103_000, True, 30_000),
            (420, True, 200),
            (9_000, True, 5_000),
        ],
    )
    def test_mark_axes_with_round_figures(self, run: Any, most: float, is_duration: bool, step: float) -> None:
        found = run("charts/options.js", "(m, [most, isDuration]) => m.niceStep(most, isDuration)", [most, is_duration])
        assert found == pytest.approx(step)

    def test_add_up_the_rows_of_a_heatmap(self, run: Any) -> None:
        body = "(m) => m.coarser({ edges: [1, 2, 4, 8], counts: [[1, 2, 3]] }, 2)"
        assert run("widgets/heatmap.js", body) == {"edges": [1, 4, 8], "counts": [[3, 3]]}


def within(setting: str, body: str) -> str:
    """A function that first sets up what the body is about."""
    return f"async (m, argument, settings) => {{ {setting} {body} }}"


# `page`, whose server answers with the hour before `now` by half minutes, unless `answer` is set to something else.
AN_HOUR = """
    let now = 1_700_000_000_000, answer = null;
    Date.now = () => now;
    const hour = () => {
      const points = Array.from({ length: 120 }, (_, index) => [now - 3600_000 + index * 30_000, 2]);
      const series = ["inference.requests", "x"].map((metric) => ({ metric, stat: "rate", points }));
      const params = { range: "1h", filters: {}, span: "the last hour" };
      return { now, has_events: true, summary: {}, params, history: { step_seconds: 30, series } };
    };
    const ask = window.fetch;
    window.fetch = (path, options) => /overview([?]|$)/.test(path)
      ? (answer ? answer(options.signal) : Promise.resolve(Response.json(hour()))) : ask(path, options);
    const page = new m.Page({ settings, data: hour() });
    const shown = () => {
      const { from, to } = page.window;
      return page.series.get("x", "rate").filter(({ x }) => x >= from && x < to).length;
    };
    const tick = (at, rate) => page.takeTick({ seq: at / 1000 + 29, overall: {}, buckets:
      ["inference.requests", "x"].map((metric) => ({ metric, stat: "rate", labels: {}, points: [[at, rate]] })) });
"""


class APausedPage:
    def test_keeps_what_it_was_paused_on_until_it_is_resumed(self, run: Any) -> None:
        body = """
            page.pause();
            now += 2 * 3600_000;
            const quiet = [await page.load({ quiet: true }), Boolean(page.frozen), shown()];
            page.resume();
            return [quiet, [await page.load({ quiet: true }), Boolean(page.frozen), shown() >= 119]];"""
        assert run("live/page.js", within(AN_HOUR, body)) == [["paused", True, 120], ["read", False, True]]

    def test_takes_nothing_from_a_reading_that_began_before(self, run: Any) -> None:
        body = """
            let say;
            answer = () => new Promise((done) => { say = done; });
            const reading = page.load({ quiet: true });
            page.pause();
            now += 2 * 3600_000;
            say(Response.json(hour()));
            return [await reading, shown()];"""
        assert run("live/page.js", within(AN_HOUR, body)) == ["paused", 120]

    def test_stays_paused_when_the_present_cannot_be_read(self, run: Any) -> None:
        body = """
            page.pause();
            answer = async () => new Response("{}", { status: 503 });
            page.resume();
            return [await page.load({ quiet: true }), Boolean(page.frozen), shown()];"""
        assert run("live/page.js", within(AN_HOUR, body)) == ["failed", True, 120]

    def test_counts_what_came_since_and_holds_no_more_for_it(self, run: Any) -> None:
        body = """
            page.tick = { seq: now / 1000 - 1 };
            page.pause();
            const begin = now, counts = [page.arrivals];
            tick(begin, 1);
            tick(begin, 2);  // the same bucket, as of later
            counts.push(page.arrivals);
            for (let bucket = 1; bucket < 1000; bucket += 1) tick(begin + bucket * 30_000, 2);
            counts.push(page.arrivals);
            tick(begin, 500);  // of so long ago that no tick brings it again
            page.tick = { seq: begin / 1000 + 29_999 };
            return [...counts, page.arrivals, page.series.get("x", "rate").length];"""
        assert run("live/page.js", within(AN_HOUR, body)) == [0, 60, 60_000, 60_000, 120]

    def test_does_not_say_how_much_came_once_it_missed_some(self, run: Any) -> None:
        body = """
            page.pause();
            await page.load({ quiet: true });
            tick(now, 2);
            return page.arrivals;"""
        assert run("live/page.js", within(AN_HOUR, body)) is None


class AReading:
    def test_tells_what_was_stopped_from_what_failed(self, run: Any) -> None:
        body = """
            const outcomes = [await page.load({ quiet: true })];
            answer = async () => new Response("{}", { status: 503 });
            outcomes.push(await page.load({ quiet: true }));
            answer = (signal) => new Promise((_, fail) => signal.addEventListener("abort", () => fail(signal.reason)));
            const stopped = page.load({ quiet: true });
            page.cancel();
            return [...outcomes, await stopped];"""
        assert run("live/page.js", within(AN_HOUR, body)) == ["read", "failed", "cancelled"]

    def test_ends_as_the_one_that_took_its_place(self, run: Any) -> None:
        body = """
            answer = (signal) => new Promise((_, fail) => signal.addEventListener("abort", () => fail(signal.reason)));
            const quiet = page.load({ quiet: true });
            answer = null;
            return Promise.all([quiet, page.load()]);"""
        assert run("live/page.js", within(AN_HOUR, body)) == ["read", "read"]


# `live`, of a page whose readings end as `read` is told, on sockets that do and say what the test does.
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
    const pass = (after) => timers.filter((one) => one.after === after && !one.over).forEach((one) => {
      one.over = true;
      one.run();
    });
    const listeners = {};
    const page = {
      rolling: true, isFiltered: false, filters: {}, series: { step: 10000 }, data: { now: 0 }, now: () => 0,
      tick: null, connection: { state: "connecting" },
      setConnection(state) { states.push(state); this.connection = { state }; },
      topics: { on(topic, listener) { listeners[topic] = listener; }, emit(topic) { listeners[topic]?.(); } },
      takeTick(tick) { ticks.push(tick); },
      load() { states.push("read"); return new Promise((done) => { read = async (outcome) => done(outcome); }); },
    };
    const say = (message) => socket.dispatchEvent(new MessageEvent("message", { data: JSON.stringify(message) }));
    const hello = (seq) => say({ type: "hello", seq, server: {} });
    const lose = (code = 1006, reason = "") => socket.dispatchEvent(new CloseEvent("close", { code, reason }));
    const live = new m.Live(page, []);
    const said = () => live.events.map(({ words }) => words.replace("\u00a0", " "));
"""


class ALivePage:
    def test_takes_only_what_answers_the_question_on_screen(self, run: Any) -> None:
        body = """
            const asked = sent, taken = ticks, changed = () => page.topics.emit("data");
            page.isFiltered = true;
            page.filters = { model: ["a"] };
            const tickOf = (question) => say({ type: "tick", seq: 1, id: question?.id, view: {}, buckets: [] });
            live.start();
            hello(1);
            tickOf(asked[0]);
            changed();  // read anew, the same question
            page.filters = { model: ["b"] };
            changed();
            for (const question of asked) tickOf(question);
            page.rolling = page.isFiltered = false;
            changed();
            for (const question of [asked[1], undefined]) tickOf(question);
            return [asked.map(({ type, id }) => [type, id ?? null]),
                    taken.slice(1).map(({ view, buckets }) => Boolean(view && buckets))];"""
        asked, whole = run("live/connection.js", within(A_CONNECTION, body))
        assert asked == [["subscribe", "1"], ["subscribe", "2"], ["unsubscribe", None]]
        assert whole == [True, False, True, False, False]

    def test_reads_what_it_missed_from_the_store_and_asks_the_stream_for_nothing(self, run: Any) -> None:
        body = """
            live.start();
            hello(1_000);
            lose();
            live.retry();
            hello(1_012);
            await read("read");
            return [states, said().slice(0, 3), sent.map(({ type }) => type)];"""
        states, said, sent = run("live/connection.js", within(A_CONNECTION, body))
        assert states == ["live", "disconnected", "catching-up", "read", "live"]
        assert said == ["Caught up", "Reconnected after 12 s", "Connection lost"]
        assert sent == ["subscribe", "subscribe"]

    def test_is_not_live_when_it_is_lost_again_while_it_catches_up(self, run: Any) -> None:
        body = """
            live.start();
            hello(1);
            lose();
            live.retry();
            hello(2);
            lose();
            await read("read");
            const lost = states.splice(0);
            live.retry();
            hello(3);
            await read("read");
            return [lost.at(-1), states];"""
        assert run("live/connection.js", within(A_CONNECTION, body)) == [
            "disconnected",
            ["catching-up", "read", "live"],
        ]

    def test_does_not_say_that_it_caught_up_before_it_has_read(self, run: Any) -> None:
        body = """
            live.start();
            hello(1);
            lose();
            live.retry();
            hello(2);
            await read("failed");
            const first = [states.at(-1), said()[0]];
            pass(15_000);
            await read("cancelled");
            pass(15_000);
            await read("read");
            return [first, said().slice(0, 2), states.slice(2)];"""
        first, said, states = run("live/connection.js", within(A_CONNECTION, body))
        assert first == ["read", "The missed data could not be loaded"]
        assert said == ["Caught up", "The missed data could not be loaded"]
        assert states == ["catching-up", "read", "catching-up", "read", "catching-up", "read", "live"]

    def test_has_nothing_to_catch_up_with_while_it_is_paused(self, run: Any) -> None:
        body = """
            live.start();
            hello(1);
            lose();
            live.retry();
            hello(3);
            await read("paused");
            return [states.at(-1), said()[0]];"""
        assert run("live/connection.js", within(A_CONNECTION, body)) == ["live", "Reconnected after 2 s"]

    def test_reads_anew_some_seconds_after_ticks_were_left_out(self, run: Any) -> None:
        body = """
            live.start();
            hello(1);
            for (const seq of [5, 9]) say({ type: "tick", seq, dropped: 3 });
            const before = states.length;
            pass(5_000);
            await read("read");
            say({ type: "tick", seq: 10 });
            pass(5_000);
            return [before, states];"""
        assert run("live/connection.js", within(A_CONNECTION, body)) == [1, ["live", "read"]]

    @pytest.mark.parametrize("reason", ["Too many messages.", "Answers are not read.", "Too many live connections."])
    def test_says_why_the_server_closed_and_lets_it_rest(self, run: Any, reason: str) -> None:
        body = """
            live.start();
            hello(1);
            lose(4429, argument);
            return [said()[0], timers.at(-1).after];"""
        assert run("live/connection.js", within(A_CONNECTION, body), reason) == [reason, 30_000]

    def test_forgets_the_minute_of_the_filters_before(self, run: Any) -> None:
        body = """(m, _, settings) => {
            const params = (model) => ({ range: "1h", filters: { model } });
            const data = (model) => ({ now: Date.now(), has_events: true, params: params(model) });
            const page = new m.Page({ settings, data: data(["a"]) });
            page.takeTick({ overall: {}, view: { of: "a" } });
            page.take(data(["a"]));
            const same = page.figures;
            page.take(data(["b"]));
            return [same, page.figures];
        }"""
        assert run("live/page.js", body) == [{"of": "a"}, None]


RULER = "document.createElement('canvas').getContext('2d')"


class ADrawing:
    def test_clips_text_by_a_group_around_it_and_escapes_its_words(self, run: Any) -> None:
        body = f"""(m) => {{ const ctx = new m.SvgContext(100, 50, {RULER});
                   ctx.beginPath(); ctx.rect(0, 0, 10, 10); ctx.clip(); ctx.rotate(1); ctx.fillText("a < b", 1, 2);
                   return ctx.toString("T & t", "D"); }}"""
        drawn = run("charts/svg-context.js", body)
        assert '<g clip-path="url(#clip1)"><text transform="matrix(' in drawn
        assert ">a &lt; b</text></g>" in drawn
        assert "<title>T &amp; t</title>" in drawn

    def test_scales_widths_and_dashes_with_its_paths(self, run: Any) -> None:
        body = f"""(m) => {{ const ctx = new m.SvgContext(100, 50, {RULER});
                   ctx.scale(2, 2); ctx.setLineDash([3, 1]); ctx.strokeStyle = "rgba(1, 2, 3, 0.5)";
                   ctx.beginPath(); ctx.moveTo(1, 1); ctx.lineTo(4, 5); ctx.stroke(); return ctx.toString("", ""); }}"""
        drawn = run("charts/svg-context.js", body)
        assert 'd="M2 2L8 10"' in drawn
        assert 'stroke="rgb(1,2,3)" stroke-opacity="0.5" stroke-width="2" stroke-dasharray="6 2"' in drawn

    def test_refuses_a_path_that_cannot_be_read_back(self, run: Any) -> None:
        body = f"""(m) => {{ const ctx = new m.SvgContext(100, 50, {RULER});
                   try {{ ctx.stroke(new Path2D("M0 0L1 1")); }} catch (problem) {{ return problem.message; }}
                   return "drawn"; }}"""
        assert "segment" in run("charts/svg-context.js", body)

    def test_passes_over_what_is_not_finite_as_a_canvas_does(self, run: Any) -> None:
        body = f"""(m) => {{ const ctx = new m.SvgContext(100, 50, {RULER}); ctx.beginPath(); ctx.moveTo(1, 1);
                   ctx.lineTo(NaN, 2); ctx.arc(1, 1, NaN, 0, 1); ctx.lineTo(3, 3); ctx.stroke();
                   return ctx.toString("", ""); }}"""
        assert 'd="M1 1L3 3"' in run("charts/svg-context.js", body)

    def test_takes_back_what_was_changed_since_it_was_saved(self, run: Any) -> None:
        body = f"""(m) => {{ const ctx = new m.SvgContext(100, 50, {RULER}); ctx.fillStyle = "#111111";
                   ctx.save(); ctx.translate(50, 0); ctx.fillStyle = "#222222"; ctx.restore(); ctx.fillRect(0, 0, 1, 1);
                   return ctx.toString("", ""); }}"""
        assert '<path d="M0 0L1 0L1 1L0 1Z" fill="#111111"/>' in run("charts/svg-context.js", body)


def test_modules_import_each_other_in_one_direction() -> None:
    """Hashed names cannot be worked out for modules that import each other in a circle."""
    imports = {
        path: [(path.parent / found).resolve() for found in re.findall(r'from "(\.[^"]+)"', path.read_text("utf-8"))]
        for path in SCRIPTS.rglob("*.js")
    }
    done: set[Path] = set()

    def visit(path: Path, above: tuple[Path, ...]) -> None:
        assert path not in above, f"import cycle: {[one.name for one in (*above, path)]}"
        assert path in imports, f"{path} is imported and not there"
        if path not in done:
            for other in imports[path]:
                visit(other, (*above, path))
            done.add(path)

    for path in imports:
        visit(path, ())


def test_folders_import_in_one_direction() -> None:
    """A page imports widgets, widgets import charts, and so on; nothing imports back up."""
    layers = ["page", "live", "charts", "widgets", "overview"]
    for path in SCRIPTS.rglob("*.js"):
        for target in re.findall(r'from "(\.[^"]+)"', path.read_text("utf-8")):
            folder = (path.parent / target).resolve().parent.name
            assert layers.index(folder) <= layers.index(path.parent.name), f"{path} imports {target}"
