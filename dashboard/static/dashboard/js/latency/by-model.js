// Times of each model to the first token, and per output token.

import { durationLabel } from "../charts/axis-labels.js";
import { linesByGroup } from "../charts/lines.js";
import { lineStyle } from "../charts/palette.js";
import { duration, text } from "../page/format.js";
import { mountChart } from "../widgets/card.js";
import { headValue } from "../widgets/head-value.js";

const FIRST_TOKEN = "inference.ttft_ms";
const PER_TOKEN = "inference.time_per_output_token_ms";
const MOST_MODELS = 7;
const format = (value) => text(duration(value));

// `stats`: the first is drawn solid, and is that of the head; the others are thin.
function mountByModel(root, page, { metric, stats, help, spansOf = [metric], emptyText }) {
  const models = () => page.series.labels(metric, stats[0]).slice(0, MOST_MODELS);
  const values = (time) => models().map((model) => [model, format(headValue(page, page.series.get(metric, stats[0], model), time))]);
  mountChart(root, page, {
    type: "line",
    legend: true,
    help,
    metrics: stats.map((stat) => [metric, stat]),
    groupBy: "model",
    formatTick: durationLabel,
    isDuration: true,
    spansOf,
    thresholdsOf: [metric],
    format,
    lines: () => {
      const solid = linesByGroup(page, metric, stats[0], "model", { limit: MOST_MODELS });
      const thin = stats.slice(1).flatMap((stat) => solid.map(({ label }) => ({
        label: `${label} ${stat.toUpperCase()}`,
        points: page.series.get(metric, stat, label),
        ...lineStyle("model", label),
        dash: [4, 3],
        width: 1,
      })));
      const named = stats.length > 1 ? solid.map((line) => ({ ...line, label: `${line.label} ${stats[0].toUpperCase()}` })) : solid;
      return [...named, ...thin];
    },
    currentValues: (time) => values(time).slice(0, 3),
    emptyText,
  });
}

export const mountFirstToken = (root, page) => mountByModel(root, page, {
  metric: FIRST_TOKEN,
  stats: ["p95"],
  help: "The time from sending a request to its first output token, which includes its wait in the queue: the P95 of each model. Only streamed requests report it.",
  emptyText: "No request reported its first token in this time range",
});

export const mountPerToken = (root, page) => mountByModel(root, page, {
  metric: PER_TOKEN,
  stats: ["p50", "p95"],
  help: "The mean time between two output tokens of a request, without the first one: P50 (solid) and P95 (dashed) of each model.",
  emptyText: "No request reported its time per output token in this time range",
});
