// Requests per second: successful ones, with failed ones on top.

import { rest } from "../charts/lines.js";
import { colourOf } from "../charts/palette.js";
import { requestRates } from "../charts/rates.js";
import { valueAt } from "../live/series.js";
import { percent, requestRate, text } from "../page/format.js";
import { mountChart } from "./card.js";

/** @typedef {[metric: string, stat: string]} Statistic */

/** @type {Statistic} */
const ALL = ["inference.requests", "rate"];
/** @type {Statistic} */
const FAILED = ["inference.failed_requests", "rate"];
/** @type {Statistic} */
const ERROR_RATE = ["inference.error_rate_percent", "avg"];

export function mount(root, page) {
  const formatPercent = (value) => text(percent(value));
  mountChart(root, page, {
    type: "bar",
    stacked: true,
    legend: true,
    help: "Finished requests per second. A failed request counts once, whatever the error.",
    metrics: [ALL, FAILED, ERROR_RATE],
    ...requestRates,
    spansOf: [ALL, FAILED, ERROR_RATE].map(([metric]) => metric),
    thresholdsOf: [ALL[0], FAILED[0]],
    lines: () => {
      const failed = page.series.get(...FAILED);
      return [
        { label: "successful", colour: colourOf(page), square: true, points: rest(page.series.get(...ALL), [{ points: failed }]) },
        { label: "failed", colour: "critical", square: true, points: failed },
      ];
    },
    namesSpan: true,
    currentValues: (time) => {
      const current = ([metric, stat], name) => {
        if (time !== null) return { value: valueAt(page.series.get(metric, stat), time, page.series.step) };
        return page.currentValue((minute) => minute[name], name);
      };
      const rate = current(ALL, "requests_per_second");
      const errors = current(ERROR_RATE, "error_rate_percent");
      return [["", requestRate(rate.value), rate.fromWindow], ["failed", formatPercent(errors.value), errors.fromWindow]];
    },
    emptyText: "No requests in this time range",
  });
}
