import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { mergeRows } from "../../dashboard/static/dashboard/js/charts/heat.js";

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
