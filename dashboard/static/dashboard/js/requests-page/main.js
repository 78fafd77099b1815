// The entry script of the Requests page.

import { requestRates } from "../charts/rates.js";
import { startPage } from "../frame/start.js";
import { mountChart } from "../widgets/card.js";
import * as sentence from "../widgets/sentence.js";
import * as list from "./list.js";

function answered(page) {
  const failed = new Map(page.series.get("inference.failed_requests", "rate").map(({ x, y }) => [x, y]));
  return page.series.get("inference.requests", "rate").map(({ x, y }) => ({ x, y: y === null ? null : y - (failed.get(x) ?? 0) }));
}

const WIDGETS = {
  sentence: sentence.mount,
  rates: (root, page) => mountChart(root, page, {
    type: "bar", stacked: true, legend: true,
    metrics: [["inference.requests", "rate"], ["inference.failed_requests", "rate"]], spansOf: [],
    help: "Finished requests per second that match the filters of the header, and those of them that failed.",
    ...requestRates, emptyText: "No requests in this time range",
    lines: () => [
      { label: "answered", colour: "series-1", points: answered(page) },
      { label: "failed", colour: "critical", points: page.series.get("inference.failed_requests", "rate") },
    ],
  }),
  list: list.mount,
};

startPage(WIDGETS);
