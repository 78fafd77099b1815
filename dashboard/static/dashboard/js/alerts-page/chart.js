// The chart of an alert: what its rule judged of the group in the last half hour, with the threshold, below which value the alert clears,
// and when it was pending (hatched) and firing (a coloured background that begins with a line). A drawing as SVG.

import { durationLabel, numberLabel, percentLabel } from "../charts/axis-labels.js";
import { roundStep, timeTicks } from "../charts/options.js";
import { svg } from "../page/dom.js";
import { hourAndMinute, thresholdText } from "../page/format.js";

const SPAN_MS = 1_800_000;
const MARGIN = { left: 46, right: 48, top: 8, bottom: 22 };
const LABEL_WIDTH = 72; // of a time

// Draw the chart into an <svg> of this size; `compact`: the line and the threshold alone.
export function drawChart(target, alert, now, { width, height, compact = false }) {
  if (!(width > 0)) return;
  const margin = compact ? { left: 0, right: 0, top: 2, bottom: 2 } : MARGIN;
  const area = { left: margin.left, right: width - margin.right, top: margin.top, bottom: height - margin.bottom };
  const values = points(alert, now);
  const limits = [alert.threshold, alert.clear_threshold].filter((value) => value !== null);
  const known = values.filter(({ y }) => y !== null).map(({ y }) => y);
  const room = alert.unit === "%" ? 1 : 1.05; // above the highest value
  const highest = Math.max(1e-9, ...known.map((value) => value * room), ...limits.map((value) => value * 1.15));
  const lowest = Math.min(0, ...known, ...limits.map((value) => value * 1.15)); // a change may be below 0
  const step = roundStep(Math.max(highest, -lowest), alert.unit === "ms");
  const top = compact ? highest * 1.1 : Math.ceil(highest / step - 1e-9) * step;
  const bottom = compact ? lowest : Math.floor(lowest / step + 1e-9) * step;
  const x = (ms) => area.left + ((ms - (now - SPAN_MS)) / SPAN_MS) * (area.right - area.left);
  const y = (value) => area.bottom - ((value - bottom) / (top - bottom)) * (area.bottom - area.top);
  const scale = { x, y, area, top, bottom, now };
  target.setAttribute("viewBox", `0 0 ${width} ${height}`);
  const parts = [
    ...(compact ? [] : axes(scale, step, alert, width)),
    ...spans(alert, scale, compact),
    ...limitLines(alert, limits, scale, compact),
    ...lines(values, scale, alert.chart?.step ?? 0, compact),
  ];
  target.replaceChildren(...parts);
}

function points(alert, now) {
  if (!alert.chart) return [];
  const { start, step, values } = alert.chart;
  return values.map((value, index) => ({ x: start + index * step, y: value })).filter(({ x }) => x >= now - SPAN_MS && x <= now);
}

function axes({ x, y, area, top, bottom, now }, step, alert, width) {
  const label = (value) => {
    if (alert.unit === "ms") return durationLabel(value, top);
    if (alert.unit === "s") return durationLabel(1000 * value, 1000 * top);
    return alert.unit === "%" ? percentLabel(value) : numberLabel(value, top);
  };
  const rows = Array.from({ length: Math.round((top - bottom) / step) + 1 }, (_, index) => bottom + index * step);
  const ticks = timeTicks(now - SPAN_MS, now, Math.max(2, Math.floor(width / LABEL_WIDTH)));
  return [
    ...rows.flatMap((value) => [
      svg("line", { class: "chart-grid", x1: area.left, x2: area.right, y1: y(value).toFixed(1), y2: y(value).toFixed(1) }),
      svg("text", { class: "chart-label", x: area.left - 8, y: (y(value) + 4).toFixed(1), "text-anchor": "end" }, label(value)),
    ]),
    ...ticks.map(({ value }) =>
      svg("text", { class: "chart-label", x: x(value).toFixed(1), y: area.bottom + 17, "text-anchor": "middle" }, hourAndMinute(value))),
  ];
}

function spans(alert, { x, area, now }, compact) {
  const start = now - SPAN_MS;
  const since = Math.max(start, Date.parse(alert.since));
  const fired = alert.started_at ? Math.max(start, Date.parse(alert.started_at)) : now;
  const rect = (state, from, to) => svg("rect", {
    class: `chart-span ${state} ${alert.severity}`, x: x(from).toFixed(1), width: Math.max(0, x(to) - x(from)).toFixed(1), y: area.top, height: area.bottom - area.top,
    ...(state === "pending" ? { fill: `url(#hatch-${alert.severity})` } : {}),
  });
  const parts = (alert.chart?.earlier ?? []).map(({ state, from, to }) => rect(state, Math.max(start, Date.parse(from)), Date.parse(to)));
  if (fired > since) parts.push(rect("pending", since, fired));
  if (alert.started_at) {
    parts.push(rect("firing", fired, now));
    if (Date.parse(alert.started_at) > start) {
      parts.push(svg("line", { class: `chart-edge ${alert.severity}`, x1: x(fired).toFixed(1), x2: x(fired).toFixed(1), y1: area.top, y2: area.bottom }));
    }
    if (!compact && x(now) - x(fired) > 60) {
      parts.push(svg("text", { class: `chart-tag ${alert.severity}`, x: ((x(fired) + x(now)) / 2).toFixed(1), y: area.bottom - 6, "text-anchor": "middle" }, "firing"));
    }
  }
  return parts;
}

function limitLines(alert, limits, { y, area }, compact) {
  return limits.flatMap((value, index) => {
    const height = y(value).toFixed(1);
    const clears = index === 1;
    if (compact && clears) return [];
    const line = svg("line", { class: `chart-limit ${clears ? "clears" : ""} ${alert.severity}`, x1: area.left, x2: area.right, y1: height, y2: height });
    if (compact) return [line];
    const shift = limits.length < 2 ? 4 : value === Math.min(...limits) ? 10 : -2; // so that two labels do not overlap
    return [line, svg("text", { class: `chart-tag ${alert.severity}`, x: area.right + 6, y: (y(value) + shift).toFixed(1) }, thresholdText(value, alert.unit))];
  });
}

function lines(values, { x, y, area }, step, compact) {
  let path = "";
  let before = null;
  for (const point of values) {
    if (point.y === null) continue;
    const joins = before !== null && point.x - before.x <= step * 1.5;
    path += `${joins ? "L" : "M"}${x(point.x).toFixed(1)} ${y(point.y).toFixed(1)}`;
    before = point;
  }
  if (!path) return [svg("text", { class: "chart-label", x: (area.left + area.right) / 2, y: (area.top + area.bottom) / 2, "text-anchor": "middle" }, compact ? "" : "No values in the last half hour")];
  return [svg("path", { class: "chart-line", d: path }), ...(compact ? [] : [svg("circle", { class: "chart-now", cx: x(before.x).toFixed(1), cy: y(before.y).toFixed(1), r: 4 })])];
}
