// The distribution of a metric: a pane for each of the busiest models, with one scale. Bars are shares of the model's
// requests; the outline is the window before. The bars are those of the server, so their counts add up to the requests.

import { savePng, saveSvg } from "../charts/export.js";
import { heights, linearEnd, logTicks } from "../charts/histogram-scale.js";
import { tooltip } from "../charts/options.js";
import { colour, lineStyle, withAlpha } from "../charts/palette.js";
import { parameter, replaceAddress } from "../live/address.js";
import { element, find, setText } from "../page/dom.js";
import { nextFrame } from "../page/scheduling.js";
import { mountHelp, mountMenu } from "./card.js";

const share = (part) => `${(100 * part).toPrecision(part && part < 0.0995 ? 2 : 3)} %`;
const font = { family: "Inter", size: 11.5, weight: 450 };

// `spec`: help, read(): the data of dashboard/chart_histogram.py, format(value), formatTick(value), emptyText, and
// `onBar({model, low, high})` for a click on a bar.
export function mountHistogram(root, page, spec) {
  const canvas = find("canvas", root);
  const title = find(".card-title", root).textContent;
  const name = `${root.dataset.widget}-scale`;
  const scale = find("[data-linear]", root);
  let linear = parameter(name) === "lin";
  let chart = null;
  let drawn = "";

  const data = () => spec.read() ?? { edges: [], models: [] };
  const config = () => chartConfig(data(), page, spec, linear);
  const draw = (force = false) => nextFrame(() => {
    const key = JSON.stringify([data(), linear]);
    if (!force && key === drawn) return;
    drawn = key;
    chart?.destroy();
    chart = new window.Chart(canvas, config());
    const { models } = data();
    const empty = find("[data-empty]", root);
    empty.hidden = models.some(({ count }) => count > 0);
    if (!empty.hidden) setText(empty, spec.emptyText);
    canvas.setAttribute("aria-label", `${title}. ${models.map((model) => `${model.name}: ${summary(model, spec)}`).join(". ")}`);
    if (!table.hidden) drawTable();
  });
  const table = find("[data-table]", root);
  const drawTable = () => {
    const { edges, models } = data();
    const head = element("tr", {}, element("th", { scope: "col" }, "From"), element("th", { scope: "col" }, "To"),
      ...models.map((model) => element("th", { scope: "col", class: "figure" }, element("bdi", {}, model.name))));
    const rows = edges.slice(1).map((high, bar) => element("tr", {},
      element("th", { scope: "row" }, spec.format(edges[bar])), element("td", {}, spec.format(high)),
      ...models.map(({ counts }) => element("td", { class: "figure" }, counts[bar].toLocaleString("en-US")))));
    table.replaceChildren(element("table", { class: "table" }, element("thead", {}, head), element("tbody", {}, ...rows)));
  };
  const setLinear = (on) => {
    linear = on;
    scale.setAttribute("aria-pressed", String(on));
  };
  setLinear(linear);
  scale.addEventListener("click", () => {
    setLinear(!linear);
    replaceAddress({ set: { [name]: linear ? "lin" : null } });
    draw();
  });
  canvas.addEventListener("click", (event) => {
    const bar = spec.onBar && chart ? barAt(chart, event, data()) : null;
    if (bar) spec.onBar(bar);
  });
  for (const topic of ["data", "figures"]) page.topics.on(topic, () => draw());
  page.topics.on("theme", () => draw(true));
  mountHelp(root, page, { help: spec.help, metrics: [[spec.metric, "count"]] });
  const source = { get chart() { return chart; }, config };
  mountMenu(root, [
    { label: "Save as PNG", onClick: () => savePng(source, title, page) },
    { label: "Save as SVG", onClick: () => saveSvg(source, title, page) },
    null,
    {
      label: () => (table.hidden ? "View as table" : "Hide the table"),
      onClick: () => {
        table.hidden = !table.hidden;
        if (table.hidden) table.replaceChildren();
        else drawTable();
      },
    },
  ]);
  draw();
}

const summary = ({ count, p50, p95 }, { format }) =>
  `${count.toLocaleString("en-US")} · P50 ${format(p50)} · P95 ${format(p95)}`;

// The bar of a model under the pointer.
function barAt(chart, event, { edges, models }) {
  const [item] = chart.getElementsAtEventForMode(event, "nearest", { intersect: true }, false);
  const set = item ? chart.data.datasets[item.datasetIndex] : null;
  if (!set || set.type !== "bar") return null;
  const { bar } = set.data[item.index];
  return { model: models[set.number].name, low: edges[bar], high: edges[bar + 1] };
}

