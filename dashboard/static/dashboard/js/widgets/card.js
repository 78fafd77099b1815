// The card of a chart: the current values in its head, its help, its menu, its table, and its description for screen
// readers.

import { saveHistory, savePng, saveSvg } from "../charts/export.js";
import { describeMarks } from "../charts/alert-marks.js";
import { annotationsAt, describeAnnotations, tableText } from "../charts/annotation-lines.js";
import { TimeChart } from "../charts/time-chart.js";
import { lastValue, valueAt } from "../live/series.js";
import { announce } from "../page/announce.js";
import { disclosure } from "../page/disclosure.js";
import { element, find, setText, svg } from "../page/dom.js";
import { NO_DATA, moment, timeOfDay } from "../page/format.js";
import { mountSwitch } from "./switch.js";

const DAY_MS = 86_400_000;
const TABLE_INTERVAL_MS = 10_000;
const DESCRIPTION_INTERVAL_MS = 5_000;
const MAX_VALUES = 4; // in the head and in the description

// Mount a chart over time with its card. `spec` is that of charts/time-chart.js, with:
//   help: what the chart shows, in a few sentences; metrics: [[metric, stat], …], for the help and the files; groupBy,
//   currentValues(time): [[label, value, fromWindow], …] for the head; `time` is that of the crosshair, or null.
/** @param {HTMLElement} root
 *  @param {import("../live/page.js").Page} page
 *  @param {any} spec */
export function mountChart(root, page, spec) {
  checkSeries(page, spec);
  const chart = new TimeChart(root, page, spec);
  const title = find(".card-title", root).textContent;
  const canvas = find("canvas", root);
  let describedAt = -Infinity;
  // The tooltip has the values under the pointer, so the head of this chart keeps the newest.
  const headTime = () => (!page.cursor.pinned && canvas.matches(":hover") ? null : page.cursor.time);
  const drawHead = () => {
    const time = headTime();
    drawValues(find("[data-values]", root), headValues(page, spec, chart, time), time, page);
  };
  chart.onDraw = () => {
    drawHead();
    drawLegend(find("[data-legend]", root), chart.legend);
    if (performance.now() - describedAt < DESCRIPTION_INTERVAL_MS) return;
    describedAt = performance.now();
    describe(root, canvas, title, page, chart);
  };
  page.topics.on("cursor", drawHead);
  page.topics.on("cursor-by-key", (node) => node === canvas && announceValues(title, page, spec, chart));
  mountHelp(root, page, spec);
  const table = mountTable(root, page, spec, chart);
  mountMenu(root, [
    { label: "Save as PNG", onClick: () => savePng(chart, title, page) },
    { label: "Save as SVG", onClick: () => saveSvg(chart, title, page) },
    { label: "Save as CSV", onClick: () => saveHistory("csv", spec.metrics, page, spec.groupBy, title) },
    { label: "Save as JSON", onClick: () => saveHistory("json", spec.metrics, page, spec.groupBy, title) },
    null,
    { label: "Copy link to this range", onClick: () => copyLink(page, false), when: () => page.rolling },
    { label: "Copy link to this moment", onClick: () => copyLink(page, true) },
    null,
    { label: () => (table.isOpen ? "Hide the table" : "View as table"), onClick: () => table.toggle() },
    { label: "Enlarge", onClick: () => enlarge(root, chart) },
  ]);
  mountScale(root, chart);
  root.addEventListener("card-enlarge", () => enlarge(root, chart));
}

// The values for the head: [label, value, fromWindow]. Empty where no value is known and there is no crosshair.
function headValues(page, spec, chart, time) {
  const values = spec.currentValues ? spec.currentValues(time) : lineValues(page, chart, time);
  if (time === null && !values.some(([, value]) => value && value !== NO_DATA)) return [];
  return values.some(([, , fromWindow]) => fromWindow) ? [...values, [` in ${page.params.span}`, ""]] : values;
}

// The newest value of each line, or the value under the crosshair.
function lineValues(page, { lines, spec }, time) {
  return lines.filter(({ isBefore }) => !isBefore).slice(0, MAX_VALUES).map(({ label, points }) => {
    const value = time === null ? lastValue(points) : valueAt(points, time, page.series.step);
    return [label, spec.format(value)];
  });
}

