// What is written about an alert. Pure functions.

import { elapsed, thresholdText, valueText } from "../alerts/words.js";
import { SPACE } from "../page/format.js";
import { GLYPHS } from "../page/severities.js";

// Whether an alert fires and nobody looks after it.
export const isUnhandled = (alert) => alert.state === "firing" && !alert.acknowledged_at && !alert.silence;

const withRequests = (value, { unit }) => valueText(value, unit) + (unit === "requests" ? `${SPACE}requests` : "");

// "P95 5.38 s, over 5 s for 1 m", "400 requests, over 300".
export function condition(alert) {
  if (alert.value === null || alert.threshold === null) return "no data";
  const stat = /^p\d/.test(alert.stat) ? `${alert.stat.toUpperCase()} ` : "";
  const side = alert.value >= alert.threshold ? "over" : "under";
  const heldMs = Date.parse(alert.started_at) - Date.parse(alert.since);
  const held = heldMs >= 1_000 ? ` for ${elapsed(heldMs)}` : "";
  return `${stat}${withRequests(alert.value, alert)}, ${side} ${thresholdText(alert.threshold, alert.unit)}${held}`;
}

// "fired for 36 m, peak 6.31 s".
export function outcome(alert) {
  const fired = elapsed(Date.parse(alert.ended_at) - Date.parse(alert.started_at));
  return `fired for ${fired}${alert.peak === null ? "" : `, peak ${withRequests(alert.peak, alert)}`}`;
}

export const times = (count) => `fires again, ${count}${["", "", "nd", "rd"][count] ?? "th"} time`;

// The title of the tab: "(2) ■ High Error Rate · LLM Monitor", or that of the page while nothing is unhandled.
export function tabTitle(unhandled, title) {
  if (!unhandled.length) return title;
  return `(${unhandled.length}) ${GLYPHS[unhandled[0].severity]} ${unhandled[0].name} · LLM Monitor`;
}

// "2 alerts fire. 1 is acknowledged or silenced." `numbers`: the part `alerts` of a tick.
export function summary(unhandled, firing) {
  if (!firing) return "Nothing fires.";
  const handled = firing - unhandled;
  const all = firing === 1 ? "1 alert fires" : `${firing} alerts fire`;
  if (!handled) return `${all}.`;
  return handled === firing ? `${all}, acknowledged or silenced.` : `${all}, ${handled} acknowledged or silenced.`;
}
