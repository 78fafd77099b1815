// Marks on value axes: one unit for each axis, chosen from its maximum.

import { SPACE, significant } from "../page/format.js";

const trimmed = (value) => significant(value, 3).replace(/(\.\d*?)0+$/, "$1").replace(/\.$/, "");

export function durationMark(milliseconds, most) {
  if (most >= 300_000) return `${trimmed(milliseconds / 60_000)}${SPACE}m`;
  if (most >= 1_000) return `${trimmed(milliseconds / 1_000)}${SPACE}s`;
  return `${trimmed(milliseconds)}${SPACE}ms`;
}

export function numberMark(value, most) {
  if (most >= 1e6) return value === 0 ? "0" : `${trimmed(value / 1e6)}${SPACE}M`;
  if (most >= 1e3) return value === 0 ? "0" : `${trimmed(value / 1e3)}${SPACE}k`;
  return trimmed(value);
}

export const percentMark = (value) => `${trimmed(value)}${SPACE}%`;
