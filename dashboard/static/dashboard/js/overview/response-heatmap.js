// The distribution of response times over time, which shows groups of requests that percentiles hide.

import { duration, text } from "../page/format.js";
import { mountHeatmap } from "../widgets/heatmap.js";

export function mount(root, page) {
  mountHeatmap(root, page, {
    read: () => page.data.heatmap,
    format: (milliseconds) => text(duration(milliseconds)).replace(/\.0+(?=\D)/, ""),
    help: "The number of successful requests by response time, over time. Darker means more requests (on a square-root scale). Two separate bands mean two kinds of requests, which percentiles do not show.",
    metrics: [["inference.response_time_ms", "count"]],
    emptyText: "No successful requests in this time range",
  });
}
