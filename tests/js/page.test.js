import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { sharedCases } from "./support.js"; // first

import { durationLabel, rateLabel } from "../../dashboard/static/dashboard/js/charts/axis-labels.js";
import { logLimits, roundStep, timeTicks } from "../../dashboard/static/dashboard/js/charts/options.js";
import { colourOf, lineStyle } from "../../dashboard/static/dashboard/js/charts/palette.js";
import { Page } from "../../dashboard/static/dashboard/js/live/page.js";
import { dayOfMonth, requestRate, timeOfDay, timeOfRate, tokenRate } from "../../dashboard/static/dashboard/js/page/format.js";
import { collected } from "../../dashboard/static/dashboard/js/page/scheduling.js";
import { linkedParts, shownSentence } from "../../dashboard/static/dashboard/js/page/sentence-text.js";
import { headValue } from "../../dashboard/static/dashboard/js/widgets/head-value.js";
import { spanOfNewestStep } from "../../dashboard/static/dashboard/js/widgets/head-span.js";
import { viewQuery } from "../../dashboard/static/dashboard/js/page/view-query.js";

describe("A page", () => {
  it("treats a rejected connection as a lost one", () => {
    const lost = (state) => Reflect.get(Page.prototype, "isDisconnected", { connection: { state } });
    const states = ["connecting", "live", "catching-up", "polling", "disconnected", "rejected"];
    assert.deepEqual(states.filter(lost), ["disconnected", "rejected"]);
  });

  it("keeps the last minute of its filters while a tick has none, as the first of a connection", () => {
    globalThis.window ??= /** @type {any} */ (new EventTarget());
    const params = { range: "1h", filters: { model: ["a"] } };
    const view = { requests_per_second: 2 };
    const page = new Page(/** @type {any} */ ({
      settings: { ranges: [{ name: "1h", seconds: 3600 }] }, tiles: [{ tick: "requests_per_second" }],
      data: { now: 0, params, summary: { requests_per_second: 9 }, current: { overall: {}, view }, has_events: true },
    }));
    const shown = () => page.currentValue((minute) => minute.requests_per_second, "requests_per_second");
    page.applyTick(/** @type {any} */ ({ type: "hello", seq: 1, overall: { requests_per_second: 5 } }));
    assert.deepEqual(shown(), { value: 2, fromWindow: false });
    page.applyTick(/** @type {any} */ ({ type: "tick", seq: 2, overall: {}, view: { requests_per_second: 3 } }));
    assert.deepEqual(shown(), { value: 3, fromWindow: false });
    page.setData(/** @type {any} */ ({ now: 0, params: { range: "1h", filters: { model: ["b"] } }, summary: { requests_per_second: 9 } }));
    page.applyTick(/** @type {any} */ ({ type: "tick", seq: 3, overall: {} }));
    assert.equal(shown().value, 9); // those were the values of another filter
  });

  it("never says that all is well without a connection", () => {
    const sentence = (state) => ({ state, title: "All is well.", text: "2 requests." });
    assert.deepEqual(shownSentence(sentence("ok"), false, 0), sentence("ok"));
    const shown = ["ok", "quiet", "warning", "critical"].map((state) => shownSentence(sentence(state), true, 0));
    assert.deepEqual(shown.map(({ state }) => state), ["quiet", "quiet", "warning", "critical"]);
    for (const { title, text } of shown) {
      assert.equal(title, "Disconnected. The state is not known.");
      assert.equal(text, `At ${timeOfDay(0)}: All is well. 2 requests.`);
    }
  });
});

describe("The axis of times", () => {
  it("has hours where its maximum is some", () => {
    assert.deepEqual([[90_000, 300_000], [86_400_000, 172_800_000]].map(([value, max]) => durationLabel(value, max)), ["1.5\u00a0m", "24\u00a0h"]);
  });
});

describe("The head of a chart", () => {
  const page = () => {
    globalThis.window ??= /** @type {any} */ (new EventTarget());
    const series = (name, values) => ({ metric: `inference.${name}`, stat: "rate", labels: {}, values });
    const history = {
      step_seconds: 30, start: 0, series: [series("timeouts", [1, 2, 9]), series("cancelled", [0, 3, 9]), series("failed_requests", [1, 5, 18])],
    };
    return new Page(/** @type {any} */ ({
      settings: { ranges: [{ name: "1h", seconds: 3600 }] }, data: { now: 65_000, params: { range: "1h" }, history, has_events: true },
    }));
  };
  const shown = (of, time = null) => ["timeouts", "cancelled", "failed_requests"].map((name) => headValue(of, of.series.get(`inference.${name}`, "rate"), time));

  it("has the values of the newest whole step, so that a sum is that of its parts", () => {
    const live = page();
    assert.deepEqual(shown(live), [2, 3, 5]);
    assert.deepEqual(shown(live, 10_000), [1, 0, 1]); // under the crosshair
    live.applyTick(/** @type {any} */ ({ type: "tick", seq: 89, overall: {} }));
    assert.deepEqual(shown(live), [9, 9, 18]);
  });

  it("has the newest value of a level, whose step need not be whole", () => {
    const live = page();
    assert.equal(headValue(live, live.series.get("inference.timeouts", "rate"), null, { isLevel: true }), 9);
  });
});

