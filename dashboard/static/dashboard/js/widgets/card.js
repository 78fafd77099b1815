// The card of a chart: the current values in its head, its help, its menu, its table, and its description for screen
// readers.

import { saveHistory } from "../charts/export.js";
import { describeMarks } from "../charts/alert-marks.js";
import { annotationsAt, describeAnnotations, tableText } from "../charts/annotation-lines.js";
import { valuesAt } from "../charts/lines.js";
import { TimeChart } from "../charts/time-chart.js";
import { announce } from "../page/announce.js";
import { disclosure } from "../page/disclosure.js";
import { element, find, setText } from "../page/dom.js";
import { NO_DATA, moment, timeOfDay } from "../page/format.js";
import { drawLegend, mountFrame, valueTable } from "./chart-frame.js";
import { headValue } from "./head-value.js";
import { spanOfNewestStep, stepText } from "./head-span.js";
import { mountSwitch } from "./switch.js";

const DAY_MS = 86_400_000;
const TABLE_INTERVAL_MS = 10_000;
const DESCRIPTION_INTERVAL_MS = 5_000;
const MAX_VALUES = 4; // in the head and in the description

// Mount a chart over time with its card. `spec` is that of charts/time-chart.js, with:
//   isLevel: whether its values are levels, see head-value.js;
//   help: what the chart shows, in a few sentences; metrics: [[metric, stat], …], for the help and the files; groupBy;
//   fileTitle(): see chart-frame.js;
//   currentValues(time): [[label, value, fromWindow], …] for the head; `time` is that of the crosshair, or null. Without a
//   time they are those of the newest step, which the head says, unless `namesSpan` is true: then they are of the span of
//   the tiles, or say their own.
/** @param {HTMLElement} root
 *  @param {import("../live/page.js").Page} page
 *  @param {any} spec */
export function mountChart(root, page, spec) {
  checkSeries(page, spec);
  const chart = new TimeChart(root, page, spec);
  const titleOf = () => find(".card-title", root).textContent; // a chart can become that of another model
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
    describe(root, canvas, titleOf(), page, chart);
  };
  page.topics.on("cursor", drawHead);
  page.topics.on("cursor-by-key", (node) => node === canvas && announceValues(titleOf(), page, spec, chart));
  mountHelp(root, page, spec);
  let tableAt = 0;
  const table = mountFrame(root, page, {
    source: chart,
    drawTable: (target) => {
      tableAt = performance.now();
      target.replaceChildren(tableOf(page, spec, chart));
    },
    save: (extension, title) => saveHistory(extension, spec, page, title, chart.lines),
    fileTitle: spec.fileTitle,
    links: [
      { label: "Copy link to this range", onClick: () => copyLink(page, false), when: () => page.live },
      { label: "Copy link to this moment", onClick: () => copyLink(page, true) },
    ],
  });
  page.topics.on("data", table.draw);
  page.topics.on("tick", () => page.live && performance.now() - tableAt > TABLE_INTERVAL_MS && table.draw());
  mountScale(root, chart);
}

// The values for the head: [label, value, fromWindow]. Empty where no value is known and there is no crosshair.
function headValues(page, spec, chart, time) {
  const values = spec.currentValues ? spec.currentValues(time) : lineValues(page, chart, time);
  if (time === null && !values.some(([, value]) => value && value !== NO_DATA)) return [];
  if (values.some(([, , fromWindow]) => fromWindow)) return [...values, [` in ${page.params.span}`, ""]];
  return time !== null || spec.namesSpan ? values : [[spanOfNewestStep({ live: page.live, step: page.series.step }), ""], ...values];
}

// The newest value of each line, or the value under the crosshair.
function lineValues(page, { lines, spec }, time) {
  return lines.filter(({ isBefore }) => !isBefore).slice(0, MAX_VALUES).map(({ label, points }) => [label, spec.format(headValue(page, points, time, spec))]);
}

// Draw [label, value] pairs. A label that starts with a space continues the pair before. Each pair is an element of its own, so that
// one without room is left out as a whole: half a figure would be a wrong one.
export function drawValues(target, values, time, page) {
  const pairs = [];
  for (const [label, value] of values) {
    if (!pairs.length) pairs.push(element("span", { class: "pair" }));
    else if (!label.startsWith(" ")) pairs.push(element("span", { class: "pair" }, " · "));
    pairs.at(-1).append(label, label && value ? " " : "", value ? element("b", {}, value) : "");
  }
  if (time !== null) {
    const { from, to } = page.window;
    pairs.push(element("span", { class: "pair" }, ` at ${moment(time, to - from > DAY_MS)}`));
  }
  const text = pairs.map((pair) => pair.textContent).join("");
  if (target.textContent !== text) target.replaceChildren(...pairs);
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

// `step()`: see `saveHistory`.
export function mountHelp(root, page, { help, metrics, step = () => page.series.step }) {
  const panel = element("div", { class: "popover info-popover", hidden: true });
  root.append(panel);
  disclosure(find("[data-info]", root), panel, {
    onOpen() {
      const names = [...new Set(metrics.map(([metric]) => metric))];
      panel.replaceChildren(
        element("p", {}, help),
        element("p", {}, element("code", {}, names.join(", "))),
        element("p", { class: "muted" }, `One point per ${stepText(step() / 1000)}. Percentiles are accurate to 1.1 %.`),
      );
    },
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

// The table with all values of the chart.
function tableOf(page, spec, { lines, annotations: all }) {
  const { from, to } = page.window;
  const { step } = page.series;
  const longest = lines.reduce((points, line) => (line.points.length > points.length ? line.points : points), []);
  const annotations = all.filter(({ time }) => time >= from && time < to);
  const notes = (x) => tableText(annotationsAt(annotations, x, step).filter(({ time }) => time >= x));
  return valueTable(
    ["Time", ...lines.map(({ label }) => label), ...(annotations.length ? ["Annotations"] : [])],
    longest.toReversed().map(({ x }) => [
      moment(x, to - from > DAY_MS),
      ...valuesAt(lines, x, step).map(spec.format),
      ...(annotations.length ? [notes(x)] : []),
    ]),
  );
}
