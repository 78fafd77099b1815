// The distribution of response times: a histogram of each model, and time × value.

import { duration, text } from "../page/format.js";
import { openRequests } from "../page/requests-link.js";
import { mountHeatmap } from "../widgets/heatmap.js";
import { mountHistogram } from "../widgets/histogram.js";

const METRICS = [["inference.response_time_ms", "count"]];
const format = (milliseconds) => text(duration(milliseconds));
const formatEdge = (milliseconds) => format(milliseconds).replace(/\.0+(?=\D)/, "");
// The bucket above `low`, up to `high`; the first one has the values of 0, too. A request without a response time is in none.
const bounds = (low, high) => ({ above_response_time_ms: low || null, max_response_time_ms: high });
// The requests that are counted: those of the window that was read, which are the successful ones unless the page asks for others.
const outcome = (page) => page.filters.outcome ?? ["success"];

export const mountHistogramCard = (root, page) => mountHistogram(root, page, {
  read: () => page.data.histogram,
  format,
  formatTick: formatEdge,
  help: "How the response times of successful requests are spread, for the five models with the most requests. The height is the share of the model's requests; the outline is the window before. A click on a bar opens its requests.",
  metric: METRICS[0][0],
  fileTitle: () => "Histogram of response times",
  onBar: ({ model, low, high }) => openRequests(page, {
    window: { from: Date.parse(page.data.histogram.from), to: Date.parse(page.data.histogram.to) },
    filters: { model: [model], outcome: outcome(page) },
    bounds: bounds(low, high),
  }),
  emptyText: "No successful requests in this time range",
});

export const mountHeatmapCard = (root, page) => mountHeatmap(root, page, {
  read: () => page.data.heatmap,
  format: formatEdge,
  help: "The number of successful requests by response time, over time. Darker means more requests (on a square-root scale). Two separate bands mean two kinds of requests, which percentiles do not show. A click on a cell opens its requests.",
  metrics: METRICS,
  fileTitle: () => "Heatmap of response times",
  onCell: ({ from, to, low, high }) => openRequests(page, { window: { from, to }, filters: { outcome: outcome(page) }, bounds: bounds(low, high) }),
  emptyText: "No successful requests in this time range",
});
