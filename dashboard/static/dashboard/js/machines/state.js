// What the widgets of the page share: the lines of the data, and the hosts that are shown.

import { chosenHosts } from "../widgets/machine-values.js";
import { Lines, lastKnown } from "./lines.js";
import { hostsOfLines } from "./devices.js";

const LEAST_REFRESH_MS = 5_000;
const MOST_REFRESH_MS = 60_000; // the page loads its data each minute

export class MachinesState {
  lines = new Lines(null);
  before = new Lines(null);
  #page;
  #loadedAt = 0;

  constructor(page) {
    this.#page = page;
    const read = () => {
      this.lines = new Lines(page.data.lines);
      this.before = new Lines(page.data.lines_before);
      this.#loadedAt = performance.now();
    };
    read();
    page.topics.on("data", read);
    // Ticks carry no lines, so they are read again when they have another step.
    page.topics.on("second", () => {
      const wait = Math.max(LEAST_REFRESH_MS, this.lines.step);
      if (wait >= MOST_REFRESH_MS || !page.live || document.hidden || page.isDisconnected) return;
      if (performance.now() - this.#loadedAt < wait) return;
      this.#loadedAt = performance.now();
      page.load({ quiet: true });
    });
  }

  // The hosts with their newest samples; of a window between two fixed times, with their last values in it.
  get hosts() {
    if (!this.#page.rolling) return hostsOfLines(this.lines, lastKnown);
    return chosenHosts(this.#page);
  }
}
