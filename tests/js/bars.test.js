import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { barTicks, barsOf, placeOf } from "../../dashboard/static/dashboard/js/charts/bars.js";
import { requestsQuery } from "../../dashboard/static/dashboard/js/page/requests-link.js";

const DECADES = [100, 200, 400, 800, 1600, 3200, 6400, 12_800];

describe("The axis of a histogram", () => {
  it("has a value between two edges at its share of the bar, by its logarithm or itself", () => {
    assert.equal(placeOf(400, DECADES, true), 2);
    assert.ok(Math.abs(placeOf(Math.sqrt(200 * 400), DECADES, true) - 1.5) < 1e-9);
    assert.equal(placeOf(300, DECADES, false), 1.5);
    assert.equal(placeOf(99, DECADES, true), null);
  });

  it("has 1 and 3 times powers of ten on a logarithmic scale", () => {
    assert.deepEqual(barTicks(DECADES, true).map(({ value }) => value), [100, 300, 1000, 3000, 10_000]);
  });

  it("has multiples of a round step on a linear scale, none in the last bar", () => {
    const edges = [0, 500, 1000, 1500, 2000, 2500, 3000, 3500, 4000, 99_000];
    assert.deepEqual(barTicks(edges, false).map(({ value }) => value), [0, 1000, 2000, 3000, 4000]);
  });

  it("has no ticks nearer than the bars are wide", () => {
    const places = barTicks([0, 30, 40, 50, 60, 70, 80, 90, 100, 110, 120], true).map(({ place }) => place);
    places.slice(1).forEach((place, index) => assert.ok(place - places[index] >= 1, String(places)));
  });

  it("has no ticks without bars", () => {
    assert.deepEqual([barTicks([], true), barTicks([0, 0], false)], [[], []]);
  });
});

describe("The bars of a histogram", () => {
  const data = {
    models: [{ name: "a", p95: 3 }, { name: "none", p95: null }],
    log: { edges: [1, 2, 4], counts: [[1, 3], [0, 0]], before: [[5, 5], [0, 0]] },
  };

  it("are shares of the model's requests, with its counts", () => {
    const [pane] = barsOf(data, "log");
    assert.deepEqual([pane.model, pane.total, pane.totalBefore, pane.p95], ["a", 4, 10, 3]);
    assert.deepEqual(pane.bars[1], { low: 2, high: 4, count: 3, before: 5, share: 75, shareBefore: 50 });
  });

  it("leave out a model without values", () => {
    assert.deepEqual(barsOf(data, "log").map(({ model }) => model), ["a"]);
  });
});

describe("The address of the requests of a bar", () => {
  it("has no long fractions in its address", () => {
    const query = requestsQuery({ from: 0, to: 1_000 }, {}, { above_response_time_ms: 1234.5678901234567, max_response_time_ms: 0.1 + 0.2 });
    assert.match(query, /above_response_time_ms=1234\.56789&max_response_time_ms=0\.3$/);
  });

  it("has the window, the filters and the bounds that are known", () => {
    const query = requestsQuery({ from: 0, to: 3_600_000 }, { model: ["a b", "c"] }, { min_response_time_ms: 100, max_response_time_ms: null });
    assert.equal(query, "from=1970-01-01T00%3A00%3A00.000Z&to=1970-01-01T01%3A00%3A00.000Z&model=a+b&model=c&min_response_time_ms=100");
  });
});
