// Heatmaps: how many requests had which value at which time, and how much of a resource was used by which host and when.

import { annotationLines, annotationsAt, annotationsOf, tooltipRows } from "../charts/annotation-lines.js";
import { saveJson, saveRows } from "../charts/export.js";
import { axisOf, countSteps, heightOf, linearSteps, mergeRows, stepOf } from "../charts/heat.js";
import { timeAxis, tooltip } from "../charts/options.js";
import { colour, mix } from "../charts/palette.js";
import { brush } from "../charts/plugins.js";
import { attachPointer } from "../charts/pointer.js";
import { find, setText } from "../page/dom.js";
import { moment } from "../page/format.js";
import { drawValues, mountHelp } from "./card.js";
import { drawInView, drawLegend, mountFrame, valueButton, valueTable } from "./chart-frame.js";
import { stepText } from "./head-span.js";

const DAY_MS = 86_400_000;
const count = (value) => value.toLocaleString("en-US");
const MAX_NAME = 22; // characters of a row's name on the axis; the table and the tooltip have it whole
const withoutMiddle = (name) => (name.length > MAX_NAME ? `${name.slice(0, MAX_NAME - 13)}…${name.slice(-12)}` : name);
const shade = ({ share }) => mix(colour("card"), colour("series-1"), share);

// The distribution of a value over time. The colour is the square root of the number of requests. `spec`:
//   read(): {from, to, times, step_seconds, edges, counts} of the API; format(value): a value as text; help; metrics; emptyText;
//   noun: [singular, plural] of what is counted; fileTitle(): see chart-frame.js; onCell({from, to, low, high}): a click on a cell.
export function mountHeatmap(root, page, spec) {
  const [one, many] = spec.noun ?? ["request", "requests"];
  const noun = (number) => `${count(number)} ${number === 1 ? one : many}`;
  const view = () => {
    const data = spec.read();
    if (!data?.edges.length) return { cells: [], rows: [], columns: [], steps: [] };
    const { edges, counts } = mergeRows(data);
    const step = data.step_seconds * 1000;
    const { least, min, max: top, ticks } = axisOf(edges);
    const heights = edges.map((edge) => heightOf(edge, least));
    const cells = counts.flatMap((column, index) => column.map((v, row) => ({
      x: data.times[index], y: (heights[row] + heights[row + 1]) / 2, v, row, height: heights[row + 1] - heights[row],
    })).filter(({ v }) => v));
    const max = cells.reduce((highest, { v }) => Math.max(highest, v), 0);
    return {
      cells, step, min, max: top, steps: countSteps(max),
      ticks: ticks.map((value) => ({ value: Math.log10(value), label: spec.format(value) })),
      rows: edges.slice(1).map((high, row) => ({ name: `${spec.format(edges[row])} to ${spec.format(high)}`, low: edges[row], high })),
      window: { from: Date.parse(data.from), to: Date.parse(data.to) }, columns: data.times, table: counts, total: cells.reduce((sum, { v }) => sum + v, 0),
    };
  };
  mountMatrix(root, page, spec, {
    view,
    stepLabel: ({ low, high }) => (low === high ? count(low) : `${count(low)}–${count(high)}`),
    legendTitle: `${many} in a cell`,
    values: ({ total, step }) => (total ? [["", count(total)], [` ${total === 1 ? one : many} · one column per ${stepText(step / 1000)}`, ""]] : []),
    cellText: ({ rows }, { row, v }) => `${rows[row].name}: ${noun(v)}`,
    cellNote: ({ cells }, cell) => {
      const column = cells.filter(({ x }) => x === cell.x).reduce((sum, { v }) => sum + v, 0);
      return `${Math.round((100 * cell.v) / column)} % of ${noun(column)} in this column`;
    },
    // The file has the buckets of the API, which the drawing may have merged.
    file: () => {
      const { times, edges, counts } = spec.read() ?? { times: [], edges: [], counts: [] };
      const rows = times.flatMap((time, index) => counts[index].map((value, row) => [new Date(time).toISOString(), edges[row], edges[row + 1], value]));
      return [["time", "above", "up_to", "count"], ...rows.filter((row) => row[3])];
    },
    formatCell: count,
  });
}

