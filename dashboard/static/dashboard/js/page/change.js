// The change of a value since the window before, in words. The rules are those of dashboard/formatting.py.

import { FORMATS, SPACE, fixed, text as textOf } from "./format.js";

const SMALL_PERCENT = 5;
const UNKNOWN = { text: "", judgement: "" };
const NO_CHANGE = { text: "no change", judgement: "" };

export function change(format, now, before, worse) {
  if (now === null || now === undefined || before === null || before === undefined) return UNKNOWN;
  const difference = now - before;
  let size;
  let large;
  if (format === "percent") {
    if (Math.abs(difference) < 0.05) return NO_CHANGE;
    size = `${fixed(Math.abs(difference), 1)} points`;
    large = Math.abs(difference) >= 1;
  } else if (format === "pending" || before === 0 || Math.abs(now) > 10 * Math.abs(before)) {
    if (fixed(now, 1) === fixed(before, 1)) return NO_CHANGE;
    const old = FORMATS[format](before);
    size = `from ${old.unit === FORMATS[format](now).unit ? old.number : textOf(old)}`;
    large = Math.abs(difference) >= 1;
  } else {
    const share = (100 * difference) / Math.abs(before);
    if (Math.abs(share) < 0.5) return NO_CHANGE;
    size = `${fixed(Math.abs(share), 0)}${SPACE}%`;
    large = Math.abs(share) >= SMALL_PERCENT;
  }
  const judgement = worse && large ? (difference > 0 === (worse === "up") ? "worse" : "better") : "";
  return { text: `${difference > 0 ? "▲" : "▼"}${SPACE}${size}`, judgement };
}
