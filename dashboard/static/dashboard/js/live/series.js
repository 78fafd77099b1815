// The points of every series on the page, as {x: epoch ms, y: value or null}, by start of bucket. Pure.
// A bucket replaces the one with the same start, so that ticks may come twice, and what is older than the window goes:
// a page left open for a week holds no more than one that was just loaded.

const keyOf = (metric, stat, label = "") => (label ? `${metric}|${stat}|${label}` : `${metric}|${stat}`);
const labelOf = (labels) => Object.values(labels ?? {}).join("/");

export class SeriesStore {
  step = 1000; // milliseconds between two points
  #points = new Map();
  #groups = new Map();

  // Take the place of all that is there. Both are answers of the history call.
  load(history, grouped) {
    this.#points.clear();
    this.#groups.clear();
    if (history) this.step = history.step_seconds * 1000;
    for (const answer of [history, grouped]) {
      for (const one of answer?.series ?? []) {
        const points = one.points.map(([x, y]) => ({ x, y }));
        this.#put(one, points);
      }
    }
  }

  #put(one, points) {
    const label = labelOf(one.labels);
    this.#points.set(keyOf(one.metric, one.stat, label), points);
    if (!label) return;
    const group = keyOf(one.metric, one.stat);
    if (!this.#groups.has(group)) this.#groups.set(group, new Set());
    this.#groups.get(group).add(label);
  }

  // Newest buckets of a tick: [{metric, stat, labels, points}].
  merge(buckets, oldest) {
    for (const one of buckets) {
      const key = keyOf(one.metric, one.stat, labelOf(one.labels));
      if (!this.#points.has(key)) this.#put(one, []);
      const points = this.#points.get(key);
      for (const [x, y] of one.points) place(points, x, y);
    }
    for (const points of this.#points.values()) {
      let old = 0;
      while (old < points.length && points[old].x < oldest - this.step) old += 1;
      if (old) points.splice(0, old);
    }
  }

  get(metric, stat, label) {
    return this.#points.get(keyOf(metric, stat, label)) ?? [];
  }

  labels(metric, stat) {
    return [...(this.#groups.get(keyOf(metric, stat)) ?? [])];
  }

  // The start of the newest bucket of which anything is known.
  newest() {
    let found = null;
    for (const points of this.#points.values()) {
      for (let index = points.length - 1; index >= 0; index -= 1) {
        if (points[index].y === null) continue;
        if (found === null || points[index].x > found) found = points[index].x;
        break;
      }
    }
    return found;
  }
}

export function place(points, x, y) {
  let index = points.length;
  while (index > 0 && points[index - 1].x > x) index -= 1;
  if (index > 0 && points[index - 1].x === x) points[index - 1] = { x, y };
  else points.splice(index, 0, { x, y });
}

// The newest value, and null when the newest few buckets hold none.
export function last(points, within = 3) {
  for (let index = points.length - 1; index >= Math.max(0, points.length - within); index -= 1) {
    if (points[index].y !== null) return points[index].y;
  }
  return null;
}

// The value of the bucket that holds this time.
export function at(points, time, step) {
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

// Runs of buckets without a value between the first and the last that have one: [{from, to}], of two buckets or more.
export function gaps(points, step) {
  const found = [];
  let previous = null;
  for (const point of points) {
    if (point.y === null) continue;
    if (previous !== null && point.x - previous > 2 * step) found.push({ from: previous + step, to: point.x });
    previous = point.x;
  }
  return found;
}

// At most `most` points, each the mean of the known values of its part of the window; for sparklines.
export function thin(points, from, to, most = 60) {
  const width = (to - from) / most;
  const sums = new Array(most).fill(0);
  const counts = new Array(most).fill(0);
  for (const { x, y } of points) {
    if (y === null || x < from || x >= to) continue;
    const slot = Math.min(most - 1, Math.floor((x - from) / width));
    sums[slot] += y;
    counts[slot] += 1;
  }
  return sums.map((sum, slot) => (counts[slot] ? sum / counts[slot] : null));
}
