import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { text as textOf } from "../../dashboard/static/dashboard/js/page/format.js";
import { tileText, valuesText } from "../../dashboard/static/dashboard/js/page/tile-text.js";
import { sharedCases } from "./support.js";

describe("A tile", () => {
  for (const [title, tile, { before, of_window: ofWindow, ...summary }, minute, value, change, kind] of sharedCases("tile_cases")) {
    it(`shows ${title} as the server does`, () => {
      const spec = { summary: "figure", tick: "figure", ...tile };
      const { figure, text, judgement } = tileText(spec, { ...summary, figure: ofWindow, previous: { figure: before } }, minute, "24h");
      assert.deepEqual([textOf(figure), text, judgement], [value, change, kind]);
    });
  }
});

describe("All tiles", () => {
  it("are said to show one span, and what it is compared with", () => {
    const words = (summary, isLastMinute) => valuesText(summary, isLastMinute, "the last hour", "the previous hour");
    assert.equal(words({ total_requests: 20 }, true), "The last minute, ▲ ▼ compared with the last hour");
    assert.equal(words({ total_requests: 19, comparable: true }, true), "The last minute; not enough data to compare with the last hour");
    assert.equal(words({ comparable: true }, false), "The last hour, ▲ ▼ compared with the previous hour");
    assert.equal(words({ total_requests: 500, comparable: false }, false), "The last hour; not enough data to compare with the previous hour");
  });
});
