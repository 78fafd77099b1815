// The history of alerts: a row for each rule and group that was pending or firing in the time range, with a bar for each
// alert. The pointer or the arrow keys open the card of an alert; a click or Enter zooms the page to it.

import { timeTicks } from "../charts/options.js";
import { element, find, setText, svg } from "../page/dom.js";
import { dayOfMonth, hourAndMinute, whole, thresholdText, valueText } from "../page/format.js";
import { collected, perFrame } from "../page/scheduling.js";
import { fileLinks, mountList } from "./list.js";
import { elapsed, glyph, group, groupText, since, spanText, stateOf } from "../alerts/words.js";

const HEIGHT = 26;
const LEAST_PX = { firing: 3, pending: 2 };
const DAY_MS = 86_400_000;
const TICK_PX = 96;
const MOST_SHARE = 1.4; // of the threshold: the top of a lane
const ZOOM = 0.25; // of an alert's length, before and after it
const CHANGES_MS = 2_000; // many alerts may change with one evaluation
const LEAST_ZOOM_MS = 300_000;

export function mount(root, page) {
  const rows = find("[data-rows]", root);
  const axis = find("[data-axis]", root);
  const card = find("[data-card]", root);
  const draw = perFrame(() => {
    const { timeline } = page.data;
    const { from, to } = page.window;
    const scale = { from, to, now: page.now(), width: find("[data-scale]", root).clientWidth };
    if (!(scale.width > 0)) return;
    const focused = document.activeElement?.closest("[data-bar]")?.getAttribute("data-bar");
    drawAxis(axis, scale);
    rows.replaceChildren(...timeline.rows.map((row) => createRow(row, scale, page, show)));
    setText(find("[data-values]", root), headText(timeline, page));
    find("[data-note]", root).replaceChildren(...noteContent(timeline, page));
    const bars = [...rows.querySelectorAll("[data-bar]")];
    (bars.find(({ dataset }) => dataset.bar === focused) ?? bars.at(0))?.setAttribute("tabindex", "0");
    if (focused) bars.find(({ dataset }) => dataset.bar === focused)?.focus();
  });
  const show = (bar, row, alert) => {
    card.hidden = !bar;
    if (!bar) return;
    card.replaceChildren(...cardContent(row, alert, page));
    const [area, place] = [root.getBoundingClientRect(), bar.getBoundingClientRect()];
    const left = Math.max(8, Math.min(place.left - area.left + place.width + 10, area.width - card.offsetWidth - 8));
    const below = place.bottom - area.top + 8;
    card.style.left = `${left}px`;
    card.style.top = `${below + card.offsetHeight > area.height ? Math.max(8, place.top - area.top - card.offsetHeight - 8) : below}px`;
  };
  mountList(root, page);
  rows.addEventListener("keydown", (event) => move(event, rows));
  root.addEventListener("keydown", (event) => event.key === "Escape" && show(null));
  for (const topic of ["data", "pause", "theme"]) page.topics.on(topic, draw);
  let drawnAt = 0;
  page.topics.on("second", () => {
    if (!page.live || performance.now() - drawnAt < stepMs(page) || root.matches(":focus-within")) return;
    drawnAt = performance.now();
    draw();
  });
  const loadSoon = collected(() => page.live && !document.hidden && page.load({ quiet: true }), CHANGES_MS);
  for (const topic of ["alert", "alerts-changed"]) page.topics.on(topic, loadSoon);
  new ResizeObserver(draw).observe(root);
  draw();
}

// How long the drawing takes to move by a pixel.
const stepMs = (page) => Math.max(1_000, (page.window.to - page.window.from) / 800);

function drawAxis(target, { from, to, width }) {
  const ticks = timeTicks(from, to, Math.max(2, Math.floor(width / TICK_PX)));
  const label = (ms) => (to - from > 2 * DAY_MS || hourAndMinute(ms) === "00:00" ? dayOfMonth(ms) : hourAndMinute(ms));
  target.setAttribute("viewBox", `0 0 ${width} 20`);
  target.replaceChildren(...ticks.map(({ value }) =>
    svg("text", { class: "chart-label", x: (((value - from) / (to - from)) * width).toFixed(1), y: 14, "text-anchor": "middle" }, label(value))));
}

