// A chart over time in its card: the one place that talks to Chart.js for lines, areas and stacked bars.
//
// spec = {
//   type: "line" | "bar", stacked, endLabels, legend, max, suggestedMax,
//   words(value, axisMax): an axis mark; say(value): a value in words,
//   lines(page): [{ label, points, colour, width, dash, fill, faint }], the first at the bottom of a stack,
//   now(page, at): [["P50", "1.02 s"], …] for the head; `at` is a time under the crosshair, or null,
//   count(page): points with the number of requests, for the tooltip,
//   empty(page): words when there is nothing,
// }

import { at as valueAt } from "../live/series.js";
import { find, reducedMotion, setText } from "../page/dom.js";
import { moment } from "../page/format.js";
import { nextFrame, whenIdle } from "../page/scheduling.js";
import { timeAxis, tooltip, valueAxis } from "./options.js";
import { colour, withAlpha } from "./palette.js";
import { bands, brush, endLabels, singles } from "./plugins.js";
import { attachPointer } from "./pointer.js";

const QUIET_TICKS = 5; // with reduced motion, charts step every five seconds
const DAY_MS = 86_400_000;

export class TimeChart {
  logarithmic = false;
  #page;
  #root;
  #canvas;
  #chart = null;
  #visible = false;
  #stale = true;
  #ticks = 0;
  #lines = null;

