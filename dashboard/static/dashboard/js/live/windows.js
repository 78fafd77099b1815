// The windows that panning, zooming and dragging lead to, {from, to} in epoch milliseconds. Pure.

const SHORTEST_MS = 10_000;
const LONGEST_MS = 400 * 86_400_000;

// Whole seconds between two times, within the limits of length and not after `now`.
/** @param {TimeWindow} window
 *  @param {number} now
 *  @returns {TimeWindow} */
export function allowedWindow({ from, to }, now) {
  const newest = Math.ceil(now / 1000) * 1000;
  const length = Math.min(LONGEST_MS, Math.max(SHORTEST_MS, to - from));
  const end = Math.min(to, newest);
  const start = Math.max(0, Math.floor((end - length) / 1000) * 1000);
  return { from: start, to: Math.ceil(end / 1000) * 1000 };
}

// Half a window earlier (-1) or later (1).
/** @param {TimeWindow} window
 *  @param {number} direction */
export function panned({ from, to }, direction) {
  const distance = (direction * (to - from)) / 2;
  return { from: from + distance, to: to + distance };
}

// A window of the same middle that is `factor` times as long.
/** @param {TimeWindow} window
 *  @param {number} factor */
export function zoomed({ from, to }, factor) {
  const middle = (from + to) / 2;
  const half = ((to - from) * factor) / 2;
  return { from: middle - half, to: middle + half };
}
