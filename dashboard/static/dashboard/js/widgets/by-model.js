// Charts with a line or an area for each model. The page has series of the busiest models only; of a sum, the others are what
// is left of the total.

import { linesByGroup, stacked } from "../charts/lines.js";
import { mountChart } from "./card.js";
import { headValue } from "./head-value.js";

// A sum by model, as areas. `spec` is that of mountChart with `metric`: [metric, stat], and
// `current`: [read, summaryName] of the head's value, see `page.currentValue`; without it, the head shows the newest total.
/** @param {HTMLElement} root
 *  @param {import("../live/page.js").Page} page
 *  @param {{ metric: [string, string], current?: [(minute: any) => number, string], [name: string]: any }} spec */
export function mountSumByModel(root, page, { metric, current, ...spec }) {
  mountChart(root, page, {
    type: "line",
    stacked: true,
    legend: true,
    groupBy: "model",
    metrics: [metric],
    spansOf: [metric[0]],
    lines: () => stacked(linesByGroup(page, ...metric, "model", { total: true, known: page.data.models_known })),
    namesSpan: current !== undefined,
    currentValues: (time) => {
      const { value, fromWindow } = time !== null || !current
        ? { value: headValue(page, page.series.get(...metric), time) }
        : page.currentValue(...current);
      return [["", spec.format(value), fromWindow]];
    },
    ...spec,
  });
}

// A statistic of each model, as lines.
export function mountLinesByModel(root, page, { metric, ...spec }) {
  mountChart(root, page, {
    type: "line",
    legend: true,
    groupBy: "model",
    metrics: [metric],
    spansOf: [metric[0]],
    thresholdsOf: [metric[0]],
    lines: () => linesByGroup(page, ...metric, "model"),
    ...spec,
  });
}
