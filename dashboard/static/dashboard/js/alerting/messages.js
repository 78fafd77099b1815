// What is written about an alert. Pure functions.

import { elapsed } from "../alerts/words.js";
import { thresholdText, valueText } from "../page/format.js";
import { GLYPHS } from "../page/severities.js";

// Whether an alert needs attention: it fires, and it is neither acknowledged nor silenced.
export const needsAttention = (alert) => alert.state === "firing" && !alert.acknowledged_at && !alert.silence;

// "P95 5.38 s, over 5 s for 1 m", "400 requests, over 300".
export function condition(alert) {
  if (alert.value === null || alert.threshold === null) return "no data";
  const stat = /^p\d/.test(alert.stat) ? `${alert.stat.toUpperCase()} ` : "";
  const side = alert.value > alert.threshold ? "over" : alert.value < alert.threshold ? "under" : "at";
  const heldMs = Date.parse(alert.started_at) - Date.parse(alert.since);
  const held = heldMs >= 1_000 ? ` for ${elapsed(heldMs)}` : "";
  return `${stat}${valueText(alert.value, alert.unit)}, ${side} ${thresholdText(alert.threshold, alert.unit)}${held}`;
}

// "fired for 36 m, peak 6.31 s".
export function outcome(alert) {
  const fired = elapsed(Date.parse(alert.ended_at) - Date.parse(alert.started_at));
  return `fired for ${fired}${alert.peak === null ? "" : `, peak ${valueText(alert.peak, alert.unit)}`}`;
}

export const times = (count) => `fires again, ${count}${["", "", "nd", "rd"][count] ?? "th"} time`;

const MOST = 99;

// "7", "99+"; of very many, the page has not read all.
export const countText = (number) => (number > MOST ? `${MOST}+` : String(number));

// The title of the tab: "(2) ■ High Error Rate · LLM Monitor", or that of the page while no alert needs attention.
export function tabTitle(alerts, title) {
  if (!alerts.length) return title;
  return `(${countText(alerts.length)}) ${GLYPHS[alerts[0].severity]} ${alerts[0].name} · LLM Monitor`;
}

// "2 alerts fire. 1 is acknowledged or silenced." `numbers`: the part `alerts` of a tick.
export function summary(needingAttention, firing) {
  if (!firing) return "Nothing fires.";
  const others = firing - needingAttention;
  const all = firing === 1 ? "1 alert fires" : `${firing} alerts fire`;
  if (!others) return `${all}.`;
  return others === firing ? `${all}, acknowledged or silenced.` : `${all}, ${others} acknowledged or silenced.`;
}