// Draw [label, value] pairs. A label that starts with a space continues the pair before.
export function drawValues(target, values, time, page) {
  const parts = values.flatMap(([label, value], index) => [
    index && !label.startsWith(" ") ? " · " : "",
    label ? `${label} ` : "",
    value ? element("b", {}, value) : "",
  ]);
  if (time !== null) {
    const { from, to } = page.window;
    parts.push(` at ${moment(time, to - from > DAY_MS)}`);
  }
  const text = parts.map((part) => part.textContent ?? part).join("");
  if (target.textContent !== text) target.replaceChildren(...parts);
}

function drawLegend(target, lines) {
  const key = lines.map(({ label, colour }) => `${label}:${colour}`).join("|");
  if (target.dataset.drawn === key) return;
  target.dataset.drawn = key;
  target.hidden = lines.length === 0;
  target.replaceChildren(
    ...lines.map(({ label, colour, dash, square }) =>
      element("span", {},
        svg("svg", { viewBox: "0 0 16 8", "aria-hidden": "true" },
          square
            ? svg("rect", { x: 1, y: 0, width: 14, height: 8, rx: 2, class: `key ${colour}` })
            : svg("path", { d: "M0 4H16", class: `key ${colour}`, "stroke-dasharray": (dash ?? []).join(" ") })),
        element("bdi", { title: label }, label))),
  );
}

function describe(root, canvas, title, page, chart) {
  const values = lineValues(page, chart, null).map(([label, value]) => `${label} ${value}`).join(", ");
  const trends = chart.lines.slice(0, MAX_VALUES).map(({ label, points }) => `${label} ${trend(points)}`).join(", ");
  canvas.setAttribute("aria-label", `${title}: ${values}. ${trends}.${describeMarks(chart.marks)}${describeAnnotations(chart.annotations, page.window)}`);
  setText(find("[data-description]", root), `${title} for ${page.params.span}. To see all values, choose “View as table” in the menu.`);
}

function trend(points) {
  const values = points.map(({ y }) => y).filter((y) => y !== null);
  if (values.length < 4) return "without a clear trend";
  const average = (part) => part.reduce((sum, value) => sum + value, 0) / part.length;
  const half = Math.floor(values.length / 2);
  const [before, after] = [average(values.slice(0, half)), average(values.slice(half))];
  if (Math.abs(after - before) <= 0.1 * Math.abs(before)) return "steady";
  return after > before ? "rising" : "falling";
}

function announceValues(title, page, spec, chart) {
  const values = headValues(page, spec, chart, page.cursor.time).map(([label, value]) => `${label} ${value}`).join(", ");
  // Without the delay of `announce`, because the user pressed a key for it.
  setText(document.getElementById("announcer"), `${title} at ${timeOfDay(page.cursor.time)}: ${values}`);
}

// A chart of a series that the server does not send would be empty without an error.
function checkSeries(page, { metrics, groupBy = "" }) {
  const sent = ([metric, stat]) => page.specs.some((spec) =>
    spec.metric === metric && spec.stat === stat && String(spec.group_by) === groupBy);
  const missing = metrics.filter((series) => !sent(series));
  if (missing.length) throw new Error(`The server does not send these series: ${missing.join("; ")}`);
}

export function mountHelp(root, page, { help, metrics }) {
  const panel = element("div", { class: "popover info-popover", hidden: true });
  root.append(panel);
  disclosure(find("[data-info]", root), panel, {
    onOpen() {
      const names = [...new Set(metrics.map(([metric]) => metric))];
      const step = stepText(page.series.step / 1000);
      panel.replaceChildren(
        element("p", {}, help),
        element("p", {}, element("code", {}, names.join(", "))),
        element("p", { class: "muted" }, `One point per ${step}. Percentiles are accurate to 1.1 %.`),
      );
    },
  });
}

// "minute", "30 seconds", to follow "per".
export function stepText(seconds) {
  if (seconds === 1) return "second";
  if (seconds < 60) return `${seconds} seconds`;
  if (seconds === 60) return "minute";
  if (seconds < 3600) return `${seconds / 60} minutes`;
  return seconds === 3600 ? "hour" : `${seconds / 3600} hours`;
}

