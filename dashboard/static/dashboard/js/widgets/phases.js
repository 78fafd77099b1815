// Where the time of a request goes: waiting, working on the prompt, decoding. Means, because these add up.

import { durationMark } from "../charts/axis-labels.js";
import { at as valueAt, last } from "../live/series.js";
import { duration, text } from "../page/format.js";
import { mountChart } from "./card.js";

const QUEUE = ["inference.queue_time_ms", "avg"];
const FIRST = ["inference.ttft_ms", "avg"];
const WHOLE = ["inference.response_time_ms", "avg"];

function phases(series) {
  const whole = series.get(...WHOLE);
  const queue = new Map(series.get(...QUEUE).map(({ x, y }) => [x, y]));
  const first = new Map(series.get(...FIRST).map(({ x, y }) => [x, y]));
  const streamed = [...first.values()].some((value) => value !== null);
  const parts = { decode: [], prompt: [], queue: [] };
  for (const { x, y } of whole) {
    const waited = y === null ? null : (queue.get(x) ?? 0);
    const begun = y === null ? null : Math.max(waited, first.get(x) ?? (streamed ? waited : 0));
    parts.queue.push({ x, y: waited });
    parts.prompt.push({ x, y: y === null ? null : Math.max(0, begun - waited) });
    parts.decode.push({ x, y: y === null ? null : Math.max(0, y - Math.max(begun, waited)) });
  }
  return { ...parts, streamed };
}

export function mount(root, page) {
  const say = (value) => text(duration(value));
  const lines = ({ series }) => {
    const { queue, prompt, decode, streamed } = phases(series);
    const drawn = [
      { label: streamed ? "Decode" : "Processing", colour: "series-3", points: decode },
      ...(streamed ? [{ label: "Prompt", colour: "series-1", points: prompt }] : []),
      { label: "Queue", colour: "series-2", points: queue },
    ];
    return drawn.map((line, index) => ({ ...line, fill: "strong", below: index ? "-1" : "origin", width: 1.4 }));
  };
  return mountChart(root, page, {
    type: "line",
    stacked: true,
    legend: true,
    help: "The average response time of successful requests, in three phases: waiting in the queue, from there to the first token (prompt), and from the first to the last token (decode). Requests without streaming report no first token, so they have two phases: queue and processing.",
    metrics: [WHOLE, FIRST, QUEUE],
    words: durationMark,
    isDuration: true,
    say,
    lines,
    now: (own, time) => {
      const shown = lines(own).toReversed().map(({ label, points }) => [
        label.toLowerCase(), say(time === null ? last(points) : valueAt(points, time, own.series.step)),
      ]);
      if (time === null) shown[0][0] = `average per request: ${shown[0][0]}`;
      return shown;
    },
    empty: () => "No successful requests in this time range",
  });
}
