import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { axisOf, mergeRows } from "../../dashboard/static/dashboard/js/charts/heat.js";

describe("The rows of a heatmap", () => {
  it("are added up, with the last row of fewer", () => {
    assert.deepEqual(mergeRows({ edges: [1, 2, 4, 8], counts: [[1, 2, 3]] }, 2), { edges: [1, 4, 8], counts: [[3, 3]] });
  });

  it("stay as they are where there are few", () => {
    const heatmap = { edges: [1, 2, 4], counts: [[1, 2], [0, 5]] };
    assert.deepEqual(mergeRows(heatmap, 2), heatmap);
  });

  it("are none without data", () => {
    assert.deepEqual(mergeRows({ edges: [], counts: [] }), { edges: [], counts: [] });
  });
});

describe("The axis of a heatmap", () => {
  it("has round values also for a single row", () => {
    const { min, max, ticks } = axisOf([1234, 1261]);
    assert.ok(10 ** min < 1234 && 10 ** max > 1261);
    assert.ok(ticks.length >= 2, String(ticks));
    assert.ok(ticks.every((value) => value >= 10 ** min && value <= 10 ** max));
  });

  it("ends with its rows where these are enough", () => {
    assert.deepEqual(axisOf([100, 300, 1_000]), { least: 100, min: 2, max: 3, ticks: [100, 200, 500, 1_000] });
  });
});