function createRow(row, scale, page, show) {
  const { width } = scale;
  const newest = row.alerts[0];
  const state = newest.ended_at ? "ok" : stateOf({ ...newest, state: newest.started_at ? "firing" : "pending" });
  const drawing = svg("svg", { class: "timeline-lane", viewBox: `0 0 ${width} ${HEIGHT}`, height: HEIGHT, preserveAspectRatio: "none" },
    svg("line", { class: "chart-grid", x1: 0, x2: width, y1: HEIGHT - 0.5, y2: HEIGHT - 0.5 }),
    ...(row.line ? [svg("line", { class: "share-limit", x1: 0, x2: width, y1: shareY(1), y2: shareY(1) }), svg("path", { class: "share-line", d: linePath(row.line, scale) })] : []),
    ...row.alerts.toReversed().map((alert) => createBar(row, alert, scale, page, show)).filter(Boolean));
  return element("li", { class: "timeline-row" },
    element("p", { class: "timeline-name" }, glyph(state, newest.severity), element("b", {}, row.name), group(row.labels, page)),
    drawing,
    element("p", { class: "timeline-total" }, `${page.data.timeline.alerts_not_read ? "≥ " : ""}${totalText(row, scale)}`));
}

// The height of a share of the threshold in a lane.
const shareY = (share) => (HEIGHT - 2 - (Math.min(MOST_SHARE, share) / MOST_SHARE) * (HEIGHT - 4)).toFixed(1);

function linePath({ start, step, values }, { from, to, width }) {
  let path = "";
  values.forEach((value, index) => {
    if (value === null) return;
    const x = ((start + (index + 0.5) * step - from) / (to - from)) * width;
    if (x >= 0 && x <= width) path += `${path && values[index - 1] !== null ? "L" : "M"}${x.toFixed(1)} ${shareY(value)}`;
  });
  return path || "M0 0";
}

function createBar(row, alert, { from, to, now, width }, page, show) {
  const end = alert.ended_at ? Date.parse(alert.ended_at) : now;
  const fired = alert.started_at ? Date.parse(alert.started_at) : end;
  const known = alert.acknowledged_at ? Math.min(end, Math.max(fired, Date.parse(alert.acknowledged_at))) : end;
  const x = (ms) => ((Math.min(to, Math.max(from, ms)) - from) / (to - from)) * width;
  const part = (kind, start, stop, least) => {
    if (stop <= from || start >= to || stop <= start) return null;
    const size = Math.max(least, x(stop) - x(start));
    return svg("rect", { class: `bar ${kind}`, x: Math.min(width - size, x(start)).toFixed(1), width: size.toFixed(1), y: 7, height: 12, rx: 2,
      ...(kind === "silenced" ? { fill: `url(#hatch-${alert.severity})` } : {}) });
  };
  const parts = [
    part("pending", Date.parse(alert.since), fired, LEAST_PX.pending),
    part(alert.silence ? "silenced" : "firing", fired, known, LEAST_PX.firing),
    part("acknowledged", known, end, LEAST_PX.firing),
  ].filter(Boolean);
  if (!parts.length) return null; // it has left the window since the data was loaded
  const [left, right] = [x(Date.parse(alert.since)), x(end)];
  const zoom = () => zoomTo(page, Date.parse(alert.since), end);
  const bar = svg("g", { class: `timeline-alert ${alert.severity}`, role: "button", tabindex: "-1", "data-bar": alert.id,
    "aria-label": `${row.name}, ${groupText(row.labels)}: ${spanText(alert, now)}. Press Enter to zoom in.` },
  svg("rect", { class: "hit", x: Math.max(0, left - 2).toFixed(1), width: (Math.min(width, right + 2) - Math.max(0, left - 2)).toFixed(1), y: 1, height: HEIGHT - 3, rx: 4 }),
  ...parts);
  bar.addEventListener("pointerenter", () => show(bar, row, alert));
  bar.addEventListener("pointerleave", () => show(null));
  bar.addEventListener("focus", () => show(bar, row, alert));
  bar.addEventListener("blur", () => show(null));
  bar.addEventListener("click", zoom);
  bar.addEventListener("keydown", (event) => ["Enter", " "].includes(event.key) && (event.preventDefault(), zoom()));
  return bar;
}

