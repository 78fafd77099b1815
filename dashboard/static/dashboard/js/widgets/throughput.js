// Output tokens in a second of wall time, by model.

import { numberMark } from "../charts/axis-labels.js";
import { slotsOf } from "../charts/palette.js";
import { at as valueAt } from "../live/series.js";
import { compact, text } from "../page/format.js";
import { mountChart } from "./card.js";

const METRIC = ["inference.completion_tokens", "rate"];
const MOST = 7;

// The busiest first; beyond seven they are one line, "other".
function modelLines(page) {
  const names = page.data.models.map((row) => row.model_name);
  const labels = page.series.labels(...METRIC).toSorted((a, b) => rank(names, a) - rank(names, b));
  const slots = slotsOf(labels);
  const lines = labels.slice(0, MOST).map((name) => ({
    label: name,
    colour: `series-${slots.get(name)}`,
    points: page.series.get(...METRIC, name),
  }));
  const rest = labels.slice(MOST);
  if (rest.length) lines.push({ label: `${rest.length} other model${rest.length === 1 ? "" : "s"}`, colour: "series-other", dash: [4, 3], points: sum(rest.map((name) => page.series.get(...METRIC, name))) });
  return lines;
}

const rank = (names, name) => (names.includes(name) ? names.indexOf(name) : names.length);

function sum(all) {
  const found = new Map();
  for (const points of all) {
    for (const { x, y } of points) found.set(x, y === null ? (found.get(x) ?? null) : (found.get(x) ?? 0) + y);
  }
  return [...found].toSorted((a, b) => a[0] - b[0]).map(([x, y]) => ({ x, y }));
}

// Areas lie on each other: where one model is silent while others are not, it counts as nothing, not as a gap.
function stackable(lines) {
  const known = new Set(lines.flatMap(({ points }) => points.filter(({ y }) => y !== null).map(({ x }) => x)));
  return lines.map((line) => ({ ...line, points: line.points.map(({ x, y }) => ({ x, y: y === null && known.has(x) ? 0 : y })) }));
}

export function mount(root, page) {
  const say = (value) => text(compact(value, "tok/s"));
  return mountChart(root, page, {
    type: "line",
    stacked: true,
    legend: true,
    groupBy: "model",
    help: "Output tokens per second of all requests together, by model. The speed of a single request is the generation speed in the table of models.",
    metrics: [METRIC],
    words: numberMark,
    say,
    lines: (own) => stackable(modelLines(own)).map((line, index) => ({ ...line, fill: "strong", below: index ? "-1" : "origin", width: 1.4 })),
    now: (own, time) => {
      const { value, standsIn } = time !== null
        ? { value: valueAt(own.series.get(...METRIC), time, own.series.step) }
        : own.figure((minute) => minute.tokens_per_second, "tokens_per_second");
      return [["", say(value), standsIn], [" output", ""]];
    },
    empty: () => "No tokens reported in this time range",
  });
}
