// A paused page: its window, since when, the machines of that moment, and what has arrived meanwhile.

import { RequestsSincePause } from "./requests-since-pause.js";

export class Pause {
  window;
  at;
  hosts;
  #requests; // null where ticks were missed

  // `rates`: the points of the rate of requests; `endOfTick`: the end of the newest tick, in epoch milliseconds.
  constructor(window, at, rates, step, endOfTick, hosts) {
    this.window = window;
    this.at = at;
    this.hosts = hosts;
    this.#requests = new RequestsSincePause(rates, step, window.to, endOfTick);
  }

  add(buckets) {
    this.#requests?.add(buckets);
  }

  missTicks() {
    this.#requests = null;
  }

  // The number of requests that finished since the pause; null where it is unknown.
  requests(endOfTick) {
    return this.#requests?.count(endOfTick) ?? null;
  }
}
