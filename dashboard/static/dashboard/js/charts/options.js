// Chart.js options that all our charts share: horizontal lines only, five ticks at most, no axis lines, no points.

import { isPhone } from "../page/dom.js";
import { dayOfMonth, hourAndMinute, timeOfDay } from "../page/format.js";
import { colour } from "./palette.js";

const TEN_MINUTES = 600_000;
const TWO_DAYS = 172_800_000;
const NICE_MINUTES = [1, 2, 3, 5, 10, 15, 20, 30, 60, 120, 180, 240, 360, 720, 1440, 2880, 4320, 7200, 10_080];

const font = (size = 11.5, weight = 450) => ({ family: "Inter", size, weight });

// Epoch ms of the marks on the time axis: whole minutes (or hours, days) of the viewer's zone.
function timeMarks(from, to, most) {
  const span = to - from;
  const step = (NICE_MINUTES.find((minutes) => span / (minutes * 60_000) <= most) ?? 20_160) * 60_000;
  if (span < TEN_MINUTES) return spaced(from, to, [5, 10, 15, 30, 60].find((one) => span / (one * 1000) <= most) * 1000, 0);
  // Days and hours of the viewer begin where their zone says, in the middle of the window as good as anywhere.
  return spaced(from, to, step, new Date((from + to) / 2).getTimezoneOffset() * 60_000);
}

function spaced(from, to, step, offset) {
  const marks = [];
  for (let mark = Math.ceil((from - offset) / step) * step + offset; mark <= to; mark += step) marks.push({ value: mark });
  return marks;
}

function markWords(ms, span) {
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
      const most = Math.max(2, Math.floor(axis.chart.width / (isPhone() ? 74 : 82)));
      axis.ticks = timeMarks(axis.min, axis.max, most);
    },
    afterTickToLabelConversion(axis) {
      for (const tick of axis.ticks) tick.label = markWords(tick.value, axis.max - axis.min);
    },
  };
}

const NICE = [1, 2, 2.5, 5, 10];
const NICE_TIMES = [1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14_400];
const MOST_STEPS = 4;

// The distance of the marks: 1, 2, 2.5 or 5 times a power of ten; for milliseconds that make seconds or minutes, one that
// is round in these.
export function niceStep(most, isDuration) {
  if (isDuration && most > 4_000) {
    const found = NICE_TIMES.find((seconds) => most / (seconds * 1000) <= MOST_STEPS);
    if (found) return found * 1000;
  }
  const power = 10 ** Math.floor(Math.log10(most / MOST_STEPS));
  return NICE.find((factor) => most / (factor * power) <= MOST_STEPS) * power;
}

export function valueAxis({ stacked = false, words, max, suggestedMax, isDuration = false, logarithmic = false }) {
  const marks = {
    bounds: "data",
    afterDataLimits(axis) {
      const most = Math.max(axis.max, suggestedMax ?? 0);
      if (!(most > 0) || !Number.isFinite(most)) return;
      axis.ourStep = niceStep(most, isDuration);
      axis.min = 0;
      axis.max = Math.ceil(most / axis.ourStep - 1e-9) * axis.ourStep;
    },
    afterBuildTicks(axis) {
      if (!axis.ourStep) return;
      axis.ticks = [];
      for (let mark = 0; mark <= axis.max + axis.ourStep / 2; mark += axis.ourStep) axis.ticks.push({ value: mark });
    },
  };
  return {
    type: logarithmic ? "logarithmic" : "linear",
    stacked,
    beginAtZero: !logarithmic,
    max,
    suggestedMax,
    ...(logarithmic || max ? {} : marks),
    border: { display: false },
    grid: { color: colour("line-soft"), drawTicks: false },
    afterFit(axis) {
      axis.width = Math.max(axis.width, 44); // one left edge for all charts
    },
    ticks: {
      maxTicksLimit: 5,
      color: colour("muted"),
      font: font(),
      padding: 8,
      callback(value, index, ticks) {
        return words(value, ticks.at(-1)?.value ?? value);
      },
    },
  };
}

export function tooltip(callbacks) {
  return {
    enabled: true,
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
