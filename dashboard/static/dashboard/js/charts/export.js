// Save a chart as a picture (PNG, SVG) or its values as a file (CSV, JSON). A picture has a head with the chart's title,
// time range, filters and legend. The values over time come from the export API.

import { exportHistory } from "../page/api.js";
import { captionOf } from "../page/caption.js";
import { localTime } from "../page/local-time.js";
import { colour } from "./palette.js";
import { SvgContext } from "./svg-context.js";

const SCALE = 2;
const MARGIN = 12;
const TOP_PX = 37;
const LINE_PX = 17;
const KEY_PX = 20; // with its distance to the label
const SMALL_FONT = "450 11.5px Inter";

function download(url, name) {
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  document.body.append(link);
  link.click();
  link.remove();
}

const safe = (text, most) => text.toLowerCase().replace(/[^\w.-]+/g, "-").replace(/^[-.]+|[-.]+$/g, "").slice(0, most);

// "llmmonitor_response-time_llama-3-70b_2026-11-24T1330_1h.png": the chart, the filters, the local time of the start, the range,
// and "demo" where there is demo data, because a table of values has no head that says so.
export function fileName(title, { window: { from, to }, filters, params, data }, extension) {
  const values = Object.values(filters).flat().map((value) => safe(value, 40)).join("+").slice(0, 80);
  const start = new Date(localTime(from)).toISOString().slice(0, 16).replace(":", "");
  return `${["llmmonitor", safe(title, 60), values, start, params.range ?? lengthText(to - from), data.demo?.present && "demo"].filter(Boolean).join("_")}.${extension}`;
}

/** @type {[string, number][]} */
const LENGTHS = [["d", 86_400], ["h", 3_600], ["m", 60]];

function lengthText(ms) {
  const seconds = Math.round(ms / 1000);
  for (const [unit, size] of LENGTHS) if (seconds >= size && seconds % size === 0) return `${seconds / size}${unit}`;
  return seconds >= 60 ? `${Math.round(seconds / 60)}m` : `${seconds}s`;
}

// The head: its lines of text, and the keys of the legend with their places, wrapped to the width, and its height. A line is
// one text, because a program that shows a drawing may lack the font, in which words were measured.
function layoutHead(ctx, width, title, page, source) {
  const room = width - 2 * MARGIN;
  ctx.font = SMALL_FONT;
  const widthOf = (text) => ctx.measureText(text).width;
  const lines = [""];
  for (const word of `${captionOf(page)} · LLM Monitor`.split(/(?<= )/)) {
    if (lines.at(-1) && widthOf(lines.at(-1) + word.trimEnd()) > room) lines.push("");
    lines[lines.length - 1] += word;
  }
  const parts = lines.map((text, index) => ({ text: text.trimEnd(), x: MARGIN, y: TOP_PX + index * LINE_PX, key: null }));
  let [x, y] = [0, parts.at(-1).y + LINE_PX];
  const { legend = [], legendTitle = "" } = source;
  for (const key of [...(legendTitle && legend.length ? [null] : []), ...legend]) {
    const text = key?.label ?? legendTitle;
    const taken = (key ? KEY_PX : 0) + widthOf(text);
    if (x && x + taken > room) [x, y] = [0, y + LINE_PX];
    parts.push({ text, x: MARGIN + x, y, key });
    x += taken + 16;
  }
  return { parts, height: parts.at(-1).y + 11 };
}

// Draw the background and the head.
function drawHead(ctx, width, height, title, { parts }) {
  ctx.fillStyle = colour("card");
  ctx.fillRect(0, 0, width, height);
  ctx.textAlign = "left";
  ctx.textBaseline = "alphabetic";
  ctx.fillStyle = colour("text");
  ctx.font = "640 14px Inter";
  ctx.fillText(title, MARGIN, 20);
  ctx.font = SMALL_FONT;
  for (const { text, x, y, key } of parts) {
    if (key) drawKey(ctx, x, y - 4, key);
    ctx.fillStyle = colour("muted");
    ctx.fillText(text, key ? x + KEY_PX : x, y);
  }
}

// The sign of a line or of an area in the legend.
function drawKey(ctx, x, y, { colour: name, paint, dash = [], fill, square, width = 2 }) {
  if (paint || fill || square) {
    ctx.fillStyle = paint ?? colour(name);
    ctx.fillRect(x, y - 4, 14, 8);
    return;
  }
  ctx.save();
  ctx.strokeStyle = colour(name);
  ctx.lineWidth = width;
  ctx.setLineDash(dash);
  ctx.beginPath();
  ctx.moveTo(x, y);
  ctx.lineTo(x + 14, y);
  ctx.stroke();
  ctx.restore();
}

// Draw the chart of the page once more, on a canvas of its own, so that the one on the page stays as it is. `prepare` changes the
// configuration. Returns the new chart.
function drawAgain(source, canvas, ratio, prepare = (config) => config) {
  const config = prepare(source.config());
  config.platform = window.Chart.platforms.BasicPlatform;
  Object.assign(config.options, { responsive: false, animation: false, devicePixelRatio: ratio, events: [], onResize: undefined });
  config.options.plugins.tooltip = { enabled: false };
  const { overlays } = source.chart;
  config.plugins = [{ id: "overlays", beforeInit: (chart) => { chart.overlays = { ...overlays, brush: null }; } }, ...config.plugins];
  return new window.Chart(canvas, config);
}

