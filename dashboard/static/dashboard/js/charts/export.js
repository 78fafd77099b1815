// Save a chart as a picture (PNG, SVG) or its values as a file (CSV, JSON). A picture has a head with the chart's title,
// time range, filters and legend. The values come from the export API.

import { historyFileUrl } from "../page/api.js";
import { moment } from "../page/format.js";
import { colour } from "./palette.js";
import { SvgContext } from "./svg-context.js";

const SCALE = 2;
const HEAD_PX = 46;
const LEGEND_PX = 20;

function download(url, name) {
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  document.body.append(link);
  link.click();
  link.remove();
}

function fileName(title, page, extension) {
  const { from, to } = page.window;
  const stamp = (ms) => new Date(ms).toISOString().slice(0, 16).replace(/[-:]/g, "");
  const model = (page.filters.model ?? ["all"]).join("-").replace(/[^\w.-]+/g, "_").slice(0, 60);
  return `llmmonitor_${title.toLowerCase().replace(/\W+/g, "-")}_${model}_${stamp(from)}_${stamp(to)}.${extension}`;
}

function caption(page) {
  const { from, to } = page.window;
  const filters = Object.entries(page.filters).map(([name, values]) => `${name} ${[values].flat().join(", ")}`);
  return [`${moment(from, true)} to ${moment(to, true)}`, ...filters].join(" · ");
}

const headHeight = (source) => HEAD_PX + (source.legend?.length ? LEGEND_PX : 0);

// Draw the background and the head.
function drawHead(ctx, width, height, title, page, source) {
  ctx.fillStyle = colour("card");
  ctx.fillRect(0, 0, width, height);
  ctx.textAlign = "left";
  ctx.textBaseline = "alphabetic";
  ctx.fillStyle = colour("text");
  ctx.font = "640 14px Inter";
  ctx.fillText(title, 12, 20);
  ctx.fillStyle = colour("muted");
  ctx.font = "450 11.5px Inter";
  ctx.fillText(`${caption(page)} · LLM Monitor`, 12, 37);
  let x = 12;
  for (const line of source.legend ?? []) {
    ctx.fillStyle = colour(line.colour);
    ctx.fillRect(x, 48, 14, 4);
    ctx.fillStyle = colour("muted");
    ctx.fillText(line.label, x + 20, 54);
    x += 36 + ctx.measureText(line.label).width;
  }
}

// `source`: {chart, config(), legend}: the chart on the page, its configuration, and the lines of its legend.
export function savePng(source, title, page) {
  const { chart } = source;
  if (!chart) return;
  const { canvas } = chart;
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  const head = headHeight(source);
  const picture = document.createElement("canvas");
  picture.width = width * SCALE;
  picture.height = (height + head) * SCALE;
  const ctx = picture.getContext("2d");
  ctx.scale(SCALE, SCALE);
  drawHead(ctx, width, height + head, title, page, source);
  const ratio = chart.currentDevicePixelRatio;
  chart.options.devicePixelRatio = SCALE;
  chart.resize();
  ctx.drawImage(canvas, 0, head, width, height);
  chart.options.devicePixelRatio = ratio;
  chart.resize();
  download(picture.toDataURL("image/png"), fileName(title, page, "png"));
}

function drawSvg(source, title, page) {
  const { canvas } = source.chart;
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  const head = headHeight(source);
  const ctx = new SvgContext(width, height + head, document.createElement("canvas").getContext("2d"), head);
  drawHead(ctx, width, height + head, title, page, source);
  ctx.beginChart();
  const config = source.config();
  config.platform = window.Chart.platforms.BasicPlatform;
  Object.assign(config.options, { responsive: false, animation: false, devicePixelRatio: 1, events: [] });
  config.options.plugins.tooltip = { enabled: false };
  for (const dataset of config.data.datasets) dataset.segment = {}; // otherwise Chart.js strokes lines with a Path2D
  const { overlays } = source.chart;
  config.plugins = [{ id: "overlays", beforeInit: (chart) => { chart.overlays = { ...overlays, brush: null }; } }, ...config.plugins];
  new window.Chart(ctx.canvas, config).destroy();
  return ctx.toString(`${title}, ${caption(page)}`, `LLM Monitor, created ${new Date(page.now()).toISOString()}`);
}

export function saveSvg(source, title, page) {
  if (!source.chart) return;
  const url = URL.createObjectURL(new Blob([drawSvg(source, title, page)], { type: "image/svg+xml" }));
  download(url, fileName(title, page, "svg"));
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

export function saveHistory(extension, metrics, page, groupBy) {
  const search = new URLSearchParams();
  for (const [metric, stat] of metrics) {
    search.append("metric", metric);
    search.append("stat", stat);
  }
  const { from, to } = page.window;
  search.set("from", new Date(from).toISOString());
  search.set("to", new Date(to).toISOString());
  search.set("step", String(page.series.step / 1000));
  if (groupBy) search.set("group_by", groupBy);
  for (const [name, values] of Object.entries(page.filters)) for (const value of [values].flat()) search.append(name, value);
  download(`${historyFileUrl(extension)}?${search}`, "");
}
