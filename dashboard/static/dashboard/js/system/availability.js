// When the monitor and the machines were up: a row of boxes for each, one box a day.

import { element, find } from "../page/dom.js";
import { dayOfMonth, moment, thresholdText } from "../page/format.js";
import { daysUntil, partsOfDay } from "./days.js";

const DAYS = 30;
const WORDS = { up: "up", down: "down", unknown: "not known" };
const lengthOf = (ms) => thresholdText(ms, "ms"); // "49 s", not "49.0 s"

export function mountAvailability(root, page) {
  const target = find("[data-rows]", root);
  let drawn = "";
  const draw = () => {
    const rows = page.data.availability ?? [];
    const state = JSON.stringify(rows.map((row) => ({ ...row, until: Math.floor(row.until / 60_000) })));
    if (state === drawn) return;
    drawn = state;
    target.replaceChildren(...(rows.length ? [...rows.map((row) => rowOf(row, rows[0].until)), axis(rows[0]), legend()] : [element("p", { class: "muted" }, "Nothing is known yet.")]));
  };
  for (const topic of ["data", "figures"]) page.topics.on(topic, draw);
  draw();
}

// `until`: the end of the days, which is later than that of the row where its demo data has ended.
function rowOf(row, until) {
  const name = row.name || "Monitor";
  const share = row.percent === null ? "—" : exactPercent(row.percent);
  const downtime = describe(row);
  return element("div", { class: "availability-row" },
    element("span", { class: "availability-name" }, element("bdi", { title: name }, name), row.is_demo ? element("span", { class: "muted" }, " demo") : ""),
    element("div", { class: "availability-days", role: "img", "aria-label": `${name}: ${share} available, ${downtime}` },
      ...daysUntil(until, DAYS).map((day) => boxOf(day, row))),
    element("b", { class: "figure" }, share),
    element("span", { class: "muted availability-text" }, downtime));
}

function boxOf(day, row) {
  const parts = partsOfDay(day, row);
  const told = parts.filter(({ state }) => state !== "up").map(({ state, from, to }) => `${WORDS[state]} ${moment(from, false)} for ${lengthOf(to - from)}`);
  const box = element("span", { class: "day", title: [dayOfMonth(day.from), ...(parts.length ? told : ["not yet watched"])].join(", ") });
  for (const { state, left, width } of parts) {
    const part = element("span", { class: `day-${state}` });
    Object.assign(part.style, { left: `${left}%`, width: `${width}%` });
    box.append(part);
  }
  return box;
}

// "99.98 %": with two decimals, because a minute a month is 0.002 %. Never rounded up to 100.
function exactPercent(value) {
  return value > 99.99 && value < 100 ? "99.99\u00a0%" : value === 100 ? "100\u00a0%" : `${value.toFixed(2)}\u00a0%`;
}

function describe({ outages, down_seconds: downSeconds, unknown_seconds: unknownSeconds }) {
  const times = outages === 1 ? "once" : `${outages} times`;
  const parts = outages ? [times, lengthOf(1000 * downSeconds)] : ["never down"];
  if (unknownSeconds) parts.push(`${lengthOf(1000 * unknownSeconds)} not known`);
  return parts.join(", ");
}

function axis({ until }) {
  const days = daysUntil(until, DAYS);
  const labels = [0, 10, 20, DAYS - 1].map((index) => {
    const label = element("span", {}, index === DAYS - 1 ? "today" : dayOfMonth(days[index].from));
    label.style.gridColumn = String(index + 1);
    return label;
  });
  return element("div", { class: "availability-row availability-axis muted", "aria-hidden": "true" }, element("span"), element("div", { class: "availability-labels" }, ...labels));
}

const legend = () => element("p", { class: "availability-legend muted", "aria-hidden": "true" },
  ...Object.entries(WORDS).flatMap(([state, word]) => [element("i", { class: `day-${state}` }), word]), element("i", { class: "day-none" }), "not watched");