// The use of a resource. `spec`: read(): {rows: names, columns: times in ms, or hours from 0 to 23 with `hours`, values:
// values[row][column], step_seconds}; format(value); max: the end of the colour scale (100), or a function that
// returns it; hours; help; metrics; emptyText; fileTitle();
// onCell({row, column}). Returns a function that draws it again.
export function mountResourceHeatmap(root, page, spec) {
  const view = () => {
    const steps = linearSteps((typeof spec.max === "function" ? spec.max() : spec.max) ?? 100);
    const { rows = [], columns = [], values = [], step_seconds: seconds = 1 } = spec.read() ?? {};
    const cells = rows.flatMap((_, row) => columns.map((x, index) => ({ x, y: rows.length - row - 0.5, v: values[row]?.[index] ?? null, row, height: 1 })))
      .filter(({ v }) => v !== null);
    return {
      cells, columns, steps, step: spec.hours ? 1 : seconds * 1000, min: 0, max: Math.max(1, rows.length),
      ticks: rows.map((label, row) => ({ value: rows.length - row - 0.5, label: withoutMiddle(label) })),
      rows: rows.map((name) => ({ name })),
      table: columns.map((_, index) => rows.map((__, row) => values[row]?.[index] ?? null)),
    };
  };
  return mountMatrix(root, page, spec, {
    view,
    stepLabel: ({ low, high }) => `${spec.format(low)}–${spec.format(high)}`,
    legendTitle: spec.legendTitle ?? "",
    values: () => spec.values?.() ?? [],
    cellText: ({ rows }, { row, v }) => `${rows[row].name}: ${spec.format(v)}`,
    cellNote: () => "",
    file: () => {
      const { rows, columns, table } = view();
      const time = (x) => (spec.hours ? x : new Date(x).toISOString());
      return [[spec.hours ? "hour" : "time", ...rows.map(({ name }) => name)], ...columns.map((x, index) => [time(x), ...table[index]])];
    },
    formatCell: (value) => (value === null ? "—" : spec.format(value)),
  });
}

// The first column may begin before the window: it ends at the axis.
const insideArea = {
  id: "insideArea",
  beforeDatasetsDraw({ ctx, chartArea: { left, top, width, height } }) {
    ctx.save();
    ctx.beginPath();
    ctx.rect(left, top, width, height);
    ctx.clip();
  },
  afterDatasetsDraw: ({ ctx }) => ctx.restore(),
};

