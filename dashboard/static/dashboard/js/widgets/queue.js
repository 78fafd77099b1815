// Requests that wait in the queues, and requests that are being processed.

import { numberLabel } from "../charts/axis-labels.js";
import { compact, text, whole } from "../page/format.js";
import { mountChart } from "./card.js";
import { headValue } from "./head-value.js";
import { spanOfNewestStep } from "./head-span.js";

// `name` is the name in the `queue` of a tick.
const LINES = [
  { label: "pending", name: "pending", colour: "series-4", metric: ["queue.pending", "avg"] },
  { label: "active", name: "processing", colour: "series-1", metric: ["queue.processing", "avg"] },
];

export function mount(root, page) {
  const formatCount = (value) => text(whole(value));
  mountChart(root, page, {
    type: "line",
    legend: true,
    suggestedMax: 4,
    help: "Requests that wait (pending) and requests that are being processed (active), in all queues. If several sources report the queue of a model, the values of the serving engine are used, or else those of services, or else those of clients.",
    metrics: LINES.map(({ metric }) => metric),
    formatTick: numberLabel,
    spansOf: ["queue.pending", "queue.processing", "queue.wait_time_ms", "queue.oldest_seconds"],
    thresholdsOf: LINES.map(({ metric: [name] }) => name),
    format: (value) => (value !== null && Math.abs(value) < 1000 ? formatCount(value) : text(compact(value))),
    lines: () => LINES.map(({ label, colour, metric }) => ({ label, colour, points: page.series.get(...metric) })),
    namesSpan: true,
    currentValues: (time) => {
      const current = time === null && page.live && !page.isFiltered ? page.tick?.queue : null;
      const values = LINES.map(({ label, name, metric }) =>
        [label, formatCount(current?.[name] ?? headValue(page, page.series.get(...metric), time, { isLevel: true }))]);
      const span = current ? "now" : spanOfNewestStep({ live: page.live, step: page.series.step });
      return time === null ? [[span, ""], ...values] : values;
    },
    emptyText: "No queue data in this time range",
  });
}
