// A chart over time, built from a specification: lines, areas or stacked bars. This is the module that uses Chart.js.
//
// spec = {
//   type: "line" | "bar", stacked, endLabels, legend, max, suggestedMax, isDuration, isRate,
//   limits(): of the value axis, which then is logarithmic, see options.js,
//   lines(): [{ label, points, colour, width, dash, fill, faint, counts, compared }], the first at the bottom of a stack;
//     counts: points with the number of requests: the line is faint where these are too few for its percentile;
//     compared: {metric, stat, label} of the line, for a twin that shows the window before (`page.before`),
//   format(value): a value as text; formatTick(value, axisMax): the label of a tick on the value axis,
//   counts(): points with the number of requests, for the tooltip,
//   emptyText: shown instead of the chart where there is no data,
//   spansOf, thresholdsOf: the metrics whose alerts are marked, see alert-marks.js,
// }

import { valueAt } from "../live/series.js";
import { find, reducedMotion, setText } from "../page/dom.js";
import { moment } from "../page/format.js";
import { nextFrame, whenIdle } from "../page/scheduling.js";
import { alertMarks, marksOf } from "./alert-marks.js";
import { annotationLines, annotationsAt, annotationsOf, tooltipRows } from "./annotation-lines.js";
import { MOST_POINTS, decimated, withComparison } from "./lines.js";
import { timeAxis, tooltip, valueAxis } from "./options.js";
import { colour, withAlpha } from "./palette.js";
import { bands, brush, endLabels, singlePoints } from "./plugins.js";
import { attachPointer } from "./pointer.js";

const TICKS_PER_DRAW_REDUCED = 5; // with reduced motion, a chart is drawn every five seconds
const DAY_MS = 86_400_000;
export const ENOUGH_FOR_P99 = 100; // requests
const FEW_ALPHA = 0.3; // of a P99 of fewer

export class TimeChart {
  /** @type {(() => void) | null} called after each drawing */
  onDraw = null;
  logarithmic = false;
  #page;
  #root;
  #canvas;
  #chart = null;
  #hasPointer = false;
  #visible = false;
  #outdated = true;
  #ticks = 0;
  #lines = null;

