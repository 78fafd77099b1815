// Percentiles of response time: one hue in four weights.

import { durationMark } from "../charts/axis-labels.js";
import { at as valueAt } from "../live/series.js";
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
const FEW = 100;

export function mount(root, page) {
  const say = (value) => text(duration(value));
  return mountChart(root, page, {
    type: "line",
    endLabels: true,
    help: "The time from sending a request to its last token, for successful requests. 50 % of them took at most P50, 99 % at most P99. Failed requests are not included; the error rate counts them.",
    metrics: ["p50", "p90", "p95", "p99", "count"].map((stat) => [METRIC, stat]),
    words: durationMark,
    isDuration: true,
    say,
    lines: (own) => LINES.map((line) => ({
      ...line,
      colour: "series-1",
      points: own.series.get(METRIC, line.stat),
      faint: line.faint || (line.stat === "p99" && (own.data.summary.total_requests ?? 0) < FEW),
    })),
    count: (own) => own.series.get(METRIC, "count"),
    now: (own, time) => IN_HEAD.map((stat) => {
      if (time !== null) return [stat.toUpperCase(), say(valueAt(own.series.get(METRIC, stat), time, own.series.step))];
      const figure = own.figure((minute) => minute.response_time_ms?.[stat], `${stat}_response_time_ms`);
      return [stat.toUpperCase(), say(figure.value), figure.standsIn];
    }),
    empty: () => "No successful requests in this time range",
  });
}
