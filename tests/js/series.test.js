import assert from "node:assert/strict";
import { describe, it } from "node:test";

import "./support.js";
import { linesByGroup, linesByHost, valuesAt, withComparison } from "../../dashboard/static/dashboard/js/charts/lines.js";
import { marksOfModel } from "../../dashboard/static/dashboard/js/charts/marks-of-model.js";
import { OTHERS, SeriesStore, gaps, lastValue, lastWhole, percentOf, place, thin, valueAt } from "../../dashboard/static/dashboard/js/live/series.js";

const points = (...pairs) => pairs.map(([x, y]) => ({ x, y }));

describe("The points of a series", () => {
  it("have a bucket in the place of the one with the same start", () => {
    const placed = [];
    for (const [x, y] of [[1, 1], [3, 3], [2, 2], [3, 9], [3, 9]]) place(placed, x, y);
    assert.deepEqual(placed, points([1, 1], [2, 2], [3, 9]));
  });

  it("have the value of the bucket that contains a time", () => {
    const three = points([0, 1], [10, 2], [20, null]);
    assert.deepEqual([0, 9, 10, 25, 30].map((time) => valueAt(three, time, 10)), [1, 1, 2, null, null]);
  });

  it("have a gap where two buckets are missing, but not where one is", () => {
    const broken = points([0, 1], [1, null], [2, 1], [3, null], [4, null], [5, 1], [9, 1]);
    assert.deepEqual(gaps(broken, 1), [{ from: 3, to: 5 }, { from: 6, to: 9 }]);
  });

  it("have a last value only where one of the newest buckets has one", () => {
    assert.equal(lastValue(points([0, 5], [1, null], [2, null])), 5);
    assert.equal(lastValue(points([0, 5], [1, null], [2, null], [3, null])), null);
  });

  it("have shares in those of a whole", () => {
    assert.deepEqual(percentOf(points([0, 1], [10, null], [20, 3], [40, 1]), points([0, 4], [10, 2], [20, 0], [30, 5])),
      points([0, 25], [10, null], [20, null], [30, null]));
  });

  it("have a newest value of a whole bucket, or of the open one where the others have none", () => {
    assert.equal(lastWhole(points([0, 5], [30, 6], [60, 1]), 30, 75), 6);
    assert.equal(lastWhole(points([0, 5], [30, 6], [60, 1]), 30, 90), 1);
    assert.equal(lastWhole(points([0, null], [30, null], [60, 1]), 30, 75), 1);
    assert.equal(lastWhole([], 30, 75), null);
  });

  it("are averaged for a sparkline, with its gaps", () => {
    assert.deepEqual(thin(points([0, 1], [1, 3], [2, null], [3, null], [9, 7], [10, 99]), 0, 8, 4), [2, null, null, null]);
    assert.deepEqual(thin(points([7.9, 4]), 0, 8, 4), [null, null, null, 4]);
  });

  it("make no gaps in a sparkline of more pixels than buckets", () => {
    assert.deepEqual(thin(points([0, 1], [30, 2], [60, 3], [90, 4]), 0, 120), [1, 2, 3, 4]);
    assert.deepEqual(thin(points([-3, 0], [27, 2], [57, 3], [87, 4], [117, 5]), 0, 120), [2, 3, 4, 5]);
  });
});

describe("The store of series", () => {
  const history = { step_seconds: 10, start: 20_000, series: [
    { metric: "a", stat: "avg", labels: {}, values: [1, null] },
    { metric: "a", stat: "avg", labels: { model: "m" }, values: [2, 3] },
  ] };

  it("reads the values of a history as points", () => {
    const store = new SeriesStore();
    store.load(history);
    assert.equal(store.step, 10_000);
    assert.deepEqual(store.get("a", "avg"), points([20_000, 1], [30_000, null]));
    assert.deepEqual(store.labels("a", "avg"), ["m"]);
    assert.equal(store.newest(), 30_000);
  });

  it("forgets everything with a page without history", () => {
    const store = new SeriesStore();
    store.load(history);
    store.load(null);
    assert.deepEqual([store.get("a", "avg"), store.labels("a", "avg"), store.newest()], [[], [], null]);
  });

  it("holds no points older than the window, however long the page is open", () => {
    const store = new SeriesStore();
    store.step = 1000;
    for (let second = 0; second < 5000; second += 1) {
      store.merge([{ metric: "a", stat: "avg", labels: {}, points: [[second * 1000, 1]] }], (second - 300) * 1000);
    }
    assert.equal(store.get("a", "avg").length, 302); // the window, the bucket at its start, and that before
  });

  it("takes a group that first appears in a tick", () => {
    const store = new SeriesStore();
    store.merge([{ metric: "a", stat: "avg", labels: { model: "new" }, points: [[5, 1]] }], 0);
    assert.deepEqual(store.labels("a", "avg"), ["new"]);
  });
});

describe("The series of machines", () => {
  const store = (hosts) => {
    const series = new SeriesStore();
    series.load({
      step_seconds: 1, start: 0,
      series: hosts.map((host, index) => ({ metric: "cpu", stat: "avg", labels: { host }, values: [index, null, null] })),
    });
    return series;
  };

  it("have a line each, in the order of the server, and the others one together", () => {
    const lines = linesByHost({ series: store(["z", "a", OTHERS]) }, "cpu", "avg");
    assert.deepEqual(lines.map(({ label }) => label), ["z", "a", "other machines, mean"]);
  });

  it("are at most seven lines beside that of the others, also where a machine joins", () => {
    const lines = linesByHost({ series: store(["a", "b", "c", "d", "e", "f", "g", OTHERS, "new"]) }, "cpu", "avg");
    assert.equal(lines.length, 8);
  });

  it("have a value where any machine has one", () => {
    const series = store(["a"]);
    series.merge([{ metric: "cpu", stat: "avg", labels: { host: "b" }, points: [[1000, 5]] }], 0);
    assert.deepEqual(series.any("cpu", "avg").map(({ y }) => y), [0, 5, null]);
  });
});

describe("The lines of a chart", () => {
  it("have the value of the window before at each time, also where its step is longer", () => {
    const before = new SeriesStore();
    before.load({ step_seconds: 0.02, start: 0, series: [{ metric: "a", stat: "avg", labels: {}, values: [7, 8] }] });
    const points = [0, 10, 20, 30].map((x) => ({ x, y: x + 1 }));
    const lines = withComparison([{ label: "A", points, compared: { metric: "a", stat: "avg" } }], before);
    assert.deepEqual(points.map(({ x }) => valuesAt(lines, x, 10)), [[1, 7], [11, 7], [21, 8], [31, 8]]);
  });
});

describe("The lines of models", () => {
  it("have a name for those that have a line together, which is the last", () => {
    const store = { labels: () => [OTHERS, "a"], get: (metric, stat, label) => points([0, label === OTHERS ? 9 : 1]) };
    const lines = linesByGroup({ series: store }, "queue.pending", "avg", "model");
    assert.deepEqual(lines.map(({ label, colour }) => [label, colour === "series-other"]), [["a", false], ["other models", true]]);
  });
});

describe("The marks of the chart of one model", () => {
  it("are those of the alerts for it", () => {
    const mark = { threshold: 5, firing: [[1, 2], [3, 4]], pending: [], by_model: { a: { firing: [[3, 4]], pending: [] } } };
    const spans = (model) => marksOfModel([mark], model).map(({ threshold, firing }) => [threshold, firing]);
    assert.deepEqual(spans("a"), [[5, [[3, 4]]]]);
    assert.deepEqual(spans("b"), [[5, []]]);
  });
});
