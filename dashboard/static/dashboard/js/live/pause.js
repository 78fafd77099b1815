// A paused page: its window, since when, the machines of that moment, and what has arrived meanwhile.

import { RequestsSincePause } from "./requests-since-pause.js";

export class Pause {
  window;
  at;
  hosts;
  dataUntil;
  #requests; // null where ticks were missed

  // `rates`: the points of the rate of requests; `dataUntil`: the end of the newest second that they include, in epoch
  // milliseconds.
  constructor(window, at, rates, step, dataUntil, hosts) {
    this.window = window;
    this.at = at;
    this.hosts = hosts;
    this.dataUntil = dataUntil;
    this.#requests = new RequestsSincePause(rates, step, window.to, dataUntil);
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
