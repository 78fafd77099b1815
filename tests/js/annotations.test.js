import assert from "node:assert/strict";
import { describe, it } from "node:test";

import "./support.js";
import {
  annotationsAt, describeAnnotations, placeTags, shortened, subjectOf, tagsOf, tooltipRows, topOfTags, wrapped,
} from "../../dashboard/static/dashboard/js/charts/annotation-lines.js";
import { placeLabels } from "../../dashboard/static/dashboard/js/charts/alert-labels.js";
import { belongs } from "../../dashboard/static/dashboard/js/header/annotations.js";

const note = (time, text = "x") => ({ time, text, kind: "note", model_name: "", host: "" });

describe("The tags of annotations", () => {
  it("are at the upper edge, or below the labels of alerts", () => {
    const area = { top: 10, bottom: 200 };
    const labels = (thresholds, spans = []) => {
      const placed = placeLabels({ thresholds: thresholds.map((value) => ({ value })) }, area, (value) => 200 - value);
      return [...placed.rows.map(({ y }) => y), ...spans.map(() => placed.spans)];
    };
    assert.equal(topOfTags([], area), 10);
    assert.equal(topOfTags(labels([50]), area), 10);
    assert.deepEqual(labels([500, 600]), [18, 33]); // above the axis, in two rows
    assert.equal(topOfTags(labels([500, 600]), area), 42);
    assert.equal(topOfTags(labels([500], [{}]), area), 42);
    assert.equal(topOfTags(labels([185]), area), 34); // its label is below its line, at 24
    assert.equal(topOfTags([18, 26], { top: 10, bottom: 30 }), 10); // no place is free
  });

  it("are left of their lines, or right at the left edge", () => {
    const placed = placeTags([{ x: 300, width: 50 }, { x: 20, width: 50 }], { left: 0, right: 400 });
    assert.deepEqual(placed, [{ left: 250, width: 50, index: 0 }, { left: 20, width: 50, index: 1 }]);
  });

  it("are those of the newest where they would overlap", () => {
    const placed = placeTags([300, 290, 200].map((x) => ({ x, width: 50 })), { left: 0, right: 400 });
    assert.deepEqual(placed.map(({ index }) => index), [0, 2]);
  });

  it("count those without a place", () => {
    const tags = (...lines) => tagsOf(lines.map(([x, tag]) => ({ x, tag })), { left: 0, right: 400 }, (text) => 10 * text.length).map(({ text }) => text);
    assert.deepEqual(tags([300, "new"], [290, "old"], [100, "first"]), ["new +1", "first"]);
    assert.deepEqual(tags([300, "new"], [290, "old"], [262, "first"]), ["new +2"]); // the longer tag has displaced another
    assert.deepEqual(tags([300, "x".repeat(50)]), []);
  });

  it("are shortened", () => {
    assert.equal(shortened("deploy 1.4"), "deploy 1.4");
    assert.equal(shortened("deploy of the new gateway"), "deploy of the new gatew…");
  });
});

describe("The tooltip of annotations", () => {
  it("has the whole text in rows, and what it is about", () => {
    const text = `deploy of the gateway ${"x".repeat(50)}`;
    assert.deepEqual(wrapped(text, 20), ["deploy of the", "gateway", "x".repeat(20), "x".repeat(20), "x".repeat(10)]);
    assert.equal(subjectOf({ kind: "deploy", model_name: "llama", host: "gpu-1" }), "Deploy, llama on gpu-1");
    assert.equal(subjectOf(note(0)), "Note");
  });

  it("has three of them and the number of the others", () => {
    const rows = tooltipRows([1, 2, 3, 4, 5].map((time) => note(time, `n${time}`)));
    assert.deepEqual(rows.filter((_, index) => index % 2 === 0), ["n1", "n2", "n3", "and 2 more"]);
  });

  it("is that of the bucket and of the line nearest to its point", () => {
    assert.deepEqual(annotationsAt([94, 95, 100, 109, 110].map((time) => note(time)), 100, 10).map(({ time }) => time), [95, 100, 109]);
  });
});

describe("The description of a chart", () => {
  it("names the annotations of its window", () => {
    assert.equal(describeAnnotations([note(5, "new"), note(1, "old")], { from: 2, to: 9 }), " Annotations: new.");
    assert.equal(describeAnnotations([note(1)], { from: 2, to: 9 }), "");
  });
});

describe("A new annotation", () => {
  it("belongs to the filters of the page as the server decides it", () => {
    assert.ok(belongs({ model_name: "", host: "" }, { model: ["m"] }));
    assert.ok(belongs({ model_name: "m", host: "" }, {}));
    assert.ok(!belongs({ model_name: "n", host: "" }, { model: ["m"] }));
    assert.ok(!belongs({ model_name: "m", host: "h" }, { model: ["m"], host: ["g"] }));
  });
});
