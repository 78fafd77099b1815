// The distribution of response times over time, which shows groups of requests that percentiles hide. The colour is the
// square root of the number of requests, in seven steps.

import { savePng, saveSvg } from "../charts/export.js";
import { timeAxis, tooltip } from "../charts/options.js";
import { colour, mix } from "../charts/palette.js";
import { brush } from "../charts/plugins.js";
import { attachPointer } from "../charts/pointer.js";
import { find, setText } from "../page/dom.js";
import { duration, moment, text } from "../page/format.js";
import { nextFrame, whenIdle } from "../page/scheduling.js";
import { drawValues, mountHelp, mountMenu, stepText } from "./card.js";

const MAX_ROWS = 14;
const COLOUR_STEPS = 7;
const DAY_MS = 86_400_000;

const formatCount = (count) => count.toLocaleString("en-US");
const formatDuration = (milliseconds) => text(duration(milliseconds));
const requestsText = (count) => `request${count === 1 ? "" : "s"}`;

// Merge neighbouring rows, so that there are at most `maxRows`. Pure.
export function mergeRows({ edges, counts }, maxRows = MAX_ROWS) {
  const rows = Math.max(0, edges.length - 1);
  const size = Math.max(1, Math.ceil(rows / maxRows));
  const starts = Array.from({ length: Math.ceil(rows / size) }, (_, index) => index * size);
  const total = (values) => values.reduce((sum, value) => sum + value, 0);
  return {
    edges: rows ? [...starts.map((row) => edges[row]), edges[rows]] : [],
    counts: counts.map((column) => starts.map((row) => total(column.slice(row, Math.min(rows, row + size))))),
  };
}

// The cells with requests, {x: time, y: row + 0.5, v: count}, the edges of the rows in ms, and the step in ms.
function cellsOf(heatmap) {
  if (!heatmap) return { points: [], edges: [], step: 1, total: 0, max: 0 };
  const { edges, counts } = mergeRows(heatmap);
  const points = counts.flatMap((column, index) =>
    column.map((v, row) => ({ x: heatmap.times[index], y: row + 0.5, v })).filter(({ v }) => v));
  const total = points.reduce((sum, { v }) => sum + v, 0);
  const max = points.reduce((highest, { v }) => Math.max(highest, v), 0);
  return { points, edges, step: heatmap.step_seconds * 1000, total, max };
}

export function mount(root, page) {
  const canvas = find("canvas", root);
  const title = find(".card-title", root).textContent;
  let chart = null;
  let hasPointer = false;
  let visible = false;
  let cells = cellsOf(null);

  const config = () => {
    const background = colour("card");
    const hue = colour("series-1");
    const cellColour = (count) => mix(background, hue, 0.14 + 0.86 * (Math.ceil(Math.sqrt(count / cells.max) * COLOUR_STEPS) / COLOUR_STEPS));
    const { from, to } = page.window;
    const withDay = to - from > DAY_MS;
    const rows = Math.max(1, cells.edges.length - 1);
    return {
      type: "matrix",
      data: {
        datasets: [{
          data: cells.points,
          backgroundColor: ({ raw }) => (raw ? cellColour(raw.v) : "transparent"),
          borderWidth: 0,
          anchorX: "left",
          width: ({ chart: { chartArea, scales } }) => Math.max(1, ((chartArea?.width ?? 0) * cells.step) / (scales.x.max - scales.x.min) - 1),
          height: ({ chart: { chartArea } }) => Math.max(1, (chartArea?.height ?? 0) / rows - 1),
        }],
      },
      plugins: [brush],
      options: {
        animation: false,
        responsive: true,
        maintainAspectRatio: false,
        layout: { padding: { top: 6, right: 6 } },
        scales: {
          x: { ...timeAxis(), min: from, max: to },
          y: {
            type: "linear",
            reverse: false,
            min: 0,
            max: rows,
            border: { display: false },
            grid: { display: false },
            afterFit: (axis) => { axis.width = Math.max(axis.width, 44); },
            afterBuildTicks: (axis) => {
              const interval = Math.max(1, Math.ceil((cells.edges.length - 1) / 5));
              axis.ticks = cells.edges.map((_, index) => ({ value: index })).filter(({ value }) => value % interval === 0);
            },
            ticks: {
              color: colour("muted"), font: { family: "Inter", size: 11.5, weight: 450 }, padding: 8, autoSkip: false,
              callback: (value) => edgeLabel(cells.edges, value),
            },
          },
        },
        plugins: {
          legend: { display: false },
          tooltip: tooltip({
            title: ([item]) => `${moment(item.raw.x, withDay)} – ${moment(item.raw.x + cells.step, withDay)}`,
            label: ({ raw: { y, v } }) =>
              ` ${formatDuration(cells.edges[y - 0.5])} to ${formatDuration(cells.edges[y + 0.5])}: ${formatCount(v)} ${requestsText(v)}`,
            labelColor: ({ raw }) => ({ borderColor: "transparent", backgroundColor: cellColour(raw.v), borderRadius: 2 }),
            footer: ([{ raw }]) => {
              const column = cells.points.filter(({ x }) => x === raw.x).reduce((sum, { v }) => sum + v, 0);
              return `${Math.round((100 * raw.v) / column)} % of ${formatCount(column)} ${requestsText(column)} in this column`;
            },
          }),
        },
      },
    };
  };

  const draw = () => (visible ? nextFrame : whenIdle)(() => {
    if (!root.checkVisibility()) return;
    chart?.destroy();
    cells = cellsOf(page.data.heatmap);
    chart = new window.Chart(canvas, config());
    chart.overlays = { brush: null };
    if (!hasPointer) attachPointer(canvas, page, () => chart);
    hasPointer = true;
    const { edges, points, step, total } = cells;
    const empty = find("[data-empty]", root);
    empty.hidden = points.length > 0;
    setText(empty, "No successful requests in this time range");
    const values = [["", formatCount(total)], [` ${requestsText(total)} · one column per ${stepText(step / 1000)}`, ""]];
    drawValues(find("[data-values]", root), total ? values : [], null, page);
    const range = total ? `, from ${formatDuration(edges[0])} to ${formatDuration(edges.at(-1))}` : "";
    canvas.setAttribute("aria-label", `${title}: ${total} ${requestsText(total)}${range}.`);
  });
  new IntersectionObserver(([entry]) => {
    if (visible) return;
    visible = entry.isIntersecting;
    draw();
  }, { rootMargin: "80px" }).observe(root);
  for (const topic of ["data", "figures", "theme"]) page.topics.on(topic, draw);
  mountHelp(root, page, {
    help: "The number of successful requests by response time, over time. Darker means more requests (on a square-root scale). Two separate bands mean two kinds of requests, which percentiles do not show.",
    metrics: [["inference.response_time_ms", "count"]],
  });
  const source = { get chart() { return chart; }, config };
  mountMenu(root, [
    { label: "Save as PNG", onClick: () => savePng(source, title, page) },
    { label: "Save as SVG", onClick: () => saveSvg(source, title, page) },
  ]);
}

// The label of an edge between two rows, "0.25 s": two digits, or three where neighbouring edges are close.
function edgeLabel(edges, index) {
  const milliseconds = edges[index];
  if (milliseconds === undefined) return "";
  const close = edges.length > 1 && edges[1] / edges[0] < 1.1;
  const value = milliseconds >= 1000 ? milliseconds / 1000 : milliseconds;
  return `${Number(value.toPrecision(close ? 3 : 2))} ${milliseconds >= 1000 ? "s" : "ms"}`;
}
