// Histograms of a value, one pane for each model over one axis: bars for the window, an outline for the window before.

import { barTicks, barsOf } from "../charts/bars.js";
import { saveJson, saveRows } from "../charts/export.js";
import { tooltip } from "../charts/options.js";
import { colour, lineStyle, withAlpha } from "../charts/palette.js";
import { find, setText } from "../page/dom.js";
import { percent, text } from "../page/format.js";
import { drawValues, mountHelp } from "./card.js";
import { drawInView, drawLegend, mountFrame, valueButton, valueTable } from "./chart-frame.js";
import { mountSwitch } from "./switch.js";

const PANE_PX = 92;
const AXIS_PX = 30;
const ROOM_FOR_NAME = 1.46; // the height of a pane, where its highest bar is 1
const MAX_NAME = 28; // characters
const KEYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const count = (value) => value.toLocaleString("en-US");
const share = (value) => text(percent(value));

// `spec`: read(): the histograms of the server, {models, log, linear}; format(value); formatTick(value); help; metric;
// noun: [singular, plural] of what is counted; emptyText; fileTitle(): see chart-frame.js;
// onBar({model, low, high}): a click on a bar. The last bar of the linear scale has all larger values, so its `high` is null.
export function mountHistogram(root, page, spec) {
  const [one, many] = spec.noun ?? ["request", "requests"];
  const noun = (number) => `${count(number)} ${number === 1 ? one : many}`;
  const canvas = find("canvas", root);
  const title = find(".card-title", root).textContent;
  const scale = mountSwitch(root, {
    name: `${root.dataset.widget}-scale`,
    label: "Scale of the values",
    options: [{ name: "log", label: "log", title: "Logarithmic scale" }, { name: "lin", label: "lin", title: "Linear scale" }],
    onChange: () => draw(),
  });
  let chart = null;
  let drawn = "";
  let panes = [];
  let edges = [];
  let chosen = null; // {pane, bar}, by the keyboard

  const isLog = () => scale.value === "log";
  const isRest = (bar) => !isLog() && edges.length > 2 && bar === edges.length - 2;
  const rangeText = (bar) => (isRest(bar) ? `more than ${spec.format(edges[bar])}` : `${spec.format(edges[bar])} – ${spec.format(edges[bar + 1])}`);
  const barText = ({ model, bars }, bar) => `${model}: ${noun(bars[bar].count)}, ${share(bars[bar].share)}`;
  const open = (pane, bar) => spec.onBar?.({ model: pane.model, low: edges[bar], high: isRest(bar) ? null : edges[bar + 1] });

  const datasets = () => panes.flatMap((pane, index) => {
    const stroke = colour(lineStyle("model", pane.model).colour);
    const yAxisID = `y${index}`;
    const outline = pane.bars.map(({ shareBefore }, bar) => ({ x: bar, y: shareBefore }));
    return [
      {
        type: "line", label: `${pane.model} before`, yAxisID, data: [...outline, { x: pane.bars.length, y: pane.bars.at(-1).shareBefore }],
        stepped: true, borderColor: colour("muted"), borderWidth: page.params.compares && pane.totalBefore ? 1 : 0, pointRadius: 0, pointHitRadius: 0, fill: false,
        pointHoverRadius: 0, isBefore: true,
      },
      {
        type: "bar", label: pane.model, yAxisID, data: pane.bars.map((bar, number) => ({ x: number + 0.5, y: bar.share })),
        backgroundColor: pane.bars.map((_, bar) => (chosen && panes[chosen.pane] === pane && chosen.bar === bar ? stroke : withAlpha(stroke, 0.78))),
        barPercentage: 0.94, categoryPercentage: 1, grouped: false, borderWidth: 0, pane: index,
      },
    ];
  });

  // The name of the model and its number of requests at the top of its pane.
  const names = {
    id: "names",
    afterDatasetsDraw({ ctx, scales }) {
      panes.forEach(({ model, total, p95 }, index) => {
        const { top } = scales[`y${index}`];
        const { left } = scales.x;
        ctx.save();
        ctx.fillStyle = colour(lineStyle("model", model).colour);
        ctx.fillRect(left + 4, top + 8, 9, 9);
        ctx.textAlign = "left";
        ctx.textBaseline = "alphabetic";
        ctx.fillStyle = colour("text");
        ctx.font = "620 12px Inter";
        const short = model.length > MAX_NAME ? `${model.slice(0, MAX_NAME - 1)}…` : model;
        ctx.fillText(short, left + 18, top + 16);
        const width = ctx.measureText(short).width;
        ctx.fillStyle = colour("muted");
        ctx.font = "450 11.5px Inter";
        ctx.fillText(`${count(total)} · P95 ${spec.format(p95)}`, left + 26 + width, top + 16);
        ctx.restore();
      });
    },
  };

  const config = () => {
    const font = { family: "Inter", size: 11.5, weight: 450 };
    const ticks = barTicks(edges, isLog());
    const highest = ({ bars }) => Math.max(...bars.map((bar) => Math.max(bar.share, page.params.compares ? bar.shareBefore : 0)), 1);
    const scales = {
      x: {
        type: "linear", min: 0, max: Math.max(1, edges.length - 1), offset: false, grid: { display: false }, border: { display: true, color: colour("line") },
        afterBuildTicks: (axis) => { axis.ticks = ticks.map(({ place }) => ({ value: place })); },
        ticks: { color: colour("muted"), font, maxRotation: 0, autoSkip: true, callback: (_, index) => spec.formatTick(ticks[index].value, ticks[index].value) },
      },
    };
    panes.forEach((pane, index) => {
      scales[`y${index}`] = {
        type: "linear", position: "left", stack: "panes", stackWeight: 1, weight: panes.length - index, min: 0, max: highest(pane) * ROOM_FOR_NAME, offset: false,
        border: { display: false }, grid: { display: false },
        afterFit: (axis) => { axis.width = Math.max(axis.width, 44); },
        afterBuildTicks: (axis) => { axis.ticks = [{ value: highest(pane) }]; },
        ticks: { color: colour("muted"), font, padding: 8, callback: share },
      };
    });
    return {
      type: "bar",
      data: { datasets: datasets() },
      plugins: [names],
      options: {
        animation: false, parsing: false, normalized: true, responsive: true, maintainAspectRatio: false,
        layout: { padding: { top: 2, right: 8 } },
        interaction: { mode: "x", intersect: false },
        onHover: (event) => canvas.classList.toggle("is-link", Boolean(spec.onBar && barAt(event))),
        onClick: (event) => {
          const hit = barAt(event);
          if (hit) open(panes[hit.pane], hit.bar);
        },
        scales,
        plugins: {
          legend: { display: false },
          tooltip: {
            ...tooltip({
              title: ([item]) => (item ? rangeText(item.dataIndex) : ""),
              label: ({ dataset, dataIndex }) => ` ${barText(panes[dataset.pane], dataIndex)}`,
              labelColor: ({ dataset }) => ({ borderColor: "transparent", backgroundColor: colour(lineStyle("model", dataset.label).colour), borderRadius: 2 }),
            }),
            filter: ({ dataset }) => !dataset.isBefore,
          },
        },
      },
    };
  };

  // The bar under the pointer: {pane, bar}; a click above a low bar counts for it, too.
  const barAt = ({ x, y }) => {
    const { scales, chartArea } = chart;
    if (!chartArea || x < chartArea.left || x > chartArea.right) return null;
    const pane = panes.findIndex((_, index) => y >= scales[`y${index}`].top && y <= scales[`y${index}`].bottom);
    const bar = Math.floor(scales.x.getValueForPixel(x));
    return panes[pane]?.bars[bar]?.count ? { pane, bar } : null;
  };

  const draw = (always) => {
    if (!root.checkVisibility()) return;
    const data = spec.read();
    const key = JSON.stringify([data, scale.value, page.params.compares]);
    if (key === drawn && always !== true) return; // a drawing closes the tooltip
    drawn = key;
    panes = data ? barsOf(data, isLog() ? "log" : "linear") : [];
    edges = data?.[isLog() ? "log" : "linear"].edges ?? [];
    if (chosen && !panes[chosen.pane]?.bars[chosen.bar]) chosen = null;
    find(".plot", root).style.height = root.classList.contains("is-enlarged") ? "" : `${Math.max(190, AXIS_PX + PANE_PX * panes.length)}px`;
    chart?.destroy();
    chart = new window.Chart(canvas, config());
    chart.overlays = { brush: null };
    const total = panes.reduce((sum, pane) => sum + pane.total, 0);
    const empty = find("[data-empty]", root);
    empty.hidden = panes.length > 0;
    setText(empty, spec.emptyText ?? "No data in this time range");
    drawValues(find("[data-values]", root), total ? [["", count(total)], [` ${total === 1 ? one : many}`, ""]] : [], null, page);
    canvas.setAttribute("aria-label", `${title}: ${panes.map(describe).join("; ") || "no data"}.`);
    setText(find("[data-description]", root), "Arrow keys move from bar to bar, Enter opens its requests. “View as table” in the menu has all values.");
    drawLegend(find("[data-legend]", root), legend());
    table.draw();
  };
  const redraw = () => draw(true);
  const hasOutline = () => page.params.compares && panes.some(({ totalBefore }) => totalBefore);
  const legend = () => (hasOutline() ? [{ label: "window before", colour: "series-other" }] : []);
  const describe = (pane) => {
    const highest = pane.bars.reduce((best, bar, index) => (bar.count > pane.bars[best].count ? index : best), 0);
    return `${pane.model}, ${noun(pane.total)}, most in ${rangeText(highest)}`;
  };

  const drawTable = (target) => {
    const cell = (pane, bar) => {
      const value = pane.bars[bar].count;
      const label = value ? `${count(value)} (${share(pane.bars[bar].share)})` : "0";
      return value && spec.onBar ? valueButton(label, () => open(pane, bar)) : label;
    };
    target.replaceChildren(valueTable(["Value", ...panes.map(({ model }) => model)],
      edges.slice(1).map((_, bar) => [rangeText(bar), ...panes.map((pane) => cell(pane, bar))])));
  };
  const rows = () => [
    ["model", "above", "up_to", "count", "count_before"],
    ...panes.flatMap(({ model, bars }) => bars.map(({ low, high, count: value, before }) => [model, low, high, value, before])),
  ];

  canvas.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && chosen) {
      event.preventDefault();
      if (panes[chosen.pane].bars[chosen.bar].count) open(panes[chosen.pane], chosen.bar);
    }
    if (!(event.key in KEYS) || !panes.length) return;
    event.preventDefault();
    const [right, down] = KEYS[event.key];
    const within = (value, length) => Math.min(length - 1, Math.max(0, value));
    chosen = chosen
      ? { pane: within(chosen.pane + down, panes.length), bar: within(chosen.bar + right, edges.length - 1) }
      : { pane: 0, bar: 0 };
    chart.data.datasets = datasets();
    chart.update("none");
    // Without the delay of `announce`, because the user pressed a key for it.
    setText(document.getElementById("announcer"), `${rangeText(chosen.bar)}: ${barText(panes[chosen.pane], chosen.bar)}`);
  });

  drawInView(root, page, draw);
  for (const topic of ["theme", "print"]) page.topics.on(topic, redraw);
  mountHelp(root, page, { help: spec.help, metrics: [[spec.metric, "count"]] });
  const table = mountFrame(root, page, {
    source: { get chart() { return chart; }, get legend() { return legend(); }, config, rebuild: redraw },
    drawTable,
    save: (extension, name) => (extension === "csv" ? saveRows(rows(), name, page) : saveJson(spec.read(), name, page)),
    fileTitle: spec.fileTitle,
  });
}
