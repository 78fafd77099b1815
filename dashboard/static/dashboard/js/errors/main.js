// The entry script of the Errors page.

import { percentLabel } from "../charts/axis-labels.js";
import { colourOf } from "../charts/palette.js";
import { requestRates } from "../charts/rates.js";
import { startPage } from "../frame/start.js";
import { percent, text } from "../page/format.js";
import { mountLinesByModel, mountSumByModel } from "../widgets/by-model.js";
import { mountChart } from "../widgets/card.js";
import { FAILURES } from "../widgets/outcomes.js";
import { mountParts } from "../widgets/parts.js";
import * as sentence from "../widgets/sentence.js";
import { mountServerTable } from "../widgets/server-table.js";

/** @type {(name: string) => [string, string]} */
const rateOf = (name) => [`inference.${name}`, "rate"];
const RATE = ["inference.error_rate_percent", "avg"];
const formatPercent = (value) => text(percent(value));

// A link to a group changes the address without loading the page again.
function mountGroups(root, page) {
  mountServerTable(root, page);
  root.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-group]");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    link.blur(); // so that the table is drawn again with this row as the chosen one
    page.navigate({ set: { group: new URLSearchParams(link.search).get("group") } });
  });
}

const WIDGETS = {
  sentence: sentence.mount,
  failures: (root, page) => mountParts(root, page, {
    parts: FAILURES.toReversed(),
    help: "Failed requests per second by their outcome.",
    emptyText: "No request failed in this time range",
  }),
  rate: (root, page) => mountChart(root, page, {
    type: "line", format: formatPercent, formatTick: percentLabel, metrics: [RATE], spansOf: [RATE[0]], thresholdsOf: [RATE[0]], suggestedMax: 5,
    help: "Failed requests as a share of all requests.",
    lines: () => [{ label: "error rate", colour: colourOf(page), points: page.series.get(...RATE), compared: { metric: RATE[0], stat: RATE[1] } }],
    emptyText: "No requests in this time range",
  }),
  groups: mountGroups,
  group: (root, page) => mountServerTable(root, page),
  "rate-by-model": (root, page) => mountLinesByModel(root, page, {
    metric: RATE, format: formatPercent, formatTick: percentLabel, suggestedMax: 5,
    help: "Failed requests of each model as a share of its requests.", emptyText: "No requests in this time range",
  }),
  "failures-by-model": (root, page) => mountSumByModel(root, page, {
    metric: rateOf("failed_requests"), ...requestRates,
    help: "Failed requests per second by model.", emptyText: "No requests in this time range",
  }),
};

startPage(WIDGETS);
