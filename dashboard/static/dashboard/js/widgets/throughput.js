// Output tokens per second, by model. The page has the busiest models only; the others are what is left of the total.

import { numberLabel } from "../charts/axis-labels.js";
import { linesByGroup, stacked } from "../charts/lines.js";
import { valueAt } from "../live/series.js";
import { compact, text } from "../page/format.js";
import { mountChart } from "./card.js";

const METRIC = ["inference.completion_tokens", "rate"];

// The page has series of the busiest models only.
const modelLines = (page) => {
  const models = page.data.models.length + page.data.models_omitted;
  return stacked(linesByGroup(page, ...METRIC, "model", { total: true, known: models }));
};

export function mount(root, page) {
  const format = (value) => text(compact(value, "tok/s"));
  mountChart(root, page, {
    type: "line",
    stacked: true,
    legend: true,
    groupBy: "model",
    help: "Output tokens per second of all requests together, by model. The speed of a single request is the generation speed in the table of models.",
    metrics: [METRIC],
    formatTick: numberLabel,
    spansOf: [METRIC[0], "inference.tokens_per_second"],
    format,
    lines: () => modelLines(page),
    currentValues: (time) => {
      const { value, fromWindow } = time !== null
        ? { value: valueAt(page.series.get(...METRIC), time, page.series.step) }
        : page.currentValue((minute) => minute.tokens_per_second, "tokens_per_second");
      return [["", format(value), fromWindow], [" output", ""]];
    },
    emptyText: "No tokens reported in this time range",
  });
}
