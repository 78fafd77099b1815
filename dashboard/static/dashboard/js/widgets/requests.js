// Requests per second: successful ones, with failed ones on top.

import { numberLabel } from "../charts/axis-labels.js";
import { valueAt } from "../live/series.js";
import { compact, percent, text } from "../page/format.js";
import { mountChart } from "./card.js";

/** @typedef {[metric: string, stat: string]} Statistic */

/** @type {Statistic} */
const ALL = ["inference.requests", "rate"];
/** @type {Statistic} */
const FAILED = ["inference.failed_requests", "rate"];
/** @type {Statistic} */
const ERROR_RATE = ["inference.error_rate_percent", "avg"];

function successful(all, failed) {
  const failedAt = new Map(failed.map(({ x, y }) => [x, y]));
  return all.map(({ x, y }) => ({ x, y: y === null ? null : y - (failedAt.get(x) ?? 0) }));
}

export function mount(root, page) {
  const formatRate = (value) => text(compact(value, "per s"));
  const formatPercent = (value) => text(percent(value));
  mountChart(root, page, {
    type: "bar",
    stacked: true,
    legend: true,
    help: "Finished requests per second. A failed request counts once, whatever the error.",
    metrics: [ALL, FAILED, ERROR_RATE],
    formatTick: numberLabel,
    spansOf: [ALL, FAILED, ERROR_RATE].map(([metric]) => metric),
    thresholdsOf: [ALL[0], FAILED[0]],
    format: formatRate,
    lines: () => {
      const failed = page.series.get(...FAILED);
      return [
        { label: "successful", colour: "series-1", square: true, points: successful(page.series.get(...ALL), failed) },
        { label: "failed", colour: "critical", square: true, points: failed },
      ];
    },
    currentValues: (time) => {
      const current = ([metric, stat], name) => {
        if (time !== null) return { value: valueAt(page.series.get(metric, stat), time, page.series.step) };
        return page.currentValue((minute) => minute[name], name);
      };
      const rate = current(ALL, "requests_per_second");
      const errors = current(ERROR_RATE, "error_rate_percent");
      return [["", formatRate(rate.value), rate.fromWindow], ["failed", formatPercent(errors.value), errors.fromWindow]];
    },
    emptyText: "No requests in this time range",
  });
}
