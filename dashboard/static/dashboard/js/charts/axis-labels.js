// Labels of value axes. All labels of an axis have one unit, chosen from its maximum.

import { SPACE, significant } from "../page/format.js";

const withoutTrailingZeros = (value) => significant(value, 3).replace(/(\.\d*?)0+$/, "$1").replace(/\.$/, "");

export function durationLabel(milliseconds, max) {
  if (max >= 10_800_000) return `${withoutTrailingZeros(milliseconds / 3_600_000)}${SPACE}h`;
  if (max >= 300_000) return `${withoutTrailingZeros(milliseconds / 60_000)}${SPACE}m`;
  if (max >= 1_000) return `${withoutTrailingZeros(milliseconds / 1_000)}${SPACE}s`;
  return `${withoutTrailingZeros(milliseconds)}${SPACE}ms`;
}

export function numberLabel(value, max) {
  if (max >= 1e6) return value === 0 ? "0" : `${withoutTrailingZeros(value / 1e6)}${SPACE}M`;
  if (max >= 1e3) return value === 0 ? "0" : `${withoutTrailingZeros(value / 1e3)}${SPACE}k`;
  return withoutTrailingZeros(value);
}

// A number per second, in the time that the axis chose for its maximum: 4/s, or 20/min.
export function rateLabel(value, max, { time, seconds } = { time: "s", seconds: 1 }) {
  const label = numberLabel(value * seconds, max * seconds);
  return value === 0 ? label : `${label}/${time}`;
}

export const percentLabel = (value) => `${withoutTrailingZeros(value)}${SPACE}%`;
