// The value of a line in the head of its chart: at the time of the crosshair, otherwise that of the newest step that is whole.
// All heads have it from here, so that a sum and its parts are of the same step. A level, such as the number of requests that
// wait, is known at each moment: its value is that of the newest step, whole or not.

import { lastValue, lastWhole, valueAt } from "../live/series.js";

/** @param {import("../live/page.js").Page} page
 *  @param {Point[]} points
 *  @param {number | null} time
 *  @param {{ isLevel?: boolean }} [options] */
export function headValue(page, points, time, { isLevel = false } = {}) {
  if (time !== null) return valueAt(points, time, page.series.step);
  return isLevel ? lastValue(points) : lastWhole(points, page.series.step, page.dataUntil);
}
