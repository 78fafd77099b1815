// Percentiles of the response time.

import { durationLabel } from "../charts/axis-labels.js";
import { valueAt } from "../live/series.js";
import { duration, text } from "../page/format.js";
import { mountChart } from "./card.js";

const METRIC = "inference.response_time_ms";
const LINES = [
  { stat: "p99", label: "P99", width: 1.4, dash: [1.5, 3] },
  { stat: "p95", label: "P95", width: 1.7, dash: [6, 3] },
  { stat: "p90", label: "P90", width: 1, faint: true },
  { stat: "p50", label: "P50", width: 2.4 },
];
const IN_HEAD = ["p50", "p95", "p99"];

export function mount(root, page) {
  const format = (value) => text(duration(value));
  mountChart(root, page, {
    type: "line",
    endLabels: true,
    help: "The time from sending a request to its last token, for successful requests. 50 % of them took at most P50, 99 % at most P99. Failed requests are not included; the error rate counts them. P99 is faint where a point has fewer than 100 requests.",
    metrics: ["p50", "p90", "p95", "p99", "count"].map((stat) => [METRIC, stat]),
    formatTick: durationLabel,
    isDuration: true,
    spansOf: [METRIC, "inference.failed_response_time_ms", "inference.timeout_response_time_ms"],
    thresholdsOf: [METRIC],
    format,
    lines: () => LINES.map((line) => ({
      ...line,
      colour: "series-1",
      points: page.series.get(METRIC, line.stat),
      counts: line.stat === "p99" ? page.series.get(METRIC, "count") : null,
      compared: line.stat === "p95" ? { metric: METRIC, stat: "p95" } : null,
    })),
    counts: () => page.series.get(METRIC, "count"),
    currentValues: (time) => IN_HEAD.map((stat) => {
      const label = stat.toUpperCase();
      if (time !== null) return [label, format(valueAt(page.series.get(METRIC, stat), time, page.series.step))];
      const { value, fromWindow } = page.currentValue((minute) => minute.response_time_ms?.[stat], `${stat}_response_time_ms`);
      return [label, format(value), fromWindow];
    }),
    emptyText: "No successful requests in this time range",
  });
}
