// The labels below the small pictures of devices. Pure.

import { timeTicks } from "../charts/options.js";
import { dayOfMonth, hourAndMinute } from "../page/format.js";

const MOST = 4;
const EDGE = 0.08; // a label nearer to an end has no room
const TWO_DAYS = 172_800_000;

// [{text, share}]: whole hours or days, and where each is in the picture, as a share of its width.
/** @param {number} from
 *  @param {number} to */
export function axisLabels(from, to) {
  if (to <= from) return [];
  const isDay = (ms) => to - from >= TWO_DAYS || hourAndMinute(ms) === "00:00";
  return timeTicks(from, to, MOST)
    .map(({ value }) => ({ text: isDay(value) ? dayOfMonth(value) : hourAndMinute(value), share: (value - from) / (to - from) }))
    .filter(({ share }) => share >= EDGE && share <= 1 - EDGE);
}
