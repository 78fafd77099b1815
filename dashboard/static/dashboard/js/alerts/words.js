// Alerts and rules in words: values with their units, groups, conditions, durations. Times are in epoch milliseconds.

import { slotOf } from "../charts/palette.js";
import { element } from "../page/dom.js";
import { SPACE, dayOfMonth, hourAndMinute, thresholdText, timeOfDay } from "../page/format.js";

const SIGNS = { gt: ">", ge: "≥", lt: "<", le: "≤", eq: "=", ne: "≠" };
const WORDS = { firing: "firing", pending: "pending", acknowledged: "acknowledged", silenced: "silenced", ok: "not firing" };
const COMPARED = { 3600: "an hour before", 86400: "a day before", 604800: "a week before" };

// "45 s", "9 m 2 s", "2 h 5 m", "3 d 4 h".
export function elapsed(ms) {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const pair = (first, firstUnit, second, secondUnit) => `${first}${SPACE}${firstUnit}${second ? `${SPACE}${second}${SPACE}${secondUnit}` : ""}`;
  if (seconds < 60) return `${seconds}${SPACE}s`;
  if (seconds < 3600) return pair(Math.floor(seconds / 60), "m", seconds % 60, "s");
  if (seconds < 86400) return pair(Math.floor(seconds / 3600), "h", Math.floor((seconds % 3600) / 60), "m");
  return pair(Math.floor(seconds / 86400), "d", Math.floor((seconds % 86400) / 3600), "h");
}

// A length of a rule: "30 s", "5 min", "2 h".
/** @type {[string, number][]} */
const LENGTHS = [["d", 86400], ["h", 3600], ["min", 60]];

export function length(seconds) {
  for (const [unit, size] of LENGTHS) {
    if (seconds >= size && seconds % size === 0) return `${seconds / size}${SPACE}${unit}`;
  }
  return `${seconds}${SPACE}s`;
}

// "today", "yesterday" or "13 Nov".
export function dayText(ms, now) {
  const startOfDay = new Date(now).setHours(0, 0, 0, 0);
  if (ms >= startOfDay) return "today";
  return ms >= startOfDay - 86_400_000 ? "yesterday" : dayOfMonth(ms);
}

// "14:22:05", or of another day "yesterday 14:22".
export function since(ms, now) {
  const day = dayText(ms, now);
  return day === "today" ? timeOfDay(ms) : `${day} ${hourAndMinute(ms)}`;
}

export const stateOf = (alert) => {
  if (alert.silence) return "silenced";
  return alert.state === "firing" && alert.acknowledged_at ? "acknowledged" : alert.state;
};

// The glyph of a state, with the state as text for screen readers.
export function glyph(state, severity = "warning") {
  return element("span", { class: `state-glyph ${state} ${severity}`, role: "img", "aria-label": `${WORDS[state] ?? state}, ${severity}` });
}

function valueText(name, value) {
  if (!value) return `no ${name}`;
  return name === "gpu" ? `GPU${SPACE}${value}` : value;
}

// The labels of a group, with the colour of a model.
export function group(labels, page) {
  const parts = Object.entries(labels).map(([name, value]) => {
    if (name !== "model" || !value) return element("bdi", {}, valueText(name, value));
    return element("span", {}, element("span", { class: `swatch slot-${slotOf("model", value)}`, "aria-hidden": "true" }), element("bdi", {}, value));
  });
  return element("span", { class: "group" }, ...parts.flatMap((part, index) => (index ? [" · ", part] : [part])));
}

export const groupText = (labels) => Object.entries(labels).map(([name, value]) => valueText(name, value)).join(" · ");

function titleOf(metric, page) {
  const { title = metric } = page.catalogue[metric] ?? {};
  return /^[A-Z][a-z]/.test(title) ? title[0].toLowerCase() + title.slice(1) : title;
}

// "P95 response time including timeouts"; a ratio is the same for each statistic. `filters`: of the rule, if there is one.
export function statistic(metric, stat, page, filters) {
  if (page.catalogue[metric]?.kind === "ratio") return titleOf(metric, page);
  const timeouts = filters?.outcome?.includes("success_or_timeout") ? " including timeouts" : "";
  return `${/^p\d/.test(stat) ? stat.toUpperCase() : stat} ${titleOf(metric, page)}${timeouts}`;
}

// "P95 response time over 5 min > 5 s for 1 min".
export function condition(rule, page) {
  const metric = `${rule.metric_type}.${rule.metric_name}`;
  if (rule.kind === "no_data") return `no ${titleOf(metric, page)} for ${length(rule.window_seconds)}`;
  const hold = rule.for_seconds ? ` for ${length(rule.for_seconds)}` : "";
  const limit = `${SIGNS[rule.comparison]}${SPACE}${thresholdText(rule.threshold, rule.unit)}`;
  return `${statistic(metric, rule.stat, page, rule.filters)} over ${length(rule.window_seconds)}${comparedWith(rule)} ${limit}${hold}`;
}

// " against the day before" of a rule on a change.
export const comparedWith = ({ kind, compare_to_seconds: seconds }) => (kind === "change" ? ` against ${COMPARED[seconds]}` : "");

// "22 % over 5 s": how far the value of a firing alert is beyond its threshold.
export function beyond(alert) {
  if (alert.threshold === null || alert.value === null) return "";
  const limit = thresholdText(alert.threshold, alert.unit);
  if (!alert.threshold) return `threshold ${limit}`;
  const share = Math.round((100 * (alert.value - alert.threshold)) / Math.abs(alert.threshold));
  if (share === 0) return `at ${limit}`;
  return `${Math.abs(share).toLocaleString("en-US")}${SPACE}% ${share > 0 ? "over" : "below"} ${limit}`;
}

// "fired for 5 m 50 s, 20:18:40 to 20:24:30", "pending for 12 s, since yesterday 20:18:40".
export function spanText(alert, now) {
  const begin = Date.parse(alert.started_at ?? alert.since);
  const end = alert.ended_at ? Date.parse(alert.ended_at) : now;
  const what = alert.started_at ? "fired" : "pending";
  return `${what} for ${elapsed(end - begin)}, ${alert.ended_at ? `${momentText(begin, now)} to ${timeOfDay(end)}` : `since ${momentText(begin, now)}`}`;
}

// "20:18:40", or of another day "yesterday 20:18:40".
export const momentText = (ms, now) => (dayText(ms, now) === "today" ? timeOfDay(ms) : `${dayText(ms, now)} ${timeOfDay(ms)}`);
