// The points of every series on the page: {x: start of the bucket in epoch ms, y: value or null}. Pure.
// A bucket replaces the bucket with the same start, so that a tick may repeat it. Buckets older than the window are
// deleted, so that a page that is open for a week holds no more than one that was just loaded.

// In place of a label: all groups together that have no series of their own. As metrics/queries/series_spec.py has it.
export const OTHERS = "__others__";

const keyOf = (metric, stat, label = "") => (label ? `${metric}|${stat}|${label}` : `${metric}|${stat}`);
const labelOf = (labels) => Object.values(labels ?? {}).join("/");

export class SeriesStore {
  step = 1000; // milliseconds between two points
  /** @type {Map<string, Point[]>} */
  #points = new Map();
  /** @type {Map<string, Set<string>>} */
  #groups = new Map();

  // Replace all series by those of the page's data, {step_seconds, start, series}, where a series has the values of all
  // buckets from `start` on.
  /** @param {History | null | undefined} history */
  load(history) {
    this.#points.clear();
    this.#groups.clear();
    if (!history) return;
    this.step = history.step_seconds * 1000;
    for (const series of history.series) {
      this.#set(series, series.values.map((y, index) => ({ x: history.start + index * this.step, y })));
    }
  }

  /** @param {{ metric: string, stat: string, labels?: Labels }} series
   *  @param {Point[]} points */
  #set({ metric, stat, labels }, points) {
    const label = labelOf(labels);
    this.#points.set(keyOf(metric, stat, label), points);
    if (!label) return;
    const group = keyOf(metric, stat);
    if (!this.#groups.has(group)) this.#groups.set(group, new Set());
    this.#groups.get(group).add(label);
  }

  // Add the newest buckets of a tick, and delete buckets before `oldest`.
  /** @param {SeriesBuckets[]} buckets
   *  @param {number} oldest */
  merge(buckets, oldest) {
    for (const series of buckets) {
      const key = keyOf(series.metric, series.stat, labelOf(series.labels));
      if (!this.#points.has(key)) this.#set(series, []);
      const points = this.#points.get(key);
      for (const [x, y] of series.points) place(points, x, y);
    }
    for (const points of this.#points.values()) {
      let expired = 0;
      while (expired < points.length && points[expired].x < oldest - this.step) expired += 1;
      if (expired) points.splice(0, expired);
    }
  }

  /** @param {string} metric
   *  @param {string} stat
   *  @param {string} [label]
   *  @returns {Point[]} */
  get(metric, stat, label) {
    return this.#points.get(keyOf(metric, stat, label)) ?? [];
  }

  // The points of all series of a metric: a value of any of them, null where none has one.
  /** @param {string} metric
   *  @param {string} stat
   *  @returns {Point[]} */
  any(metric, stat) {
    const groups = this.labels(metric, stat);
    if (!groups.length) return this.get(metric, stat);
    const values = new Map();
    for (const label of groups) for (const { x, y } of this.get(metric, stat, label)) values.set(x, values.get(x) ?? y);
    return [...values].map(([x, y]) => ({ x, y })).sort((a, b) => a.x - b.x);
  }

  labels(metric, stat) {
    return [...(this.#groups.get(keyOf(metric, stat)) ?? [])];
  }

  // The start of the newest bucket that has a value in any series; null where none has.
  newest() {
    const starts = [...this.#points.values()].map((points) => points.findLast(({ y }) => y !== null)?.x);
    const known = starts.filter((start) => start !== undefined);
    return known.length ? Math.max(...known) : null;
  }
}

// Insert a point by its time, in place of the one with the same time.
/** @param {Point[]} points
 *  @param {number} x
 *  @param {number | null} y */
export function place(points, x, y) {
  let index = points.length;
  while (index > 0 && points[index - 1].x > x) index -= 1;
  if (index > 0 && points[index - 1].x === x) points[index - 1] = { x, y };
  else points.splice(index, 0, { x, y });
}

// The newest value; null where the newest `within` buckets have none.
/** @param {Point[]} points */
export function lastValue(points, within = 3) {
  return points.slice(-within).findLast(({ y }) => y !== null)?.y ?? null;
}

// The newest value of the buckets that ended before the data do, `until`, because the sum of a part of a bucket is not that
// of a bucket; where the newest of them have none, that of the bucket that is still open.
/** @param {Point[]} points
 *  @param {number} step
 *  @param {number} until */
export function lastWhole(points, step, until) {
  const whole = points.slice(0, points.findLastIndex(({ x }) => x + step <= until) + 1);
  return lastValue(whole) ?? lastValue(points);
}

// The value of the bucket that contains this time; null where there is none.
/** @param {Point[]} points
 *  @param {number} time
 *  @param {number} step
 *  @returns {number | null} */
export function valueAt(points, time, step) {
  let low = 0;
  let high = points.length - 1;
  while (low <= high) {
    const middle = (low + high) >> 1;
    if (points[middle].x > time) high = middle - 1;
    else if (points[middle].x + step <= time) low = middle + 1;
    else return points[middle].y;
  }
  return null;
}

// The share of the values in those of a whole, in percent; null where one is not known or the whole is 0.
/** @param {Point[]} points
 *  @param {Point[]} whole
 *  @returns {Point[]} */
export function percentOf(points, whole) {
  const at = new Map(points.map(({ x, y }) => [x, y]));
  return whole.map(({ x, y }) => ({ x, y: y && typeof at.get(x) === "number" ? (100 * at.get(x)) / y : null }));
}

// Gaps of at least two buckets between the first and the last bucket with a value: [{from, to}].
/** @param {Point[]} points
 *  @param {number} step
 *  @returns {TimeWindow[]} */
export function gaps(points, step) {
  const result = [];
  let previous = null;
  for (const point of points) {
    if (point.y === null) continue;
    if (previous !== null && point.x - previous > 2 * step) result.push({ from: previous + step, to: point.x });
    previous = point.x;
  }
  return result;
}

// At most `most` values for a sparkline, each the average of its part of the window, or null where that has none. There are
// no more parts than buckets, because a part without a bucket would be a gap in the line.
/** @param {Point[]} points
 *  @param {number} from
 *  @param {number} to */
export function thin(points, from, to, most = 60) {
  const distance = points.slice(1).reduce((least, { x }, index) => Math.min(least, x - points[index].x), Infinity);
  const count = Number.isFinite(distance) ? Math.max(1, Math.min(most, Math.floor((to - from) / distance))) : most;
  const width = (to - from) / count;
  const sums = new Array(count).fill(0);
  const counts = new Array(count).fill(0);
  for (const { x, y } of points) {
    if (y === null || x < from || x >= to) continue;
    const slot = Math.min(count - 1, Math.floor((x - from) / width));
    sums[slot] += y;
    counts[slot] += 1;
  }
  return sums.map((sum, slot) => (counts[slot] ? sum / counts[slot] : null));
}
