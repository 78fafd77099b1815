// The entry script of the Requests page.

import { rest } from "../charts/lines.js";
import { requestRates } from "../charts/rates.js";
import { startPage } from "../frame/start.js";
import { mountChart } from "../widgets/card.js";
import * as sentence from "../widgets/sentence.js";
import * as list from "./list.js";

const WIDGETS = {
  sentence: sentence.mount,
  rates: (root, page) => mountChart(root, page, {
    type: "bar", stacked: true, legend: true,
    metrics: [["inference.requests", "rate"], ["inference.failed_requests", "rate"]], spansOf: [],
    help: "Finished requests per second that match the filters of the header, and those of them that failed.",
    ...requestRates, emptyText: "No requests in this time range",
    lines: () => {
      const failed = page.series.get("inference.failed_requests", "rate");
      return [
        { label: "successful", colour: "series-1", square: true, points: rest(page.series.get("inference.requests", "rate"), [{ points: failed }]) },
        { label: "failed", colour: "critical", square: true, points: failed },
      ];
    },
  }),
  list: list.mount,
};

startPage(WIDGETS);
