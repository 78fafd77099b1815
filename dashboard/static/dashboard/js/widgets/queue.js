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
    help: "Requests that wait (pending) and requests that are being processed (active), in all queues. The values come from the serving engine, or from services where no engine reports them, or from clients where no service does.",
    metrics: [PENDING, PROCESSING],
    words: numberMark,
    say: (value) => text(value !== null && Math.abs(value) < 1000 ? whole(value) : compact(value)),
    lines: ({ series }) => [
      { label: "pending", colour: "series-2", points: series.get(...PENDING) },
      { label: "active", colour: "series-1", points: series.get(...PROCESSING) },
    ],
    now: ({ live, isFiltered, series, tick }, time) => [["pending", PENDING, "pending"], ["active", PROCESSING, "processing"]].map(
      ([label, metric, name]) => {
        const points = series.get(...metric);
        if (time !== null) return [label, say(valueAt(points, time, series.step))];
        const current = live && !isFiltered ? tick?.queue?.[name] : undefined;
        return [label, say(current ?? last(points))];
      }),
    empty: () => "No queue data in this time range",
  });
}
