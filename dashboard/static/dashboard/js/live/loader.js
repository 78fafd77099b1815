// Loads the data of the page for its address, and refreshes what ticks do not carry.

import { pageData, pageFigures } from "../page/api.js";
import { collected } from "../page/scheduling.js";

const RELOAD_MS = 60_000;
const REFRESH_MS = 5_000; // up to a range of one hour; three times as long for longer ranges
const CHANGES_MS = 300; // many alerts may change with one evaluation
const SLOW_AFTER_MS = 3_000;

export class Loader {
  /** @type {false | "loading" | "slow"} */
  state = false;
  problem = null;
  #page;
  #always;
  #abort = null;
  #inProgress = null;
  #reloadTimer = null;

  // `always`: refresh the figures also while the window is paused or fixed, and while nothing is measured.
  /** @param {import("./page.js").Page} page
   *  @param {boolean} always */
  constructor(page, always) {
    this.#page = page;
    this.#always = always;
  }

  // Load the data of the current address, as a reload would. Resolves to "loaded", "failed", "cancelled" or "paused".
  //
  // A quiet load shows no progress. It joins a load in progress, and it does not change a paused page, whose data would
  // be lost. Any other load replaces a load in progress, which then resolves to the outcome of its successor.
  load({ quiet = false } = {}) {
    if (quiet && this.#inProgress) return this.#inProgress;
    if (quiet && this.#page.pause) {
      this.#page.pause.missTicks(); // a quiet load means that ticks were missed
      return Promise.resolve("paused");
    }
    const load = this.#load(quiet).then((outcome) => {
      if (this.#inProgress !== load) return this.#inProgress ?? outcome;
      this.#inProgress = null;
      return outcome;
    });
    this.#inProgress = load;
    return load;
  }

  async #load(quiet) {
    this.#abort?.abort();
    const abort = new AbortController();
    this.#abort = abort;
    const started = performance.now();
    const slowTimer = setTimeout(() => this.#setState("slow"), SLOW_AFTER_MS);
    if (!quiet) this.#setState("loading");
    try {
      const data = await pageData(location.search, this.#page.data.table_versions, abort.signal);
      if (abort.signal.aborted) return "cancelled";
      if (quiet && this.#page.pause) return "paused";
      this.problem = null;
      this.#page.showLoaded(data, { took: performance.now() - started, quiet });
      return "loaded";
    } catch (problem) {
      if (problem.name === "AbortError") return "cancelled";
      this.problem = problem;
      this.#page.topics.emit("problem");
      return "failed";
    } finally {
      clearTimeout(slowTimer);
      if (this.#abort === abort) this.#setState(false);
      this.#scheduleReload();
    }
  }

  cancel() {
    this.#abort?.abort();
    this.#setState(false);
  }

  #setState(state) {
    if (this.state === state) return;
    this.state = state;
    document.getElementById("content").toggleAttribute("aria-busy", Boolean(state));
    this.#page.topics.emit("loading");
  }

  startRefreshing() {
    this.#scheduleReload();
    this.#scheduleRefresh();
  }

  // Refresh what ticks do not carry: the sentence, the changes, the tables, the distributions.
  #scheduleRefresh() {
    const isLong = this.#page.rolling && this.#page.range.seconds > 3600 && !this.#always;
    setTimeout(async () => {
      if (this.#mayRefresh()) await this.refresh();
      this.#scheduleRefresh();
    }, isLong ? 3 * REFRESH_MS : REFRESH_MS);
  }

  #mayRefresh() {
    const isConnected = ["live", "polling"].includes(this.#page.connection.state);
    const isNeeded = this.#always || (this.#page.live && !this.#page.isIdle);
    return isNeeded && !document.hidden && !this.#inProgress && isConnected;
  }

  // Read the figures now. Without a response they stay as they are: the state of the connection is shown elsewhere.
  async refresh() {
    const search = location.search;
    this.#page.noteRefresh();
    const figures = await pageFigures(search, this.#page.data.table_versions).catch(() => null);
    // Meanwhile the user may have changed the address or paused the page.
    const isCurrent = search === location.search && figures?.params.range === this.#page.params.range;
    if (!isCurrent || this.#inProgress || (!this.#page.live && !this.#always)) return;
    this.#page.showFigures(figures);
  }

  // Refresh for a change of alerts. A hidden page does it when it is shown again.
  refreshSoon = collected(() => document.hidden || this.refresh(), CHANGES_MS);

  // Ticks do not carry what was removed, nor late events between a load and the next tick, so an open page loads its data
  // once a minute.
  #scheduleReload() {
    clearTimeout(this.#reloadTimer);
    this.#reloadTimer = setTimeout(() => {
      if (this.#page.live && !document.hidden && !this.#page.isDisconnected) this.load({ quiet: true });
      else this.#scheduleReload();
    }, RELOAD_MS);
  }
}