describe("What a page shows as a whole", () => {
  it("has the colour of the model where it is of one", () => {
    const { colour } = lineStyle("model", "llama-3-70b");
    assert.notEqual(colour, "series-1");
    const filters = [{}, { model: ["llama-3-70b"] }, { model: ["llama-3-70b", "b"] }, { host: ["a"] }, { model: [""] }];
    assert.deepEqual(filters.map((chosen) => colourOf({ filters: chosen })), ["series-1", colour, "series-1", "series-1", "series-1"]);
  });
});

describe("An axis", () => {
  it("is marked with round figures", () => {
    const steps = [[14.5, false, 5], [0.9, false, 0.25], [41, false, 20], [103_000, true, 30_000], [420, true, 200], [9_000, true, 5_000]];
    for (const [most, isDuration, step] of steps) {
      assert.ok(Math.abs(roundStep(most, isDuration) - step) < 1e-9, `${most}: ${roundStep(most, isDuration)}`);
    }
  });
});

describe("An axis of days", () => {
  it("names each day once", () => {
    const to = Date.UTC(2026, 10, 30, 16, 7);
    for (const [days, most] of [[7, 16], [2, 12], [3, 5], [30, 12]]) {
      const ticks = timeTicks(to - days * 86_400_000, to, most).map(({ value }) => dayOfMonth(value));
      assert.ok(ticks.length >= Math.min(days, 4) - 1 && ticks.length <= most, `${days} days: ${ticks}`);
      assert.equal(new Set(ticks).size, ticks.length);
    }
  });
});

describe("A logarithmic axis that charts share", () => {
  it("has all their values between round limits", () => {
    assert.deepEqual(logLimits([130, null, 999, 4_001, 0]), { min: 100, max: 5_000 });
    assert.deepEqual(logLimits([0.3, 0.7]), { min: 0.2, max: 1 });
  });

  it("has two limits also where there is one value or none", () => {
    assert.deepEqual(logLimits([200, 200]), { min: 200, max: 400 });
    assert.deepEqual(logLimits([null]), { min: 1, max: 10 });
  });
});

describe("A chart of rates", () => {
  it("marks its axis in the time that suits its highest value", () => {
    const labels = (highest, values) => values.map((value) => rateLabel(value, highest, timeOfRate(highest)));
    assert.deepEqual(labels(15, [0, 5, 15]), ["0", "5/s", "15/s"]);
    assert.deepEqual(labels(0.9, [0, 20 / 60, 1]), ["0", "20/min", "60/min"]);
    assert.deepEqual(labels(1 / 60, [0, 0.5 / 60, 1 / 60]), ["0", "0.5/min", "1/min"]);
  });

  it("shows its values in the same times as the tiles", () => {
    assert.equal(requestRate(1 / 60), "1.00\u00a0per min");
    assert.equal(tokenRate(0.0651), "3.91\u00a0tok/min");
  });
});

describe("Collected work", () => {
  it("runs again for calls while it runs, but not twice at a time", async () => {
    const log = [];
    await new Promise((resolve) => {
      const call = collected(async () => {
        log.push("begin");
        if (log.length === 1) for (let number = 0; number < 50; number += 1) call();
        await new Promise((done) => setTimeout(done, 20));
        log.push("end");
        if (log.length === 4) setTimeout(resolve, 20); // a third run would begin by then
      }, 1);
      for (let number = 0; number < 50; number += 1) call();
    });
    assert.deepEqual(log, ["begin", "end", "begin", "end"]);
  });
});

describe("A linked text", () => {
  it("has a link for each name that stands by itself", () => {
    for (const [text, links, parts] of sharedCases("linked_text_cases")) assert.deepEqual(linkedParts(text, links), parts);
  });
});

describe("The query of a view", () => {
  it("has the time range and the filters and nothing else", () => {
    assert.equal(viewQuery("?range=1h&model=a&model=b&y=log&kiosk=1&compare=none", ["model", "host"]), "?range=1h&compare=none&model=a&model=b");
    assert.equal(viewQuery("?kiosk=1", ["model"]), "");
  });
});

describe("The head of a chart", () => {
  it("says of which time its values are", () => {
    assert.equal(spanOfNewestStep({ live: true, step: 60_000 }), "now");
    assert.equal(spanOfNewestStep({ live: true, step: 600_000 }), "last 10 minutes");
    assert.equal(spanOfNewestStep({ live: true, step: 3_600_000 }), "last hour");
    assert.equal(spanOfNewestStep({ live: false, step: 60_000 }), "last minute");
    assert.equal(spanOfNewestStep({ live: false, step: 30_000 }), "last 30\u00a0s");
    assert.equal(spanOfNewestStep({ live: false, step: 1000 }), "last second");
  });
});
