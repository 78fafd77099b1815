// How response times are distributed over time: percentiles hide two humps, this does not. Colour is the square root of
// the count, in seven steps of one hue.

import { savePicture, saveSvg } from "../charts/export.js";
import { timeAxis, tooltip } from "../charts/options.js";
import { colour, mix } from "../charts/palette.js";
import { brush } from "../charts/plugins.js";
import { attachPointer } from "../charts/pointer.js";
import { find, setText } from "../page/dom.js";
import { duration, moment, text } from "../page/format.js";
import { nextFrame, whenIdle } from "../page/scheduling.js";
import { drawNow, mountHelp, mountMenu, stepWords } from "./card.js";

const MOST_ROWS = 14;
const STEPS = 7;
const DAY_MS = 86_400_000;

// Fewer, taller rows: neighbours are added up. Pure.
export function coarser({ edges, counts }, most = MOST_ROWS) {
  const rows = Math.max(0, edges.length - 1);
  const each = Math.max(1, Math.ceil(rows / most));
  const kept = [];
  for (let row = 0; row < rows; row += each) kept.push(edges[row]);
  if (rows) kept.push(edges[rows]);
  const added = counts.map((column) => {
    const found = [];
    for (let row = 0; row < rows; row += each) {
      let sum = 0;
      for (let one = row; one < Math.min(rows, row + each); one += 1) sum += column[one];
      found.push(sum);
    }
    return found;
  });
  return { edges: kept, counts: added };
}

export function mount(root, page) {
  const canvas = find("canvas", root);
  const title = find(".card-title", root).textContent;
  let chart = null;
  let visible = false;
  let shown = null;

  const cells = () => {
    const data = page.data.heatmap;
    if (!data) return { points: [], edges: [], step: 1, total: 0 };
    const { edges, counts } = coarser(data);
    const points = [];
    let total = 0;
    let most = 0;
    counts.forEach((column, index) => column.forEach((count, row) => {
      if (!count) return;
      total += count;
      most = Math.max(most, count);
      points.push({ x: data.times[index], y: row + 0.5, v: count });
    }));
    return { points, edges, step: data.step_seconds * 1000, total, most };
  };

  const config = () => {
    const ground = colour("card");
    const hue = colour("series-1");
    const tint = (count) => mix(ground, hue, 0.14 + 0.86 * (Math.ceil(Math.sqrt(count / shown.most) * STEPS) / STEPS));
    const { from, to } = page.window;
    const withDay = to - from > DAY_MS;
    return {
      type: "matrix",
      data: {
        datasets: [{
          data: shown.points,
          backgroundColor: ({ raw }) => (raw ? tint(raw.v) : "transparent"),
          borderWidth: 0,
          anchorX: "left",
          width: ({ chart: own }) => Math.max(1, ((own.chartArea?.width ?? 0) * shown.step) / (own.scales.x.max - own.scales.x.min) - 1),
          height: ({ chart: own }) => Math.max(1, (own.chartArea?.height ?? 0) / Math.max(1, shown.edges.length - 1) - 1),
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
            max: Math.max(1, shown.edges.length - 1),
            border: { display: false },
            grid: { display: false },
            afterFit: (axis) => { axis.width = Math.max(axis.width, 44); },
            afterBuildTicks: (axis) => {
              const every = Math.max(1, Math.ceil((shown.edges.length - 1) / 5));
              axis.ticks = shown.edges.map((_, index) => ({ value: index })).filter(({ value }) => value % every === 0);
            },
            ticks: {
              color: colour("muted"), font: { family: "Inter", size: 11.5, weight: 450 }, padding: 8, autoSkip: false,
              callback: (value) => edgeWords(shown.edges, value),
            },
          },
        },
        plugins: {
          legend: { display: false },
          tooltip: tooltip({
            title: ([item]) => `${moment(item.raw.x, withDay)} – ${moment(item.raw.x + shown.step, withDay)}`,
            label: ({ raw }) => ` ${text(duration(shown.edges[raw.y - 0.5]))} to ${text(duration(shown.edges[raw.y + 0.5]))}: ${raw.v.toLocaleString("en-US")} request${raw.v === 1 ? "" : "s"}`,
            labelColor: ({ raw }) => ({ borderColor: "transparent", backgroundColor: tint(raw.v), borderRadius: 2 }),
            footer: ([item]) => {
              const column = shown.points.filter(({ x }) => x === item.raw.x).reduce((sum, { v }) => sum + v, 0);
              return `${Math.round((100 * item.raw.v) / column)} % of ${column.toLocaleString("en-US")} requests in this column`;
            },
          }),
        },
      },
    };
  };

  const build = () => {
    chart?.destroy();
    shown = cells();
    chart = new window.Chart(canvas, config());
    chart.ours = { brush: null };
  };

  const draw = () => (visible ? nextFrame : whenIdle)(() => {
    if (!root.checkVisibility()) return;
    build();
    pointer ??= attachPointer(canvas, page, () => chart);
    const empty = find("[data-empty]", root);
    empty.hidden = shown.points.length > 0;
    setText(empty, "No successful requests in this time range");
    const head = [["", shown.total.toLocaleString("en-US")], [` request${shown.total === 1 ? "" : "s"} · one column per ${stepWords(shown.step / 1000)}`, ""]];
    drawNow(find("[data-now]", root), shown.total ? head : [], null, page);
    canvas.setAttribute("aria-label", `${title}: ${shown.total} requests${shown.total ? `, from ${text(duration(shown.edges[0]))} to ${text(duration(shown.edges.at(-1)))}` : ""}.`);
  });
  let pointer = null;
  new IntersectionObserver(([entry]) => {
    if (visible) return;
    visible = entry.isIntersecting;
    draw();
  }, { rootMargin: "80px" }).observe(root);
  for (const topic of ["data", "figures"]) page.topics.on(topic, draw);
  page.topics.on("theme", draw);
  mountHelp(root, page, {
    help: "The number of successful requests by response time, over time. Darker means more requests (on a square-root scale). Two separate bands mean two kinds of requests, which percentiles do not show.",
    metrics: [["inference.response_time_ms", "count"]],
  });
  const own = { get chart() { return chart; }, config };
  mountMenu(root, [
    { words: "Save as PNG", act: () => savePicture(own, title, page) },
    { words: "Save as SVG", act: () => saveSvg(own, title, page) },
  ]);
}

// Edges of log buckets, two digits (three where two would be the same): 0.25 s, 16 s.
function edgeWords(edges, index) {
  const milliseconds = edges[index];
  if (milliseconds === undefined) return "";
  const close = edges.length > 1 && edges[1] / edges[0] < 1.1;
  const value = milliseconds >= 1000 ? milliseconds / 1000 : milliseconds;
  return `${Number(value.toPrecision(close ? 3 : 2))} ${milliseconds >= 1000 ? "s" : "ms"}`;
}
