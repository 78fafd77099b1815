// Chart.js options that all charts share: horizontal grid lines only, at most five ticks, no axis lines.

import { element, find, isPhone } from "../page/dom.js";
import { dayOfMonth, hourAndMinute, timeOfDay, timeOfRate } from "../page/format.js";
import { instantsOf, localTime } from "../page/local-time.js";
import { logTicks } from "./heat.js";
import { colour } from "./palette.js";

const TEN_MINUTES = 600_000;
const TWO_DAYS = 172_800_000;
const ROUND_SECONDS = [5, 10, 15, 30];
const ROUND_MINUTES = [1, 2, 3, 5, 10, 15, 20, 30, 60, 120, 180, 240, 360, 720, 1440, 2880, 4320, 7200, 10_080];
const DAY_MINUTES = 1_440;
const TWO_WEEKS_SECONDS = 1_209_600;
const ROUND_FACTORS = [1, 2, 2.5, 5, 10];
const ROUND_DURATION_SECONDS = [1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14_400];
const MAX_STEPS = 4;

const font = (size = 11.5, weight = 450) => ({ family: "Inter", size, weight });

// The ticks of a time axis, about `max`: whole minutes, hours or days in the time zone of the browser. Where the clocks are
// set forward or back, the distance of two ticks differs, and their labels are whole on both sides. Where labels are days,
// ticks are.
export function timeTicks(from, to, max) {
  const span = to - from;
  const seconds = span < TEN_MINUTES ? ROUND_SECONDS : [];
  const steps = [...seconds, ...ROUND_MINUTES.filter((minutes) => span < TWO_DAYS || minutes >= DAY_MINUTES).map((minutes) => minutes * 60)];
  const step = (steps.find((length) => span / (length * 1000) <= max) ?? TWO_WEEKS_SECONDS) * 1000;
  const [first, last] = [localTime(from), localTime(to)];
  const change = Math.abs(last - first - span); // by how much the clocks are set within the window
  const values = [];
  for (let local = Math.ceil((Math.min(first, last) - change) / step) * step; local <= Math.max(first, last) + change; local += step) {
    values.push(...instantsOf(local).filter((value) => value >= from && value <= to));
  }
  return values.sort((a, b) => a - b).map((value) => ({ value }));
}

function timeLabel(ms, span) {
  if (span >= TWO_DAYS) return dayOfMonth(ms);
  return span < TEN_MINUTES ? timeOfDay(ms) : hourAndMinute(ms);
}

export function timeAxis({ stacked = false } = {}) {
  return {
    type: "time",
    stacked,
    offset: false,
    grid: { display: false },
    border: { display: false },
    ticks: { maxRotation: 0, autoSkip: false, color: colour("muted"), font: font(), padding: 4 },
    afterBuildTicks(axis) {
      const max = Math.max(2, Math.floor(axis.chart.width / (isPhone() ? 74 : 82)));
      axis.ticks = timeTicks(axis.min, axis.max, max);
    },
    afterTickToLabelConversion(axis) {
      for (const tick of axis.ticks) tick.label = timeLabel(tick.value, axis.max - axis.min);
    },
  };
}

// The distance of the ticks on an axis up to `max`: 1, 2, 2.5 or 5 times a power of ten. For durations of several seconds
// it is a round number of seconds or minutes.
export function roundStep(max, isDuration) {
  if (isDuration && max > 4_000) {
    const step = ROUND_DURATION_SECONDS.find((seconds) => max / (seconds * 1000) <= MAX_STEPS);
    if (step) return step * 1000;
  }
  const power = 10 ** Math.floor(Math.log10(max / MAX_STEPS));
  return ROUND_FACTORS.find((factor) => max / (factor * power) <= MAX_STEPS) * power;
}

