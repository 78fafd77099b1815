// The lines of charts over time. Pure, but for the colours of `linesByGroup`.
//
// A line is {label, points: [{x, y}], colour, dash, …}; see time-chart.js.

import { OTHERS, valueAt } from "../live/series.js";
import { lineStyle } from "./palette.js";

export const MOST_POINTS = 2_000; // of a line
const MOST_GROUPS = 7; // with a line of their own

// At most `most` points, in order: of each run of points the lowest and the highest, so that no peak is lost. A run that has
// only nulls keeps one.
export function decimated(points, most = MOST_POINTS) {
  if (points.length <= most) return points;
  const size = Math.ceil(points.length / Math.floor(most / 2));
  const kept = [];
  for (let start = 0; start < points.length; start += size) {
    const run = points.slice(start, start + size);
    const known = run.filter(({ y }) => y !== null);
    if (!known.length) kept.push(run[0]);
    else {
      const lowest = known.reduce((a, b) => (b.y < a.y ? b : a));
      const highest = known.reduce((a, b) => (b.y > a.y ? b : a));
      kept.push(...(lowest === highest ? [lowest] : [lowest, highest].sort((a, b) => a.x - b.x)));
    }
  }
  return kept;
}

// The lines with a grey twin for each that has `compared`, {metric, stat, label}. `before`: the SeriesStore of the window
// before, whose points are moved onto the present; null without a comparison. The twins come last.
export function withComparison(lines, before) {
  if (!before) return lines;
  const twins = lines.filter(({ compared }) => compared).map(({ label, compared, width }) => ({
    label: `${label} before`.trim(),
    points: before.get(compared.metric, compared.stat, compared.label),
    colour: "series-other",
    width: Math.min(width ?? 1.2, 1.2),
    faint: true,
    isBefore: true,
    step: before.step, // the window before may have a longer one, because it is older
    compared,
  }));
  return [...lines, ...twins.filter(({ points }) => points.length)];
}

// The value of each line at a time. `step` is that of the page, between two points of a line that has none of its own.
export const valuesAt = (lines, time, step) => lines.map((line) => valueAt(line.points, time, line.step ?? step));

const sumOf = (points) => points.reduce((sum, { y }) => sum + (y ?? 0), 0);

// A line for each group of a series, such as a model or a host, with its fixed colour; the groups with the largest sums
// have the first `limit` lines. `total`: for values that add up (rates, sums, counts), "other" is what is left of the
// series of all groups; `known`: the number of
// all groups, where the page has series of some of them only.
export function linesByGroup(page, metric, stat, groupLabel, { limit = MOST_GROUPS, total = false, known = 0 } = {}) {
  const labels = page.series.labels(metric, stat);
  const groups = labels.filter((label) => label !== OTHERS)
    .map((label) => ({ label, points: page.series.get(metric, stat, label) }))
    .map((group) => ({ ...group, sum: sumOf(group.points) }))
    .toSorted((a, b) => b.sum - a.sum || a.label.localeCompare(b.label));
  const lines = groups.slice(0, limit).map(({ label, points }) => ({
    label, points, ...lineStyle(groupLabel, label), compared: { metric, stat, label },
  }));
  if (labels.includes(OTHERS) && !total) {
    lines.push({ label: `other ${groupLabel}s`, points: page.series.get(metric, stat, OTHERS), colour: "series-other", dash: [4, 3] });
  }
  const others = Math.max(known, groups.length) - lines.length;
  if (total && others > 0 && lines.length) {
    lines.push({
      label: `${others} other ${groupLabel}${others === 1 ? "" : "s"}`, points: rest(page.series.get(metric, stat), lines), colour: "series-other", dash: [4, 3],
    });
  }
  return lines;
}

// A line for each of the busiest machines, which the server ranks, and one for the mean of the others.
export function linesByHost(page, metric, stat) {
  const labels = page.series.labels(metric, stat);
  const lines = labels.filter((label) => label !== OTHERS).slice(0, MOST_GROUPS)
    .map((label) => ({ label, points: page.series.get(metric, stat, label), ...lineStyle("host", label) }));
  if (!labels.includes(OTHERS)) return lines;
  return [...lines, { label: "other machines, mean", points: page.series.get(metric, stat, OTHERS), colour: "series-other", dash: [4, 3] }];
}

// What is left of a total without these lines. A bucket is null where the total is.
export function rest(total, lines) {
  const known = new Map();
  for (const { points } of lines) for (const { x, y } of points) known.set(x, (known.get(x) ?? 0) + (y ?? 0));
  return total.map(({ x, y }) => ({ x, y: y === null ? null : Math.max(0, y - (known.get(x) ?? 0)) }));
}

// The lines as areas upon each other, the first at the bottom. A group without a value counts as 0 where another has one.
// Otherwise the areas above it would break.
export function stacked(lines) {
  const known = new Set(lines.flatMap(({ points }) => points.filter(({ y }) => y !== null).map(({ x }) => x)));
  return lines.map((line, index) => ({
    ...line,
    points: line.points.map(({ x, y }) => ({ x, y: y === null && known.has(x) ? 0 : y })),
    compared: null,
    fill: "strong",
    below: index ? "-1" : "origin",
    width: 1.4,
  }));
}