function chartConfig({ edges, models }, page, spec, linear) {
  const shown = models.filter(({ count }) => count > 0);
  const end = linear ? linearEnd(edges, shown) : edges.length - 1;
  const middle = (bar) => (linear ? (edges[bar] + edges[bar + 1]) / 2 : bar + 0.5);
  const bars = edges.slice(1).map((_, bar) => bar);
  const points = (counts) => {
    const values = heights(edges, counts, linear);
    return bars.map((bar) => ({ x: middle(bar), y: values[bar], bar }));
  };
  const datasets = shown.flatMap((model) => {
    const hue = colour(lineStyle("model", model.name).colour);
    const axis = `pane${models.indexOf(model)}`;
    const outline = model.before ? stepped(edges, heights(edges, model.before, linear), linear) : [];
    return [
      { type: "line", yAxisID: axis, data: outline, borderColor: colour("muted"), borderWidth: 1, pointRadius: 0, pointHoverRadius: 0, pointHitRadius: 0, fill: false, number: -1 },
      { type: "bar", yAxisID: axis, data: points(model.counts), backgroundColor: withAlpha(hue, 0.82), grouped: false, barPercentage: 1, categoryPercentage: 0.94, number: models.indexOf(model), model },
    ];
  });
  const panes = Object.fromEntries(shown.toReversed().map((model) => [`pane${models.indexOf(model)}`, {
    type: "linear", stack: "panes", stackWeight: 1, offset: true, min: 0, grace: "30%",
    border: { display: false }, grid: { display: false }, ticks: { display: false },
  }]));
  return {
    type: "bar",
    data: { datasets },
    plugins: [paneLabels(shown, models, spec)],
    options: {
      animation: false, responsive: true, maintainAspectRatio: false, parsing: false, normalized: true,
      interaction: { mode: "nearest", intersect: true },
      layout: { padding: { top: 4, right: 10, left: 10 } },
      scales: {
        x: {
          type: "linear", min: 0, max: Math.max(end, 1e-9), offset: false,
          border: { display: false }, grid: { color: colour("line-soft"), drawTicks: false },
          afterBuildTicks: (axis) => {
            if (linear) return;
            axis.ticks = logTicks(edges, axis.chart.width < 340 ? 4 : 6).map(({ position, value }) => ({ value: position, label: spec.formatTick(value, value) }));
          },
          ticks: {
            color: colour("muted"), font, maxRotation: 0, autoSkip: linear, maxTicksLimit: 6,
            callback: (value, index, ticks) => (linear ? spec.formatTick(value, end) : ticks[index].label),
          },
        },
        ...panes,
      },
      plugins: {
        legend: { display: false },
        tooltip: tooltip({
          title: ([item]) => (item?.raw.bar === undefined ? "" : `${spec.format(edges[item.raw.bar])} – ${spec.format(edges[item.raw.bar + 1])}`),
          label: ({ dataset, raw }) => (dataset.model
            ? ` ${dataset.model.name}  ${dataset.model.counts[raw.bar].toLocaleString("en-US")} requests, ${share(dataset.model.counts[raw.bar] / dataset.model.count)}` : ""),
        }),
      },
    },
  };
}

// The outline of bars, as points of a line.
function stepped(edges, values, linear) {
  const at = (edge) => (linear ? edges[edge] : edge);
  return values.flatMap((y, bar) => [{ x: at(bar), y }, { x: at(bar + 1), y }]);
}

// The name and the figures of each model, above its pane.
function paneLabels(shown, models, spec) {
  return {
    id: "paneLabels",
    afterDatasetsDraw({ ctx, scales, chartArea }) {
      ctx.save();
      ctx.textBaseline = "top";
      for (const model of shown) {
        const pane = scales[`pane${models.indexOf(model)}`];
        if (!pane) continue;
        ctx.textAlign = "left";
        ctx.fillStyle = colour(lineStyle("model", model.name).colour);
        ctx.fillRect(chartArea.left, pane.top + 3, 9, 9);
        ctx.fillStyle = colour("text");
        ctx.font = "600 12px Inter";
        const half = chartArea.width / 2;
        ctx.fillText(shortened(ctx, model.name, half - 20), chartArea.left + 15, pane.top + 2);
        ctx.textAlign = "right";
        ctx.fillStyle = colour("muted");
        ctx.font = "450 11.5px Inter";
        ctx.fillText(`P50 ${spec.format(model.p50)} · P95 ${spec.format(model.p95)}`, chartArea.right, pane.top + 2);
      }
      ctx.restore();
    },
  };
}

function shortened(ctx, name, width) {
  if (ctx.measureText(name).width <= width) return name;
  let length = name.length;
  while (length > 1 && ctx.measureText(`${name.slice(0, length)}…`).width > width) length -= 1;
  return `${name.slice(0, length)}…`;
}