function zoomTo(page, start, end) {
  const margin = Math.max(LEAST_ZOOM_MS, (end - start) * ZOOM);
  page.showWindow(start - margin, end + margin);
}

// Arrow keys: left and right in the row, up and down to the rows beside it.
function move(event, rows) {
  const bar = event.target.closest("[data-bar]");
  const step = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
  if (!bar || !step) return;
  event.preventDefault();
  event.stopPropagation();
  const lanes = [...rows.querySelectorAll(".timeline-lane")].map((lane) => [...lane.querySelectorAll("[data-bar]")]);
  const lane = lanes.findIndex((bars) => bars.includes(bar));
  const index = lanes[lane].indexOf(bar) + step[1];
  const target = step[0] ? lanes[lane + step[0]]?.at(-1) : lanes[lane][index];
  if (!target) return;
  bar.setAttribute("tabindex", "-1");
  target.setAttribute("tabindex", "0");
  target.focus();
}

function cardContent(row, alert, page) {
  const now = page.now();
  const facts = [
    [alert.started_at ? "Fired" : "Pending", spanText(alert, now).replace(/^\w+ for /, "")],
    ["Peak", `${valueText(alert.peak, row.unit)}${alert.threshold === null ? "" : ` · threshold ${thresholdText(alert.threshold, row.unit)}`}`],
  ];
  if (alert.acknowledged_at) {
    const after = alert.started_at ? ` after ${elapsed(Date.parse(alert.acknowledged_at) - Date.parse(alert.started_at))}` : ` ${since(Date.parse(alert.acknowledged_at), now)}`;
    facts.push(["Acknowledged", `by ${alert.acknowledged_by ?? "somebody"}${after}${alert.note ? `: “${alert.note}”` : ""}`]);
  }
  if (alert.silence) facts.push(["Silenced", "no message, no sound"]);
  return [
    element("p", {}, glyph(alert.started_at ? "firing" : "pending", alert.severity), " ", element("b", {}, row.name), " ", group(row.labels, page)),
    element("dl", {}, ...facts.map(([name, value]) => element("div", {}, element("dt", {}, name), element("dd", {}, value)))),
  ];
}

// "2 × · 51 min": how often it fired, and for how long, within the time range.
function totalText(row, { from, to, now }) {
  const fired = row.alerts.filter((alert) => alert.started_at);
  if (!fired.length) return "never fired";
  const total = fired.reduce((sum, alert) => sum + firingMs(alert, from, Math.min(to, now)), 0);
  return `${fired.length} × · ${elapsed(total)}`;
}

function firingMs(alert, from, to) {
  const end = alert.ended_at ? Date.parse(alert.ended_at) : to;
  return Math.max(0, Math.min(end, to) - Math.max(Date.parse(alert.started_at), from));
}

function headText({ rows, alerts_omitted: omitted }, page) {
  const alerts = rows.flatMap((row) => row.alerts).filter((alert) => alert.started_at);
  const span = `in ${page.params.span}`;
  const more = omitted ? ` · ${whole(omitted).number} more not shown` : "";
  if (!alerts.length) return omitted ? more.slice(3) : `nothing fired ${span}`;
  const { from } = page.window;
  const longest = Math.max(...alerts.map((alert) => firingMs(alert, from, page.now())));
  const rules = new Set(rows.filter((row) => row.alerts.some((alert) => alert.started_at)).map((row) => row.rule)).size;
  const count = (number, noun) => `${number} ${noun}${number === 1 ? "" : "s"}`;
  return `${count(alerts.length, "alert")} of ${count(rules, "rule")} ${span} · the longest ${elapsed(longest)}${more}`;
}

function noteContent({ rows, alerts_omitted: omitted, groups_without: others }, page) {
  const file = fileLinks(page);
  const more = omitted ? [`Not shown: ${whole(omitted).number} alerts. Save all: `, file("alerts.csv"), " ", file("alerts.json"), ". "] : [];
  if (others <= 0) return more;
  const noun = `group${others === 1 ? "" : "s"} of ${page.data.evaluation.rules} rules`;
  return [...more, `${others} ${rows.length || omitted ? "more " : ""}${noun} had no alerts in ${page.params.span}.`];
}