// `items`: {label, onClick, when}, or null for a separator.
export function mountMenu(root, items) {
  const panel = element("div", { class: "popover menu", role: "menu", hidden: true });
  root.append(panel);
  const menu = disclosure(find("[data-menu]", root), panel, {
    onOpen() {
      panel.replaceChildren(...items.filter((item) => !item?.when || item.when()).map(menuItem));
      find("button", panel).focus();
    },
  });
  const menuItem = (item) => {
    if (item === null) return element("hr");
    const onClick = () => {
      menu.close(true);
      item.onClick();
    };
    const label = typeof item.label === "function" ? item.label() : item.label;
    return element("button", { type: "button", role: "menuitem", on: { click: onClick } }, label);
  };
  panel.addEventListener("keydown", (event) => {
    if (!["ArrowDown", "ArrowUp"].includes(event.key)) return;
    event.preventDefault();
    const buttons = [...panel.querySelectorAll("button")];
    const step = event.key === "ArrowDown" ? 1 : -1;
    buttons[(buttons.indexOf(document.activeElement) + step + buttons.length) % buttons.length].focus();
  });
}

// The switch between a linear and a logarithmic scale.
function mountScale(root, chart) {
  if (!("scale" in root.dataset)) return;
  const scale = mountSwitch(root, {
    name: "y",
    label: "Scale",
    options: [{ name: "lin", label: "lin", title: "Linear scale" }, { name: "log", label: "log", title: "Logarithmic scale" }],
    onChange: (value) => chart.setLogarithmic(value === "log"),
  });
  if (scale.value === "log") chart.setLogarithmic(true);
}

async function copyLink(page, absolute) {
  const url = new URL(location.href);
  if (absolute) {
    const { from, to } = page.window;
    url.searchParams.delete("range");
    url.searchParams.set("from", new Date(from).toISOString());
    url.searchParams.set("to", new Date(to).toISOString());
  }
  await navigator.clipboard?.writeText(url.href);
  announce("Link copied");
}

// The table with all values of the chart. It is drawn only while it is open.
function mountTable(root, page, spec, chart) {
  const target = find("[data-table]", root);
  let drawnAt = 0;
  const draw = () => {
    drawnAt = performance.now();
    const { lines } = chart;
    const { from, to } = page.window;
    const longest = lines.reduce((points, line) => (line.points.length > points.length ? line.points : points), []);
    const { step } = page.series;
    const annotations = chart.annotations.filter(({ time }) => time >= from && time < to);
    const notes = (x) => (annotations.length
      ? [element("td", {}, tableText(annotationsAt(annotations, x, step).filter(({ time }) => time >= x)))] : []);
    const rows = longest.toReversed().map(({ x }) =>
      element("tr", {},
        element("th", { scope: "row" }, moment(x, to - from > DAY_MS)),
        ...lines.map(({ points }) => element("td", { class: "figure" }, spec.format(valueAt(points, x, step)))),
        ...notes(x)));
    target.replaceChildren(
      element("table", { class: "table" },
        element("thead", {}, element("tr", {}, element("th", { scope: "col" }, "Time"),
          ...lines.map(({ label }) => element("th", { scope: "col", class: "figure" }, label)),
          ...(annotations.length ? [element("th", { scope: "col" }, "Annotations")] : []))),
        element("tbody", {}, ...rows)));
  };
  const table = {
    get isOpen() {
      return !target.hidden;
    },
    toggle() {
      target.hidden = !target.hidden;
      if (table.isOpen) {
        draw();
        target.tabIndex = 0;
        target.focus();
      } else {
        target.replaceChildren();
      }
      chart.draw();
    },
  };
  page.topics.on("data", () => table.isOpen && draw());
  page.topics.on("tick", () => table.isOpen && page.live && performance.now() - drawnAt > TABLE_INTERVAL_MS && draw());
  return table;
}

// Move the card into a dialog until the dialog is closed.
export function enlarge(root, chart) {
  const dialog = find("#enlarged");
  if (dialog.open) return;
  const placeholder = element("div", { class: root.className, "aria-hidden": "true" }); // keeps the card's place in the grid
  root.before(placeholder);
  find(".enlarged-body", dialog).append(root);
  root.classList.add("is-enlarged");
  dialog.addEventListener("close", () => {
    root.classList.remove("is-enlarged");
    placeholder.replaceWith(root);
    chart.rebuild();
  }, { once: true });
  dialog.showModal();
  chart.rebuild();
}