function mountMatrix(root, page, spec, kind) {
  const canvas = find("canvas", root);
  const title = find(".card-title", root).textContent;
  let chart = null;
  let hasPointer = false;
  let view = kind.view();
  const span = () => (spec.hours ? { from: 0, to: 24 } : page.window);
  // The outer columns have the part of their step that is in the window.
  const spanOf = (x) => ({ from: Math.max(x, view.window?.from ?? x), to: Math.min(x + view.step, view.window?.to ?? x + view.step) });
  const at = (x) => {
    if (spec.hours) return `${String(x).padStart(2, "0")}:00 – ${String(x + 1).padStart(2, "0")}:00`;
    const withDay = page.window.to - page.window.from > DAY_MS;
    const { from, to } = spanOf(x);
    return `${moment(from, withDay)} – ${moment(to, withDay)}`;
  };
  const annotations = () => (spec.hours ? [] : annotationsOf(page));
  const notes = (x) => tooltipRows(annotationsAt(annotations(), x, view.step).filter(({ time }) => time >= x));
  const open = ({ x, row }) => {
    const { low, high, name } = view.rows[row];
    spec.onCell({ ...spanOf(x), low, high, row: name, column: x });
  };

  const config = () => ({
    type: "matrix",
    data: {
      datasets: [{
        data: view.cells,
        backgroundColor: ({ raw }) => (raw ? shade(stepOf(view.steps, raw.v)) : "transparent"),
        borderWidth: 0,
        anchorX: "left",
        width: ({ chart: { chartArea, scales } }) => Math.max(1, ((chartArea?.width ?? 0) * view.step) / (scales.x.max - scales.x.min) - 1),
        height: ({ raw, chart: { chartArea } }) => Math.max(1, ((chartArea?.height ?? 0) * (raw?.height ?? 0)) / (view.max - view.min || 1) - 1),
      }],
    },
    plugins: [insideArea, annotationLines, brush],
    options: {
      animation: false,
      responsive: true,
      maintainAspectRatio: false,
      layout: { padding: { top: 6, right: 6 } },
      onHover: (_, items) => canvas.classList.toggle("is-link", Boolean(spec.onCell && items.length)),
      scales: { x: xAxis(), y: yAxis() },
      plugins: {
        legend: { display: false },
        tooltip: tooltip({
          title: ([item]) => (item ? at(item.raw.x) : ""),
          label: ({ raw }) => ` ${kind.cellText(view, raw)}`,
          labelColor: ({ raw }) => ({ borderColor: "transparent", backgroundColor: shade(stepOf(view.steps, raw.v)), borderRadius: 2 }),
          footer: ([item]) => (item ? [kind.cellNote(view, item.raw), ...notes(item.raw.x)].filter(Boolean) : ""),
        }),
      },
    },
  });
  const xAxis = () => {
    const { from, to } = span();
    if (!spec.hours) return { ...timeAxis(), min: from, max: to };
    const { color, font, padding } = timeAxis().ticks;
    return {
      type: "linear", min: from, max: to, grid: { display: false }, border: { display: false },
      ticks: { stepSize: 6, maxRotation: 0, color, font, padding, callback: (hour) => `${String(hour).padStart(2, "0")}:00` },
    };
  };
  const yAxis = () => ({
    type: "linear", reverse: false, min: view.min, max: view.max, border: { display: false }, grid: { display: false },
    afterFit: (axis) => { axis.width = Math.max(axis.width, 44); },
    afterBuildTicks: (axis) => { axis.ticks = (view.ticks ?? []).map(({ value }) => ({ value })); },
    ticks: {
      color: colour("muted"), font: { family: "Inter", size: 11.5, weight: 450 }, padding: 8, autoSkip: false,
      callback: (_, index) => view.ticks?.[index]?.label ?? "",
    },
  });
  const legend = () => view.steps.map((step) => ({ label: kind.stepLabel(step), paint: shade(step) }));

  const draw = () => {
    if (!root.checkVisibility()) return;
    chart?.destroy();
    view = kind.view();
    chart = new window.Chart(canvas, config());
    chart.overlays = { brush: null, annotations: annotations(), hasTags: false };
    if (!hasPointer && !spec.hours) attachPointer(canvas, page, () => chart, { onClick: clickCell });
    if (!hasPointer && spec.hours && spec.onCell) canvas.addEventListener("click", (event) => clickCell(chart, event));
    hasPointer = true;
    const empty = find("[data-empty]", root);
    empty.hidden = view.cells.length > 0;
    setText(empty, spec.emptyText ?? "No data in this time range");
    drawValues(find("[data-values]", root), kind.values(view), null, page);
    drawLegend(find("[data-legend]", root), view.cells.length ? legend() : [], kind.legendTitle);
    canvas.setAttribute("aria-label", `${title}: ${view.cells.length ? find("[data-values]", root).textContent || page.params.span : "no data"}.`);
    table.draw();
  };
  const clickCell = (drawn, event) => {
    const [item] = spec.onCell ? drawn.getElementsAtEventForMode(event, "nearest", { intersect: true }, false) : [];
    if (item) open(view.cells[item.index]);
    return Boolean(item);
  };
  const drawTable = (target) => {
    const cell = (x, row, value) => (spec.onCell && value ? valueButton(kind.formatCell(value), () => open({ x, row })) : kind.formatCell(value));
    target.replaceChildren(valueTable([spec.hours ? "Hour" : "Time", ...view.rows.map(({ name }) => name)],
      view.columns.map((x, index) => [at(x), ...view.rows.map((_, row) => cell(x, row, view.table[index][row]))]).toReversed()));
  };
  const drawSoon = drawInView(root, page, draw);
  page.topics.on("theme", drawSoon);
  page.topics.on("print", draw);
  mountHelp(root, page, spec);
  const table = mountFrame(root, page, {
    source: { get chart() { return chart; }, get legend() { return legend(); }, legendTitle: kind.legendTitle, config, rebuild: drawSoon },
    drawTable,
    save: (extension, name) => (extension === "csv" ? saveRows(kind.file(), name, page) : saveJson(spec.read(), name, page)),
    fileTitle: spec.fileTitle,
  });
  return drawSoon;
}
