import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { SeriesStore } from "../../dashboard/static/dashboard/js/live/series.js";
import { partsOf, partsOfTime } from "../../dashboard/static/dashboard/js/widgets/parts-of-time.js";
import { sharedCases } from "./support.js";

function storeOf(values) {
  const store = new SeriesStore();
  const series = Object.entries(values).map(([name, list]) => ({ metric: `inference.${name}`, stat: "avg", labels: {}, values: list }));
  store.load({ step_seconds: 60, start: 0, series });
  return store;
}

const values = (points) => points.map(({ y }) => y);

describe("The parts of a response time", () => {
  for (const [title, { response, queue, first_token: firstToken }, parts] of sharedCases("parts_of_time_cases")) {
    it(`are ${title}, as on the server`, () => assert.deepEqual(partsOf(response, queue, firstToken), parts));
  }
});

describe("The parts of each point", () => {
  it("add up to the response time", () => {
    const { queue, prompt, decode, queued } = partsOfTime(storeOf({ response_time_ms: [1000], ttft_ms: [300], queue_time_ms: [100] }));
    assert.deepEqual([values(queue), values(prompt), values(decode), queued], [[100], [200], [700], true]);
  });

  it("have no queue where none reports a queue time", () => {
    const { queue, decode, queued } = partsOfTime(storeOf({ response_time_ms: [1000, 900], ttft_ms: [null, null], queue_time_ms: [null, null] }));
    assert.deepEqual([values(queue), values(decode), queued], [[null, null], [1000, 900], false]);
  });

  it("are not known where the response time is not", () => {
    const { queue, prompt, decode, streamed } = partsOfTime(storeOf({ response_time_ms: [null], ttft_ms: [300], queue_time_ms: [100] }));
    assert.deepEqual([values(queue), values(prompt), values(decode), streamed], [[null], [null], [null], true]);
  });
});