// `source`: {chart, config(), legend, legendTitle}: the chart on the page, its configuration, and the lines of its legend.
export function savePng(source, title, page) {
  if (!source.chart) return;
  const { clientWidth: width, clientHeight: height } = source.chart.canvas;
  const picture = document.createElement("canvas");
  const ctx = picture.getContext("2d");
  const layout = layoutHead(ctx, width, title, page, source);
  const head = layout.height;
  Object.assign(picture, { width: width * SCALE, height: (height + head) * SCALE });
  ctx.scale(SCALE, SCALE);
  drawHead(ctx, width, height + head, title, layout);
  const plot = Object.assign(document.createElement("canvas"), { width, height });
  const chart = drawAgain(source, plot, SCALE);
  ctx.drawImage(plot, 0, head, width, height);
  chart.destroy();
  download(picture.toDataURL("image/png"), fileName(title, page, "png"));
}

function drawSvg(source, title, page) {
  const { clientWidth: width, clientHeight: height } = source.chart.canvas;
  const ruler = document.createElement("canvas").getContext("2d");
  const layout = layoutHead(ruler, width, title, page, source);
  const head = layout.height;
  const ctx = new SvgContext(width, height + head, ruler, head);
  drawHead(ctx, width, height + head, title, layout);
  ctx.beginChart();
  drawAgain(source, ctx.canvas, 1, (config) => {
    for (const dataset of config.data.datasets) dataset.segment ??= {}; // otherwise Chart.js strokes lines with a Path2D
    return config;
  }).destroy();
  return ctx.toString(`${title}, ${captionOf(page)}`, `LLM Monitor, created ${new Date(page.now()).toISOString()}`);
}

export function saveSvg(source, title, page) {
  if (source.chart) saveFile(drawSvg(source, title, page), "image/svg+xml", fileName(title, page, "svg"));
}

function saveFile(content, type, name) {
  const url = URL.createObjectURL(new Blob([content], { type }));
  download(url, name);
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

// A cell as CSV. A spreadsheet would calculate a name that begins like a formula.
function csvCell(value) {
  const text = String(value ?? "");
  const guarded = typeof value === "string" && /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\n\r]/.test(guarded) ? `"${guarded.replaceAll('"', '""')}"` : guarded;
}

export const csvText = (rows) => rows.map((row) => `${row.map(csvCell).join(",")}\r\n`).join("");

// Save rows of values as CSV, the first row with the names of the columns.
export const saveRows = (rows, title, page) => saveFile(csvText(rows), "text/csv", fileName(title, page, "csv"));

export const saveJson = (data, title, page) => saveFile(JSON.stringify(data, null, 1), "application/json", fileName(title, page, "json"));

const COLUMNS = ["timestamp", "metric", "stat", "unit", "labels", "value"]; // of the export of series

// Save the values of series as the API has them, and those of the comparison. The file is named like the picture. `spec`:
// {metrics: [[metric, stat], …], groupBy, step()}, where `step` is that of lines that are not in `page.series`, in
// milliseconds; `lines`: those of the chart. In the file, `window` is "shown" or "before". Throws a Problem.
export async function saveHistory(extension, { metrics, groupBy, step = () => page.series.step }, page, title, lines = []) {
  const { from, to } = page.window;
  const compared = new Map(lines.filter(({ isBefore }) => isBefore).map(({ compared: { metric, stat } }) => [`${metric} ${stat}`, [metric, stat]]));
  const windows = [
    { name: "shown", query: historyQuery(metrics, groupBy, page, { from, to, step: step() }) },
    ...(compared.size ? [{ name: "before", query: historyQuery([...compared.values()], groupBy, page, { from: 2 * from - to, to: from, step: page.before.step }) }] : []),
  ];
  const rows = [];
  for (const { name, query } of windows) for (const row of await exportHistory(query)) rows.push({ ...row, window: name });
  if (extension === "json") saveJson(rows, title, page);
  else saveRows([[...COLUMNS, "window"], ...rows.map((row) => [...COLUMNS.map((name) => cellOf(row[name])), row.window])], title, page);
}

const cellOf = (value) => (value !== null && typeof value === "object" ? JSON.stringify(value) : value);

function historyQuery(metrics, groupBy, page, { from, to, step }) {
  const search = new URLSearchParams();
  for (const [metric, stat] of metrics) {
    search.append("metric", metric);
    search.append("stat", stat);
  }
  search.set("from", new Date(from).toISOString());
  search.set("to", new Date(to).toISOString());
  search.set("step", String(step / 1000));
  if (groupBy) search.set("group_by", groupBy);
  for (const [name, values] of Object.entries(page.filters)) for (const value of [values].flat()) search.append(name, value);
  return search;
}
