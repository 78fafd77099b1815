// The number of requests that finished since the page was paused: what the buckets from there on hold now, less what they
// held then. Pure. A pause may last for days, so old buckets are reduced to their sum; ticks change only the newest.

import { place } from "./series.js";

const MAX_BUCKETS = 64; // a tick repeats up to 60 buckets

export class RequestsSincePause {
  #step;
  #points;
  #oldest; // buckets that start before this do not change any more
  #settled = 0; // requests in those buckets
  #countAtPause;

  // `points` are requests per second by start of bucket. `dataUntil` is the end of the newest second they include.
  constructor(points, step, pausedAt, dataUntil) {
    this.#step = step;
    this.#oldest = Math.floor(pausedAt / step) * step - step;
    this.#points = points.filter(({ x }) => x >= this.#oldest);
    this.#countAtPause = this.#total(dataUntil);
  }

  add(buckets) {
    for (const { metric, stat, labels, points } of buckets) {
      if (metric !== "inference.requests" || stat !== "rate" || Object.keys(labels ?? {}).length) continue;
      for (const [x, y] of points) if (x >= this.#oldest) place(this.#points, x, y);
    }
    while (this.#points.length > MAX_BUCKETS) {
      const { x, y } = this.#points.shift();
      this.#settled += ((y ?? 0) * this.#step) / 1000;
      this.#oldest = x + this.#step;
    }
  }

  count(dataUntil) {
    return Math.max(0, Math.round(this.#total(dataUntil) - this.#countAtPause));
  }

  #total(dataUntil) {
    const inBucket = ({ x, y }) => ((y ?? 0) * Math.max(0, Math.min(x + this.#step, dataUntil) - x)) / 1000;
    return this.#points.reduce((sum, point) => sum + inBucket(point), this.#settled);
  }
}