  constructor(root, page, spec) {
    this.#root = root;
    this.#page = page;
    this.spec = spec;
    this.#canvas = find("canvas", root);
    new IntersectionObserver(([entry]) => {
      this.#visible = entry.isIntersecting;
      if (this.#outdated) this.#drawAlsoHidden();
    }, { rootMargin: "80px" }).observe(root);
    const { topics } = page;
    topics.on("data", () => this.#drawAlsoHidden());
    topics.on("figures", () => this.draw());
    topics.on("pause", () => this.draw());
    topics.on("connection", () => this.draw());
    topics.on("tick", () => {
      this.#ticks += 1;
      if (page.live && (!reducedMotion() || this.#ticks % TICKS_PER_DRAW_REDUCED === 0)) this.draw();
    });
    // The hatched band of a lost connection grows each second.
    topics.on("second", () => page.rolling && page.isDisconnected && this.draw());
    topics.on("theme", () => this.rebuild());
    topics.on("print", () => this.#updateShown());
  }

  // The lines as they were drawn last. Each drawing computes them again.
  get lines() {
    this.#lines ??= withComparison(this.spec.lines(), this.#page.before);
    return this.#lines;
  }

  get chart() {
    return this.#chart;
  }

  // The lines of the window before have one entry together.
  get legend() {
    const isBefore = (line) => Boolean(line.isBefore);
    const [before] = this.lines.filter(isBefore);
    const shown = this.spec.legend || before ? this.lines.filter((line) => !isBefore(line)) : [];
    return before ? [...shown, { ...before, label: "window before" }] : shown;
  }

  // The marks of alert rules on this chart.
  get marks() {
    return marksOf(this.#page.data.alerts?.marks ?? [], this.spec);
  }

  get annotations() {
    return annotationsOf(this.#page);
  }

  draw() {
    this.#outdated = true;
    if (this.#visible) nextFrame(this.#update);
  }

  // A chart outside of the viewport is drawn for new data, though not for each tick, so that it is complete when the user
  // prints the page or scrolls fast.
  #drawAlsoHidden() {
    if (this.#visible) this.draw();
    else whenIdle(this.#updateShown);
  }

  #updateShown = () => this.#root.checkVisibility() && this.#update();

  rebuild() {
    this.#chart?.destroy();
    this.#chart = null;
    this.#drawAlsoHidden();
  }

  setLogarithmic(on) {
    this.logarithmic = on;
    this.rebuild();
  }

  #update = () => {
    this.#outdated = false;
    this.#lines = null;
    const lines = this.lines;
    if (!this.#chart || this.#chart.data.datasets.length !== lines.length) this.#build();
    const chart = this.#chart;
    const { from, to } = this.#page.window;
    lines.forEach((line, index) => Object.assign(chart.data.datasets[index], this.#dataset(line)));
    Object.assign(chart.options.scales.x, { min: from, max: to });
    Object.assign(chart.overlays, { step: this.#page.series.step, bands: this.#bands(to), alerts: this.marks, annotations: this.annotations });
    chart.update("none");
    const empty = find("[data-empty]", this.#root);
    empty.hidden = lines.some(({ points }) => points.some(({ y }) => y !== null));
    if (!empty.hidden) setText(empty, this.spec.emptyText);
    this.onDraw?.();
  };

  #bands(to) {
    const bands = this.#page.gaps().map((gap) => ({ ...gap, label: "no data" }));
    const newest = this.#page.series.newest();
    if (this.#page.rolling && this.#page.isDisconnected && newest !== null) {
      bands.push({ from: newest + this.#page.series.step, to, label: "disconnected", hatched: true });
    }
    return bands;
  }

  #dataset(line) {
    const stroke = colour(line.colour);
    const isBar = this.spec.type === "bar";
    return {
      label: line.label,
      labelColour: line.isBefore ? colour("muted") : stroke, // of the label at its end
      data: line.points.length > MOST_POINTS ? decimated(line.points) : line.points,
      borderColor: line.faint ? withAlpha(stroke, 0.45) : stroke,
      backgroundColor: isBar ? withAlpha(stroke, 0.86) : withAlpha(stroke, line.fill === "strong" ? 0.24 : 0.15),
      borderWidth: isBar ? 0 : (line.width ?? 1.6),
      borderDash: line.dash ?? [],
      fill: isBar || !line.fill ? false : (line.below ?? "origin"),
      pointRadius: 0,
      pointHoverRadius: 3.2,
      pointHoverBackgroundColor: stroke,
      pointHoverBorderWidth: 0,
      pointStyle: "rectRounded",
      ...(line.counts && !isBar ? { segment: { borderColor: this.#fadedSegments(line, stroke) } } : {}),
      // A line is broken by a bucket that is null and by one that is missing.
      spanGaps: (line.step ?? this.#page.series.step) * 1.5,
      ...(isBar ? { barPercentage: 1, categoryPercentage: 0.86, barThickness: this.#barWidth(), grouped: false } : {}),
    };
  }

  // Chart.js reads the colour of each part between two points; undefined is that of the line.
  #fadedSegments(line, stroke) {
    const { step } = this.#page.series;
    const isFew = (x) => (valueAt(line.counts, x, step) ?? 0) < ENOUGH_FOR_P99;
    return ({ p0, p1 }) => (isFew(p0.parsed.x) || isFew(p1.parsed.x) ? withAlpha(stroke, FEW_ALPHA) : undefined);
  }

  #barWidth() {
    const { from, to } = this.#page.window;
    const width = this.#chart?.chartArea?.width ?? 400;
    const pixels = (width / ((to - from) / this.#page.series.step)) * 0.84;
    return Math.max(1, Math.min(26, pixels));
  }

  #build() {
    this.#chart?.destroy();
    this.#chart = new window.Chart(this.#canvas, this.#config());
    this.#chart.overlays = { endLabels: this.spec.endLabels, step: this.#page.series.step, bands: [], brush: null };
    if (this.#hasPointer) return;
    attachPointer(this.#canvas, this.#page, () => this.#chart);
    this.#hasPointer = true;
  }

  // The configuration of the chart as it is shown now, to draw it elsewhere.
  config() {
    const config = this.#config();
    const { from, to } = this.#page.window;
    Object.assign(config.options.scales.x, { min: from, max: to });
    return config;
  }

  #config() {
    const { spec } = this;
    const stacked = Boolean(spec.stacked);
    return {
      type: spec.type,
      data: { datasets: this.lines.map((line) => this.#dataset(line)) },
      plugins: [bands, alertMarks, annotationLines, singlePoints, endLabels, brush],
      options: {
        animation: false,
        parsing: false,
        normalized: true,
        responsive: true,
        maintainAspectRatio: false,
        interaction: { mode: "index", intersect: false, axis: "x" },
        layout: { padding: { top: 6, right: this.#rightPadding() } },
        scales: {
          x: timeAxis({ stacked }),
          y: valueAxis({ ...spec, stacked, logarithmic: this.logarithmic }),
        },
        plugins: {
          legend: { display: false },
          decimation: { enabled: false },
          tooltip: {
            // A pinned crosshair has its values in the heads of the cards: a tooltip would show another time.
            filter: () => !this.#page.cursor.pinned,
            ...tooltip({
              title: (items) => this.#tooltipTitle(items[0]?.parsed.x),
              label: (item) => ` ${item.dataset.label}  ${spec.format(item.parsed.y)}`,
              labelColor: (item) => ({ borderColor: "transparent", backgroundColor: item.dataset.borderColor, borderRadius: 2 }),
              footer: (items) => this.#tooltipFooter(items[0]?.parsed.x),
            }),
          },
        },
        onResize: () => this.draw(),
      },
    };
  }

  // The space for the labels at the ends of the lines.
  #rightPadding() {
    if (!this.spec.endLabels) return 6;
    return this.lines.some(({ isBefore }) => isBefore) ? 70 : 36;
  }

  #tooltipTitle(ms) {
    if (ms === undefined) return "";
    const { from, to } = this.#page.window;
    const { step } = this.#page.series;
    const withDay = to - from > DAY_MS;
    return step >= DAY_MS ? moment(ms, true) : `${moment(ms, withDay)} – ${moment(ms + step, withDay)}`;
  }

  #tooltipFooter(ms) {
    const annotations = ms === undefined ? [] : annotationsAt(this.annotations, ms, this.#page.series.step);
    return [this.#countText(ms), ...tooltipRows(annotations)].filter(Boolean);
  }

  #countText(ms) {
    const points = this.spec.counts?.();
    const count = points && ms !== undefined ? valueAt(points, ms, this.#page.series.step) : null;
    if (count === null) return "";
    return `n = ${count.toLocaleString("en-US")}${count < ENOUGH_FOR_P99 ? ", too few for a reliable P99" : ""}`;
  }
}
