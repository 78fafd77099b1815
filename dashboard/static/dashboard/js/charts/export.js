// Pictures and files of a chart. A picture is drawn again at twice the size on an opaque ground with a caption that says
// what it shows; figures come from the export call, never from pixels.

import { moment } from "../format.js";
import { colour } from "./palette.js";

const SCALE = 2;
const HEAD_PX = 46;

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

export function caption(page) {
  const { from, to } = page.window;
  const filters = Object.entries(page.filters).map(([name, values]) => `${name} ${[values].flat().join(", ")}`);
  return [`${moment(from, true)} to ${moment(to, true)}`, ...filters].join(" · ");
}

export function savePicture(timeChart, title, page) {
  const source = timeChart.chart?.canvas ?? timeChart.canvas;
  if (!source) return;
  const width = source.clientWidth;
  const height = source.clientHeight;
  const picture = document.createElement("canvas");
  picture.width = width * SCALE;
  picture.height = (height + HEAD_PX) * SCALE;
  const ctx = picture.getContext("2d");
  ctx.scale(SCALE, SCALE);
  ctx.fillStyle = colour("card");
  ctx.fillRect(0, 0, width, height + HEAD_PX);
  ctx.fillStyle = colour("text");
  ctx.font = "640 14px Inter";
  ctx.fillText(title, 10, 20);
  ctx.fillStyle = colour("muted");
  ctx.font = "450 11.5px Inter";
  ctx.fillText(`${caption(page)} · LLM Monitor`, 10, 37);
  const chart = timeChart.chart;
  const ratio = chart.currentDevicePixelRatio;
  chart.options.devicePixelRatio = SCALE;
  chart.resize();
  ctx.drawImage(source, 0, HEAD_PX, width, height);
  chart.options.devicePixelRatio = ratio;
  chart.resize();
  download(picture.toDataURL("image/png"), fileName(title, page, "png"));
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
  download(`/export/history.${extension}?${search}`, "");
}
