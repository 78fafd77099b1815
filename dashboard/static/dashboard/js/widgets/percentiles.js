// Percentiles of a distribution over time, as lines of one colour.

import { numberLabel } from "../charts/axis-labels.js";
import { valueAt } from "../live/series.js";
import { mountChart } from "./card.js";

const LOOKS = {
  p99: { width: 1.4, dash: [1.5, 3] },
  p95: { width: 1.7, dash: [6, 3] },
  p90: { width: 1, faint: true },
  p50: { width: 2.4 },
};

// `stats`: those shown, the highest first; `before`: the one that is compared with the window before; `count`: whether the number of
// values of each point is among the series, for the tooltip.
export function mountPercentiles(root, page, { metric, stats, before = null, count = true, colour = "series-1", ...spec }) {
  mountChart(root, page, {
    type: "line",
    endLabels: true,
    formatTick: numberLabel,
    metrics: [...stats, ...(count ? ["count"] : [])].map((stat) => [metric, stat]),
    spansOf: [metric],
    thresholdsOf: [metric],
    lines: () => stats.map((stat) => ({
      ...LOOKS[stat], label: stat.toUpperCase(), colour, points: page.series.get(metric, stat),
      counts: count && stat === "p99" ? page.series.get(metric, "count") : null,
      compared: stat === before ? { metric, stat } : null,
    })),
    counts: count ? () => page.series.get(metric, "count") : undefined,
    currentValues: (time) => stats.toReversed().map((stat) => {
      const points = page.series.get(metric, stat);
      return [stat.toUpperCase(), spec.format(valueAt(points, time ?? points.findLast(({ y }) => y !== null)?.x ?? 0, page.series.step))];
    }),
    ...spec,
  });
}
