// Output tokens per second, by model. The page has the busiest models only; the others are what is left of the total.

import { numberLabel } from "../charts/axis-labels.js";
import { slotsOf } from "../charts/palette.js";
import { valueAt } from "../live/series.js";
import { compact, text, whole } from "../page/format.js";
import { mountChart } from "./card.js";

const METRIC = ["inference.completion_tokens", "rate"];
const MAX_MODELS = 7; // the other models are one line

// The models with the most requests come first.
function modelLines(page) {
  const names = page.data.models.map((row) => row.model_name);
  const rank = (name) => (names.includes(name) ? names.indexOf(name) : names.length);
  const models = page.series.labels(...METRIC).toSorted((a, b) => rank(a) - rank(b));
  const pointsOf = (name) => page.series.get(...METRIC, name);
  const slots = slotsOf(models);
  const lines = models.slice(0, MAX_MODELS).map((name) => ({ label: name, colour: `series-${slots.get(name)}`, points: pointsOf(name) }));
  const others = page.data.models.length + page.data.models_omitted - lines.length;
  if (lines.length && others > 0) {
    const label = `${whole(others).number} other model${others === 1 ? "" : "s"}`;
    lines.push({ label, colour: "series-other", dash: [4, 3], points: rest(pointsOf(), lines) });
  }
  return lines;
}

// What is left of a total without these lines. A bucket is null where the total is.
function rest(total, lines) {
  const known = new Map();
  for (const { points } of lines) for (const { x, y } of points) known.set(x, (known.get(x) ?? 0) + (y ?? 0));
  return total.map(({ x, y }) => ({ x, y: y === null ? null : Math.max(0, y - (known.get(x) ?? 0)) }));
}

// In a stack, a model without a value counts as 0 where other models have one. Otherwise the areas above it would break.
function stackable(lines) {
  const known = new Set(lines.flatMap(({ points }) => points.filter(({ y }) => y !== null).map(({ x }) => x)));
  return lines.map((line) => ({ ...line, points: line.points.map(({ x, y }) => ({ x, y: y === null && known.has(x) ? 0 : y })) }));
}

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
    lines: () => stackable(modelLines(page)).map((line, index) => ({ ...line, fill: "strong", below: index ? "-1" : "origin", width: 1.4 })),
    currentValues: (time) => {
      const { value, fromWindow } = time !== null
        ? { value: valueAt(page.series.get(...METRIC), time, page.series.step) }
        : page.currentValue((minute) => minute.tokens_per_second, "tokens_per_second");
      return [["", format(value), fromWindow], [" output", ""]];
    },
    emptyText: "No tokens reported in this time range",
  });
}
