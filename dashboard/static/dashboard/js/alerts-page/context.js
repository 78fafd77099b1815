// The context of an alert: where the time of its requests goes, now and an hour before, and what else happens.

import { element, svg } from "../page/dom.js";
import { duration, text } from "../page/format.js";
import { groupText } from "../alerts/words.js";

const PHASES = [["queue_ms", "Queue"], ["prompt_ms", "Prompt"], ["decode_ms", "Decode"], ["processing_ms", "Processing"]];
const MAIN_SHARE = 0.5; // of the rise, from which on a phase is named as the cause
const CAUSES = { queue_ms: "It waits longer in the queue", prompt_ms: "The prompt takes longer", decode_ms: "Decoding takes longer" };
const MAX_NAMES = 3;

export function drawContext(target, alert) {
  const { context } = alert;
  const parts = context ? [...split(context.split), note(alert)].filter(Boolean) : [];
  target.hidden = !parts.length;
  const key = JSON.stringify([context?.split, parts.at(-1)?.textContent]);
  if (target.dataset.drawn === key) return;
  target.dataset.drawn = key;
  target.classList.toggle("has-split", parts.length > 1);
  target.replaceChildren(...parts);
}

function split(given) {
  const { now, before } = given ?? {};
  if (!now) return [];
  const known = PHASES.filter(([name]) => now[name] !== null && now[name] !== undefined);
  const longest = Math.max(now.response_time_ms, before?.response_time_ms ?? 0);
  const row = (label, phases) => element("div", { class: "split-row" }, element("span", { class: "muted" }, label), bar(phases, known, longest),
    element("b", {}, text(duration(phases.response_time_ms))));
  return [
    element("h3", {}, titleOf(now, before, known), element("span", { class: "muted" }, " mean per request")),
    row("now", now),
    ...(before ? [row("hour before", before)] : []),
    element("dl", { class: "split-phases" }, ...known.map(([name, title]) =>
      element("div", {}, element("dt", {}, element("i", { class: `phase ${name}`, "aria-hidden": "true" }), title), element("dd", {}, text(duration(now[name])))))),
  ];
}

// "It waits longer in the queue" where that explains most of the rise since an hour before.
function titleOf(now, before, known) {
  const rise = now.response_time_ms - (before?.response_time_ms ?? Infinity);
  const isKnown = (value) => value !== null && value !== undefined;
  const cause = rise > 0 && known.find(([name]) => isKnown(before[name]) && now[name] - before[name] > MAIN_SHARE * rise);
  return (cause && CAUSES[cause[0]]) || "Where the time goes";
}

function bar(phases, known, longest) {
  const drawing = svg("svg", { class: "split-bar", viewBox: "0 0 100 10", preserveAspectRatio: "none", "aria-hidden": "true" });
  let x = 0;
  for (const [name] of known) {
    const width = (100 * (phases[name] ?? 0)) / longest;
    drawing.append(svg("rect", { class: `phase ${name}`, x: x.toFixed(2), width: width.toFixed(2), y: 0, height: 10 }));
    x += width;
  }
  return drawing;
}

function note({ context }) {
  const { pending, firing, count, min_count: least } = context;
  const sentences = [];
  if (count !== null) sentences.push(`Judged on ${count.toLocaleString("en-US")} request${count === 1 ? "" : "s"}${least > 1 ? ` (${least} needed)` : ""}.`);
  if (pending !== null) sentences.push(`${pending.toLocaleString("en-US")} pending in its queue.`);
  const names = firing.slice(0, MAX_NAMES).map((other) => [other.name, groupText(other.labels)].filter(Boolean).join(" for "));
  if (firing.length > MAX_NAMES) names.push(`${firing.length - MAX_NAMES} more`);
  sentences.push(names.length ? `Also firing: ${names.join(", ")}.` : "Nothing else fires.");
  return element("p", { class: "context-note" }, sentences.join(" "));
}
