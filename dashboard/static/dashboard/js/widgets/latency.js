// Percentiles of the response time.

import { durationLabel } from "../charts/axis-labels.js";
import { valueAt } from "../live/series.js";
import { duration, text } from "../page/format.js";
import { mountPercentiles } from "./percentiles.js";

const METRIC = "inference.response_time_ms";
const IN_HEAD = ["p50", "p95", "p99"];

export function mount(root, page) {
  const format = (value) => text(duration(value));
  mountPercentiles(root, page, {
    metric: METRIC,
    stats: ["p99", "p95", "p90", "p50"],
    before: "p95",
    help: "The time from sending a request to its last token, for successful requests. 50 % of them took at most P50, 99 % at most P99. Failed requests are not included; the error rate counts them. P99 is faint where a point has fewer than 100 requests.",
    formatTick: durationLabel,
    isDuration: true,
    spansOf: [METRIC, "inference.failed_response_time_ms", "inference.timeout_response_time_ms"],
    format,
    namesSpan: true,
    currentValues: (time) => IN_HEAD.map((stat) => {
      const label = stat.toUpperCase();
      if (time !== null) return [label, format(valueAt(page.series.get(METRIC, stat), time, page.series.step))];
      const { value, fromWindow } = page.currentValue((minute) => minute.response_time_ms?.[stat], `${stat}_response_time_ms`);
      return [label, format(value), fromWindow];
    }),
    emptyText: "No successful requests in this time range",
  });
}
