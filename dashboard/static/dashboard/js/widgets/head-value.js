// The value of a line in the head of its chart: at the time of the crosshair, otherwise that of the newest step that is whole.
// All heads have it from here, so that a sum and its parts are of the same step.

import { lastWhole, valueAt } from "../live/series.js";

/** @param {import("../live/page.js").Page} page
 *  @param {Point[]} points
 *  @param {number | null} time */
export const headValue = (page, points, time) =>
  time === null ? lastWhole(points, page.series.step, page.dataUntil) : valueAt(points, time, page.series.step);
