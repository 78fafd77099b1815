// Counts that add up to a whole, as bars on top of each other: requests by outcome, or by finish reason.

import { requestRates } from "../charts/rates.js";
import { mountChart } from "./card.js";

// `parts`: [{label, colour, metric: [metric, stat], points}]; `points(page)` where they are not those of the metric.
export function mountParts(root, page, { parts, ...spec }) {
  mountChart(root, page, {
    type: "bar",
    stacked: true,
    legend: true,
    ...requestRates,
    metrics: parts.map(({ metric }) => metric),
    spansOf: [],
    lines: () => parts
      .map(({ points, metric, ...part }) => ({ ...part, square: true, points: points ? points(page) : page.series.get(...metric) }))
      .filter((line, index) => index === 0 || line.points.some(({ y }) => y)),
    ...spec,
  });
}
