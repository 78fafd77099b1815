// What alert rules draw on a chart: firing spans as a coloured background that begins with a line, pending spans hatched, and
// thresholds as dashed lines; a threshold above the axis is a label at the upper edge. The plugin reads
// `chart.overlays.alerts`, which `marksOf` returns.

import { GLYPHS } from "../page/severities.js";
import { placeLabels } from "./alert-labels.js";
import { colour, withAlpha } from "./palette.js";
import { clipped, drawHatching } from "./plugins.js";

const COLOURS = { critical: "critical", warning: "warning", info: "accent" };
const FONT = "600 10.5px Inter";
const LEAST_PX = { firing: 3, pending: 2 };
const LABEL_PX = 56; // a narrower span has no label
const MAX_THRESHOLDS = 3;
const LOW_PX = 120; // a lower chart names the value of a threshold alone, because a label would cover its lines
const EACH = ", each ";

// The marks of one chart. `marks` are those of the page's data; `spansOf` and `thresholdsOf` are metrics: those that the
// chart is about, and those that its value axis shows.
export function marksOf(marks, { spansOf = [], thresholdsOf = [] }) {
  const spans = marks.filter(({ metric }) => spansOf.includes(metric)).flatMap(({ name, severity, ...states }) =>
    ["pending", "firing"].flatMap((state) => states[state].map(([from, to]) => ({ name, severity, state, from, to }))));
  const thresholds = marks
    .filter(({ metric, threshold }) => thresholdsOf.includes(metric) && typeof threshold === "number")
    .map(({ name, threshold, label, severity, firing, pending }) => ({
      name, value: threshold, label, short: label.slice(name.length).trim().split(EACH)[0], severity, isActive: firing.length + pending.length > 0,
    }))
    .sort((a, b) => b.isActive - a.isActive);
  const lines = [...Map.groupBy(thresholds, ({ value }) => value).values()].map(lineOf);
  return { spans, thresholds: lines.slice(0, MAX_THRESHOLDS) };
}

// The line of rules with the same threshold, of which the first is named: "Slow and 1 other 5 s, each model".
function lineOf([first, ...others]) {
  if (!others.length) return first;
  return { ...first, label: `${first.name} and ${others.length} other${others.length === 1 ? "" : "s"}${first.label.slice(first.name.length)}` };
}

// "Slow Response Time fired twice", for the chart's description.
export function describeMarks({ spans }) {
  const counts = new Map();
  for (const { name, state } of spans) if (state === "firing") counts.set(name, (counts.get(name) ?? 0) + 1);
  return [...counts].map(([name, count]) => ` ${name} fired${count > 1 ? ` ${count} times` : ""}.`).join("");
}

export const alertMarks = {
  id: "alertMarks",
  beforeDatasetsDraw(chart) {
    const { spans = [], thresholds = [] } = chart.overlays?.alerts ?? {};
    if (!spans.length && !thresholds.length) return;
    clipped(chart, (ctx, area) => {
      for (const span of spans) drawSpan(ctx, area, chart.scales.x, span);
      for (const threshold of thresholds) {
        const y = chart.scales.y.getPixelForValue(threshold.value);
        if (y < area.top || y > area.bottom) continue;
        ctx.save();
        ctx.strokeStyle = thresholdColour(threshold);
        ctx.lineWidth = 1.2;
        ctx.setLineDash([5, 4]);
        line(ctx, area.left, y, area.right, y);
        ctx.restore();
      }
    });
  },
  afterDatasetsDraw(chart) {
    const { spans = [], thresholds = [] } = chart.overlays?.alerts ?? {};
    if (!spans.length && !thresholds.length) return;
    clipped(chart, (ctx, area) => {
      ctx.font = FONT;
      ctx.textBaseline = "middle";
      ctx.textAlign = "left";
      const placed = placeLabels({ thresholds }, area, (value) => chart.scales.y.getPixelForValue(value));
      for (const { threshold, y, isAbove } of placed.rows) {
        const label = area.height < LOW_PX ? threshold.short : fitting(ctx, area, threshold.label);
        text(ctx, `${label}${isAbove ? " ↑" : ""}`, area.left + 5, y, thresholdColour(threshold));
      }
      for (const span of spans) labelSpan(ctx, area, chart.scales.x, span, placed.spans);
    });
  },
};

const fitting = (ctx, area, label) => (ctx.measureText(label).width < area.width - 24 ? label : label.split(EACH)[0]);

const thresholdColour = ({ isActive, severity }) => colour(isActive ? COLOURS[severity] : "muted");

function edges(area, axis, { state, from, to }) {
  const left = axis.getPixelForValue(from);
  const right = to === null ? area.right : Math.min(area.right, axis.getPixelForValue(to));
  return { left, right: Math.max(right, left + LEAST_PX[state]) };
}

function drawSpan(ctx, area, axis, span) {
  const { left, right } = edges(area, axis, span);
  if (right <= area.left || left >= area.right) return;
  const stroke = colour(COLOURS[span.severity]);
  if (span.state === "pending") {
    drawHatching(ctx, left, right, area, withAlpha(stroke, 0.35));
    return;
  }
  ctx.fillStyle = withAlpha(stroke, 0.11);
  ctx.fillRect(left, area.top, right - left, area.height);
  ctx.save();
  ctx.strokeStyle = stroke;
  ctx.lineWidth = 1.2;
  line(ctx, left, area.top, left, area.bottom);
  ctx.restore();
}

function labelSpan(ctx, area, axis, span, y) {
  const { left, right } = edges(area, axis, span);
  const start = Math.max(left, area.left);
  if (right - start < LABEL_PX) return;
  text(ctx, span.state === "firing" ? `${GLYPHS[span.severity]} firing` : "pending", start + 5, y, colour(COLOURS[span.severity]));
}

function text(ctx, words, x, y, fill) {
  ctx.fillStyle = withAlpha(colour("card"), 0.75);
  ctx.fillRect(x - 3, y - 7, ctx.measureText(words).width + 6, 14);
  ctx.fillStyle = fill;
  ctx.fillText(words, x, y);
}

function line(ctx, x1, y1, x2, y2) {
  ctx.beginPath();
  ctx.moveTo(x1, y1);
  ctx.lineTo(x2, y2);
  ctx.stroke();
}
