// Percentiles of a distribution over time, as lines of one colour.

import { numberLabel } from "../charts/axis-labels.js";
import { colourOf } from "../charts/palette.js";
import { mountChart } from "./card.js";
import { headValue } from "./head-value.js";

const LOOKS = {
  p99: { width: 1.4, dash: [1.5, 3] },
  p95: { width: 1.7, dash: [6, 3] },
  p90: { width: 1, faint: true },
  p50: { width: 2.4 },
};

// `stats`: those shown, the highest first, and `inHead`: those of them whose values are in the head; `before`: the one that is
// compared with the window before; `count`: whether the number of values of each point is among the series, for the tooltip;
// `model()`: the model that the chart is about, where the page has the series of each.
/** @param {HTMLElement} root
 *  @param {import("../live/page.js").Page} page
 *  @param {{ metric: string, stats: string[], inHead?: string[], before?: string | null, count?: boolean, colour?: string,
 *    model?: () => string, [name: string]: any }} spec */
export function mountPercentiles(root, page, { metric, stats, inHead = stats, before = null, count = true, colour, model, ...spec }) {
  const pointsOf = (stat) => page.series.get(metric, stat, model?.());
  mountChart(root, page, {
    type: "line",
    endLabels: true,
    formatTick: numberLabel,
    groupBy: model && "model",
    metrics: [...stats.toReversed(), ...(count ? ["count"] : [])].map((stat) => [metric, stat]),
    spansOf: [metric],
    thresholdsOf: [metric],
    lines: () => stats.map((stat) => ({
      ...LOOKS[stat], label: stat.toUpperCase(), colour: colour ?? colourOf(page), points: pointsOf(stat),
      counts: count && stat === "p99" ? pointsOf("count") : null,
      compared: stat === before ? { metric, stat, label: model?.() } : null,
    })),
    counts: count ? () => pointsOf("count") : undefined,
    currentValues: (time) => inHead.toReversed().map((stat) => [stat.toUpperCase(), spec.format(headValue(page, pointsOf(stat), time))]),
    ...spec,
  });
}