// The limits of a logarithmic axis that has all these values: 1, 2 or 5 times a power of ten. {min, max}
export function logLimits(values) {
  const known = values.filter((value) => value > 0);
  if (!known.length) return { min: 1, max: 10 };
  const [least, most] = known.reduce(([low, high], value) => [Math.min(low, value), Math.max(high, value)], [Infinity, 0]);
  const round = (value) => [1, 2, 5, 10].map((factor) => Number((factor * 10 ** Math.floor(Math.log10(value))).toPrecision(1)));
  const min = round(least).findLast((edge) => edge <= least);
  const max = round(most).find((edge) => edge >= most);
  return { min, max: max > min ? max : 2 * min };
}

// `limits()`: those of a logarithmic axis, see `logLimits`. `formatTick(value, axisMax, time)` returns the label of a tick; `time` is that of an axis of rates (`isRate`).
export function valueAxis({ stacked = false, formatTick, max, suggestedMax, isDuration = false, isRate = false, logarithmic = false, limits }) {
  const roundTicks = {
    bounds: "data",
    afterDataLimits(axis) {
      const highest = Math.max(axis.max, suggestedMax ?? 0);
      if (!(highest > 0) || !Number.isFinite(highest)) return;
      axis.rateTime = isRate ? timeOfRate(highest) : undefined;
      const seconds = axis.rateTime?.seconds ?? 1; // the steps are round in the time of the labels
      axis.roundStep = roundStep(highest * seconds, isDuration) / seconds;
      axis.min = 0;
      axis.max = Math.ceil(highest / axis.roundStep - 1e-9) * axis.roundStep;
    },
    afterBuildTicks(axis) {
      if (!axis.roundStep) return;
      axis.ticks = Array.from({ length: Math.round(axis.max / axis.roundStep) + 1 }, (_, index) => ({ value: index * axis.roundStep }));
    },
  };
  const withinLimits = {
    bounds: "data",
    afterDataLimits: (axis) => Object.assign(axis, limits()),
    afterBuildTicks(axis) {
      axis.ticks = logTicks(axis.min, axis.max).map((value) => ({ value }));
    },
  };
  return {
    type: logarithmic || limits ? "logarithmic" : "linear",
    stacked,
    beginAtZero: !logarithmic && !limits,
    max,
    suggestedMax,
    ...(limits ? withinLimits : logarithmic || max ? {} : roundTicks),
    border: { display: false },
    grid: { color: colour("line-soft"), drawTicks: false },
    afterFit(axis) {
      axis.width = Math.max(axis.width, 44); // so that all charts have the same left edge
    },
    ticks: {
      maxTicksLimit: 5,
      color: colour("muted"),
      font: font(),
      padding: 8,
      callback(value, index, ticks) {
        return formatTick(value, ticks.at(-1)?.value ?? value, /** @type {any} */ (this).rateTime);
      },
    },
  };
}

// A tooltip beside the pointer. On a phone it would cover the chart, so there its text stands above the chart.
export function tooltip(callbacks) {
  return {
    enabled: !isPhone(),
    external: isPhone() ? readout : undefined,
    animation: false,
    backgroundColor: colour("card"),
    borderColor: colour("line"),
    borderWidth: 1,
    cornerRadius: 8,
    padding: 10,
    caretSize: 0,
    caretPadding: 12,
    titleColor: colour("muted"),
    bodyColor: colour("text"),
    footerColor: colour("muted"),
    titleFont: font(11.5, 500),
    bodyFont: font(12.5, 560),
    footerFont: font(11.5, 450),
    boxWidth: 9,
    boxHeight: 9,
    boxPadding: 5,
    usePointStyle: true,
    callbacks,
  };
}

function readout({ chart, tooltip: shown }) {
  const plot = chart.canvas?.parentElement;
  if (!plot) return;
  const node = find(".readout", plot) ?? plot.appendChild(element("div", { class: "readout", "aria-hidden": "true", hidden: true }));
  node.hidden = shown.opacity === 0 || !shown.body?.length;
  if (node.hidden) return;
  const lines = shown.body.flatMap((part) => part.lines).map((line, index) => {
    const square = element("i");
    square.style.background = shown.labelColors[index]?.backgroundColor ?? "transparent";
    return element("span", {}, square, line.trim());
  });
  node.replaceChildren(element("b", {}, shown.title.join(" ")), ...lines, element("small", {}, shown.footer.join(" ")));
}
