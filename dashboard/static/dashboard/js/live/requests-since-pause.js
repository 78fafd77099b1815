// How many requests ended since a pause: what the buckets from there on hold now, less what they held then. Pure.
// Kept are the newest buckets, which a tick may still change; of those before, their sum: a pause may last for days.

import { place } from "./series.js";

const KEPT = 64; // a tick brings up to 60 buckets again

export class Arrivals {
  #step;
  #points;
  #oldest; // what begins before this is settled
  #settled = 0;
  #before;

  // `points` are requests per second by start of bucket; `now` is the end of the newest second that they know of.
  constructor(points, step, pausedAt, now) {
    this.#step = step;
    this.#oldest = Math.floor(pausedAt / step) * step - step;
    this.#points = points.filter(({ x }) => x >= this.#oldest);
    this.#before = this.#held(now);
  }

  take(buckets) {
    for (const { metric, stat, labels, points } of buckets) {
      if (metric !== "inference.requests" || stat !== "rate" || Object.keys(labels ?? {}).length) continue;
      for (const [x, y] of points) if (x >= this.#oldest) place(this.#points, x, y);
    }
    while (this.#points.length > KEPT) {
      const { x, y } = this.#points.shift();
      this.#settled += ((y ?? 0) * this.#step) / 1000;
      this.#oldest = x + this.#step;
    }
  }

  count(now) {
    return Math.max(0, Math.round(this.#held(now) - this.#before));
  }

  #held(now) {
    return this.#points.reduce((sum, { x, y }) => sum + ((y ?? 0) * Math.max(0, Math.min(x + this.#step, now) - x)) / 1000, this.#settled);
  }
}