  constructor(root, page, spec) {
    this.#root = root;
    this.#page = page;
    this.spec = spec;
    this.#canvas = find("canvas", root);
    new IntersectionObserver(([entry]) => {
      this.#visible = entry.isIntersecting;
      if (this.#stale) this.#drawAll();
    }, { rootMargin: "80px" }).observe(root);
    const { topics } = page;
    topics.on("data", () => this.#drawAll());
    topics.on("pause", () => this.draw());
    topics.on("connection", () => this.draw());
    topics.on("tick", () => {
      this.#ticks += 1;
      if (page.live && (!reducedMotion() || this.#ticks % QUIET_TICKS === 0)) this.draw();
    });
    // The hatched tail of a lost connection grows.
    topics.on("second", () => page.rolling && page.connection.state === "disconnected" && this.draw());
    topics.on("theme", () => this.rebuild());
  }

  // As they were drawn last; worked out anew with each drawing.
  get lines() {
    this.#lines ??= this.spec.lines(this.#page);
    return this.#lines;
  }

  get chart() {
    return this.#chart;
  }

  get isEmpty() {
    return this.lines.every(({ points }) => points.every(({ y }) => y === null));
  }

  draw() {
    this.#stale = true;
    if (this.#visible) nextFrame(this.#update);
  }

  // Out of sight it is drawn with the data, though not with each tick: whoever prints the page or scrolls fast finds it.
  #drawAll() {
    if (this.#visible) this.draw();
    else whenIdle(() => this.#root.checkVisibility() && this.#update());
  }

  rebuild() {
    this.#chart?.destroy();
    this.#chart = null;
    this.#drawAll();
  }

  setLogarithmic(on) {
    this.logarithmic = on;
    this.rebuild();
  }

  #update = () => {
    this.#stale = false;
    this.#lines = null;
    const lines = this.lines;
    if (!this.#chart || this.#chart.data.datasets.length !== lines.length) this.#build(lines);
    const chart = this.#chart;
    const { from, to } = this.#page.window;
    lines.forEach((line, index) => Object.assign(chart.data.datasets[index], this.#dataset(line, lines.length)));
    chart.options.scales.x.min = from;
    chart.options.scales.x.max = to;
    chart.ours.step = this.#page.series.step;
    chart.ours.bands = this.#bands(to);
    chart.update("none");
    const empty = find("[data-empty]", this.#root);
    const nothing = this.isEmpty;
    empty.hidden = !nothing;
    if (nothing) setText(empty, this.spec.empty?.(this.#page) ?? "No data in this time range");
    this.onDraw?.();
  };

  #bands(to) {
    const found = this.#page.gaps().map((gap) => ({ ...gap, words: "no data" }));
    const newest = this.#page.series.newest();
    const step = this.#page.series.step;
    if (this.#page.rolling && this.#page.connection.state === "disconnected" && newest !== null) {
      found.push({ from: newest + step, to, words: "disconnected", hatched: true });
    }
    return found;
  }

  #dataset(line, count) {
    const stroke = colour(line.colour);
    const bar = this.spec.type === "bar";
    return {
      label: line.label,
      data: line.points,
      borderColor: line.faint ? withAlpha(stroke, 0.45) : stroke,
      backgroundColor: bar ? withAlpha(stroke, 0.86) : withAlpha(stroke, line.fill === "strong" ? 0.24 : 0.15),
      borderWidth: bar ? 0 : (line.width ?? 1.6),
      borderDash: line.dash ?? [],
      fill: bar || !line.fill ? false : (line.below ?? "origin"),
      pointRadius: 0,
      pointHoverRadius: 3.2,
      pointHoverBackgroundColor: stroke,
      pointHoverBorderWidth: 0,
      pointStyle: "rectRounded",
      cubicInterpolationMode: "monotone", // never below what was measured
      // A missing bucket breaks a line whether it is null or not there at all.
      spanGaps: this.#page.series.step * 1.5,
      ...(bar ? { barPercentage: 1, categoryPercentage: 0.86, barThickness: this.#barWidth(), grouped: false } : {}),
    };
  }

  #barWidth() {
    const area = this.#chart?.chartArea;
    const { from, to } = this.#page.window;
    const pixels = ((area?.width ?? 400) / ((to - from) / this.#page.series.step)) * 0.84;
    return Math.max(1, Math.min(26, pixels));
  }

  #build(lines) {
    this.#chart?.destroy();
    this.#chart = new window.Chart(this.#canvas, this.#config(lines));
    this.#chart.ours = { endLabels: this.spec.endLabels, step: this.#page.series.step, bands: [], brush: null };
    this.#pointer ??= attachPointer(this.#canvas, this.#page, () => this.#chart);
  }

  // The same chart, to be drawn once more elsewhere.
  config() {
    const found = this.#config(this.lines);
    const { from, to } = this.#page.window;
    Object.assign(found.options.scales.x, { min: from, max: to });
    return found;
  }

  get legend() {
    return this.spec.legend ? this.lines : [];
  }

  #config(lines) {
    const { spec } = this;
    const stacked = Boolean(spec.stacked);
    return {
      type: spec.type ?? "line",
      data: { datasets: lines.map((line) => this.#dataset(line, lines.length)) },
      plugins: [bands, singles, endLabels, brush],
      options: {
        animation: false,
        parsing: false,
        normalized: true,
        responsive: true,
        maintainAspectRatio: false,
        interaction: { mode: "index", intersect: false, axis: "x" },
        layout: { padding: { top: 6, right: spec.endLabels ? 36 : 6 } },
        scales: {
          x: timeAxis({ stacked }),
          y: valueAxis({ ...spec, stacked, logarithmic: this.logarithmic }),
        },
        plugins: {
          legend: { display: false },
          decimation: { enabled: false },
          tooltip: tooltip({
            title: (items) => this.#when(items[0]?.parsed.x),
            label: (item) => ` ${item.dataset.label}  ${spec.say(item.parsed.y)}`,
            labelColor: (item) => ({ borderColor: "transparent", backgroundColor: item.dataset.borderColor, borderRadius: 2 }),
            footer: (items) => this.#footer(items[0]?.parsed.x),
          }),
        },
        onResize: () => this.draw(),
      },
    };
  }

  #pointer = null;

  #when(ms) {
    if (ms === undefined) return "";
    const { from, to } = this.#page.window;
    const step = this.#page.series.step;
    const withDay = to - from > DAY_MS;
    return step >= DAY_MS ? moment(ms, true) : `${moment(ms, withDay)} – ${moment(ms + step, withDay)}`;
  }

  #footer(ms) {
    const points = this.spec.count?.(this.#page);
    const count = points && ms !== undefined ? valueAt(points, ms, this.#page.series.step) : null;
    if (count === null || count === undefined) return "";
    return `n = ${count.toLocaleString("en-US")}${count < 100 ? ", too few for a reliable P99" : ""}`;
  }
}
