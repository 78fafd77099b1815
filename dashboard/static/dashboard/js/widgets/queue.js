// What waits and what is being worked on.

import { numberMark } from "../charts/axis-labels.js";
import { at as valueAt, last } from "../live/series.js";
import { compact, text, whole } from "../page/format.js";
import { mountChart } from "./card.js";

const PENDING = ["queue.pending", "avg"];
const PROCESSING = ["queue.processing", "avg"];

export function mount(root, page) {
  const say = (value) => text(whole(value));
  return mountChart(root, page, {
    type: "line",
    legend: true,
    suggestedMax: 4,
    help: "Requests that wait, and those being worked on, over all queues: as the serving engine tells, else as services told, else as clients counted.",
    metrics: [PENDING, PROCESSING],
    words: numberMark,
    say: (value) => text(value !== null && Math.abs(value) < 1000 ? whole(value) : compact(value)),
    lines: ({ series }) => [
      { label: "pending", colour: "series-2", points: series.get(...PENDING) },
      { label: "processing", colour: "series-1", points: series.get(...PROCESSING) },
    ],
    now: (own, time) => [["pending", PENDING], ["processing", PROCESSING]].map(([words, pair]) => {
      const points = own.series.get(...pair);
      if (time !== null) return [words, say(valueAt(points, time, own.series.step))];
      const tick = own.live && !own.isFiltered ? own.tick?.queue?.[words] : undefined;
      return [words, say(tick ?? last(points))];
    }),
    empty: () => "No queue was reported in this window",
  });
}
