// The phases of a request: queue, prompt, decode. It shows averages, because averages add up to the response time.

import { durationLabel } from "../charts/axis-labels.js";
import { duration, text } from "../page/format.js";
import { mountChart } from "./card.js";
import { headValue } from "./head-value.js";
import { FIRST_TOKEN, QUEUE, RESPONSE, partsOfTime } from "./parts-of-time.js";

export function mount(root, page) {
  const format = (value) => text(duration(value));
  const lines = () => {
    const { queue, prompt, decode, streamed, queued } = partsOfTime(page.series);
    const stack = [
      { label: streamed ? "Decode" : "Processing", colour: "phase-decode", points: decode },
      ...(streamed ? [{ label: "Prompt", colour: "phase-prompt", points: prompt }] : []),
      ...(queued ? [{ label: "Queue", colour: "series-4", points: queue }] : []),
    ];
    return stack.map((line, index) => ({ ...line, fill: "strong", below: index ? "-1" : "origin", width: 1.4 }));
  };
  mountChart(root, page, {
    type: "line",
    stacked: true,
    legend: true,
    help: "The average response time of successful requests, in three phases: waiting in the queue, from there to the first token (prompt), and from the first to the last token (decode). Requests without streaming report no first token, so they have two phases: queue and processing. The queue is shown where requests report the time in it.",
    metrics: [RESPONSE, FIRST_TOKEN, QUEUE],
    formatTick: durationLabel,
    isDuration: true,
    spansOf: [RESPONSE, FIRST_TOKEN, QUEUE].map(([metric]) => metric),
    format,
    lines,
    currentValues: (time) => {
      const values = lines().toReversed().map(({ label, points }) => [
        label.toLowerCase(), format(headValue(page, points, time)),
      ]);
      if (time === null) values[0][0] = `mean ${values[0][0]}`;
      return values;
    },
    emptyText: "No successful requests in this time range",
  });
}
