// The state of the page: its parameters (those of the address), its data, the series and the newest tick.
// Widgets read it and listen to its topics: "data" (all data is new), "figures" (data that ticks do not carry), "tick",
// "second", "connection", "connection-event", "cursor", "cursor-by-key", "theme", "pause", "problem", "loading", "alert"
// (a change of an alert), "alerts-changed" (read them again), "firing" (see alerting/open-alerts.js), "sound", "sound-played",
// "mute", "go-to-toasts".

import { announce } from "../page/announce.js";
import { pageData, pageFigures } from "../page/api.js";
import { collected } from "../page/scheduling.js";
import { RequestsSincePause } from "./requests-since-pause.js";
import { SeriesStore, gaps } from "./series.js";
import { Topics } from "./topics.js";

const SHORTEST_WINDOW_MS = 10_000;
const LONGEST_WINDOW_MS = 400 * 86_400_000;
const RELOAD_MS = 60_000;
const REFRESH_MS = 5_000; // up to a range of one hour; three times as long for longer ranges
const CHANGES_MS = 300; // many alerts may change with one evaluation
const SLOW_AFTER_MS = 3_000;

export class Page {
  topics = new Topics();
  series = new SeriesStore();
  cursor = { time: null, pinned: false };
  connection = { state: "connecting", detail: "" };
  tick = null;
  pausedWindow = null; // the window while the page is paused
  problem = null;
  loading = false; // false, "loading" or "slow"
  #newRequests = null; // RequestsSincePause; null also where ticks were missed
  #clockOffset = 0;
  #abort = null;
  #loadInProgress = null;
  #reloadTimer = null;
  #machineStates = null; // in the newest tick
  #machinesChanged = false;

  // `settings`: the ranges and the filters, as the server defines them in dashboard/page_context.py.
  // `alwaysRefresh`: refresh the figures also while the window is paused or fixed, and while nothing is measured.
  constructor({ data, settings, catalogue = {}, tiles = [], specs = [], alwaysRefresh = false }) {
    this.settings = settings;
    this.catalogue = catalogue;
    this.tiles = tiles;
    this.specs = specs; // the series that the server sends: [{metric, stat, group_by}]
    this.alwaysRefresh = alwaysRefresh;
    this.#clockOffset = data.now - Date.now();
    this.setData(data);
    window.addEventListener("popstate", () => this.load());
  }

  // The server's time in epoch milliseconds, because the clock of this computer may be wrong.
  now() {
    return Date.now() + this.#clockOffset;
  }

  #correctClock(iso) {
    const offset = Date.parse(iso) - Date.now();
    // Smaller differences come from the network: a tick is some milliseconds old when it arrives.
    if (Number.isFinite(offset) && Math.abs(offset - this.#clockOffset) > 1_500) this.#clockOffset = offset;
  }

  get params() {
    return this.data.params;
  }

  // Whether the window ends now and moves with the time.
  get rolling() {
    return Boolean(this.params.range);
  }

  // The chosen range, {name, seconds, title}; undefined for a window between two fixed times.
  get range() {
    return this.settings.ranges.find(({ name }) => name === this.params.range);
  }

  get live() {
    return this.rolling && !this.pausedWindow;
  }

  get window() {
    if (this.pausedWindow) return this.pausedWindow;
    if (!this.rolling) return { from: this.params.from, to: this.params.to };
    const to = Math.ceil(this.now() / 1000) * 1000;
    return { from: to - this.range.seconds * 1000, to };
  }

  get filters() {
    return this.params.filters ?? {};
  }

  get isFiltered() {
    return Object.keys(this.filters).length > 0;
  }

  get hasEvents() {
    return this.data.has_events;
  }

  // The values of the last minute for the chosen filters; null without a tick.
  get lastMinute() {
    if (!this.tick) return null;
    return this.isFiltered ? this.tick.view ?? null : this.tick.overall;
  }

  // Whether tiles and headings show the last minute. Otherwise they show the window. Changes always compare windows.
  get showsLastMinute() {
    return this.live && Boolean(this.lastMinute);
  }

  // The current value of a figure: `read` returns it for the last minute, `summaryName` is its name in the summary.
  // Where the last minute has no value, that of the window is used, and `fromWindow` is true.
  currentValue(read, summaryName) {
    const current = this.showsLastMinute ? (read(this.lastMinute) ?? null) : null;
    if (current !== null) return { value: current, fromWindow: false };
    const value = this.data.summary[summaryName] ?? null;
    return { value, fromWindow: this.showsLastMinute && value !== null };
  }

  // When the monitor recorded nothing: then the machine it runs on has no samples.
  gaps() {
    return gaps(this.series.get("system.cpu_percent", "avg"), this.series.step);
  }

  setData(data) {
    // The values of the last minute belong to the filters before.
    if (this.tick?.view && JSON.stringify(data.params.filters) !== JSON.stringify(this.params.filters)) delete this.tick.view;
    this.data = data;
    this.problem = null;
    this.series.load(data.history);
    // The machines come from the data, so that a removed machine disappears before the next tick.
    if (data.current) this.tick = this.tick ? { ...this.tick, hosts: data.current.hosts } : { ...data.current };
    this.topics.emit("data");
  }

  applyTick(tick) {
    if (tick.at) this.#correctClock(tick.at);
    const isFirstEvent = !this.hasEvents && (tick.overall?.requests_per_second ?? 0) > 0;
    this.tick = tick;
    const states = (tick.hosts ?? []).map(({ host, state }) => `${host} ${state}`).join();
    this.#machinesChanged ||= this.#machineStates !== null && this.#machineStates !== states;
    this.#machineStates = states;
    if (tick.buckets && this.pausedWindow) this.#newRequests?.add(tick.buckets);
    else if (tick.buckets && this.rolling) this.series.merge(tick.buckets, this.window.from);
    if (isFirstEvent && !this.pausedWindow) this.load({ quiet: true });
    this.topics.emit("tick", tick);
  }

  // Whether the values are those before the connection was lost, or was rejected.
  get isDisconnected() {
    return ["disconnected", "rejected"].includes(this.connection.state);
  }

  setConnection(state, detail = "") {
    if (this.connection.state === state && this.connection.detail === detail) return;
    this.connection = { state, detail };
    this.topics.emit("connection");
  }

  setCursor(time, pinned = this.cursor.pinned) {
    if (this.cursor.time === time && this.cursor.pinned === pinned) return;
    this.cursor = { time, pinned };
    this.topics.emit("cursor");
  }

  pause() {
    if (!this.live) return;
    this.pausedWindow = this.window;
    this.pausedAt = this.now();
    const rates = this.series.get("inference.requests", "rate");
    this.#newRequests = new RequestsSincePause(rates, this.series.step, this.pausedWindow.to, this.#endOfTick());
    this.topics.emit("pause");
  }

  // The number of requests that finished since the pause; null where it is unknown.
  get requestsSincePause() {
    return this.#newRequests?.count(this.#endOfTick()) ?? null;
  }

  #endOfTick() {
    return ((this.tick?.seq ?? 0) + 1) * 1000;
  }

  // A paused page does not store the ticks it receives, so it loads its data to continue.
  resume() {
    if (this.pausedWindow) this.load();
    else if (!this.rolling) this.navigate({ range: this.lastRange ?? this.settings.default_range });
  }

  // Change the address and load its data. `change`: {range} or {from, to}, and {filters: {model: […]}}.
  navigate(change) {
    const search = new URLSearchParams(location.search);
    if (change.range || change.from) {
      if (this.params.range) this.lastRange = this.params.range;
      for (const name of ["range", "from", "to"]) search.delete(name);
      if (change.range) search.set("range", change.range);
      else {
        search.set("from", new Date(change.from).toISOString().replace(".000Z", "Z"));
        search.set("to", new Date(change.to).toISOString().replace(".000Z", "Z"));
      }
    }
    for (const [name, values] of Object.entries(change.filters ?? {})) {
      search.delete(name);
      for (const value of values) search.append(name, value);
    }
    const query = search.toString();
    history.pushState({}, "", query ? `?${query}` : location.pathname);
    return this.load();
  }

  clearFilters() {
    return this.navigate({ filters: Object.fromEntries(Object.keys(this.settings.filters).map((name) => [name, []])) });
  }

  // Show the window between two times, within the limits of length and not in the future.
  showWindow(from, to) {
    const newest = Math.ceil(this.now() / 1000) * 1000;
    const length = Math.min(LONGEST_WINDOW_MS, Math.max(SHORTEST_WINDOW_MS, to - from));
    const end = Math.min(to, newest);
    const start = Math.max(0, Math.floor((end - length) / 1000) * 1000);
    return this.navigate({ from: start, to: Math.ceil(end / 1000) * 1000 });
  }

  pan(direction) {
    const { from, to } = this.window;
    const distance = (direction * (to - from)) / 2;
    return this.showWindow(from + distance, to + distance);
  }

  zoom(factor) {
    const { from, to } = this.window;
    // A live page changes to the next range, so that its window still ends now.
    if (this.live) {
      const { ranges } = this.settings;
      const range = ranges[ranges.indexOf(this.range) + (factor > 1 ? 1 : -1)];
      if (range) return this.navigate({ range: range.name });
    }
    const middle = (from + to) / 2;
    const half = ((to - from) * factor) / 2;
    return this.showWindow(middle - half, middle + half);
  }

  // Load the data of the current address, as a reload would. Resolves to "loaded", "failed", "cancelled" or "paused".
  //
  // A quiet load shows no progress. It joins a load in progress, and it does not change a paused page, whose data would
  // be lost. Any other load replaces a load in progress, which then resolves to the outcome of its successor.
  load({ quiet = false } = {}) {
    if (quiet && this.#loadInProgress) return this.#loadInProgress;
    if (quiet && this.pausedWindow) {
      this.#newRequests = null; // a quiet load means that ticks were missed
      return Promise.resolve("paused");
    }
    const load = this.#load(quiet).then((outcome) => {
      if (this.#loadInProgress !== load) return this.#loadInProgress ?? outcome;
      this.#loadInProgress = null;
      return outcome;
    });
    this.#loadInProgress = load;
    return load;
  }

  async #load(quiet) {
    this.#abort?.abort();
    const abort = new AbortController();
    this.#abort = abort;
    const started = performance.now();
    const slowTimer = setTimeout(() => this.#setLoading("slow"), SLOW_AFTER_MS);
    if (!quiet) this.#setLoading("loading");
    try {
      const data = await pageData(location.search, abort.signal);
      if (abort.signal.aborted) return "cancelled";
      if (quiet && this.pausedWindow) return "paused";
      const resumed = this.pausedWindow !== null;
      this.pausedWindow = this.#newRequests = null;
      this.#clockOffset = data.now - Date.now() + (performance.now() - started) / 2;
      this.setData(data);
      if (resumed) this.topics.emit("pause");
      if (!quiet) announce(`Showing ${data.params.span}${this.isFiltered ? " with filters" : ""}.`);
      return "loaded";
    } catch (problem) {
      if (problem.name === "AbortError") return "cancelled";
      this.problem = problem;
      this.topics.emit("problem");
      return "failed";
    } finally {
      clearTimeout(slowTimer);
      if (this.#abort === abort) this.#setLoading(false);
      this.#scheduleReload();
    }
  }

  cancel() {
    this.#abort?.abort();
    this.#setLoading(false);
  }

  #setLoading(state) {
    if (this.loading === state) return;
    this.loading = state;
    document.getElementById("content").toggleAttribute("aria-busy", Boolean(state));
    this.topics.emit("loading");
  }

  startRefreshing() {
    this.#scheduleReload();
    this.#scheduleRefresh();
  }

  // Refresh what ticks do not carry: the sentence, the changes, the table of models, the distribution.
  #scheduleRefresh() {
    const isLong = this.rolling && this.range.seconds > 3600 && !this.alwaysRefresh;
    setTimeout(async () => {
      if (this.#mayRefresh()) await this.refresh();
      this.#scheduleRefresh();
    }, isLong ? 3 * REFRESH_MS : REFRESH_MS);
  }

  #mayRefresh() {
    const isIdle = this.tick?.overall?.requests_per_second === null && !this.#machinesChanged;
    const isConnected = ["live", "polling"].includes(this.connection.state);
    const isNeeded = this.alwaysRefresh || (this.live && this.hasEvents && !isIdle);
    return isNeeded && !document.hidden && !this.#loadInProgress && isConnected;
  }

  // Read the figures now. Without an answer they stay as they are: the state of the connection is shown elsewhere.
  async refresh() {
    const search = location.search;
    this.#machinesChanged = false;
    const figures = await pageFigures(search).catch(() => null);
    // Meanwhile the user may have changed the address or paused the page.
    const isCurrent = search === location.search && figures?.params.range === this.params.range;
    if (!isCurrent || this.#loadInProgress || (!this.live && !this.alwaysRefresh)) return;
    this.data = { ...this.data, ...figures };
    this.topics.emit("figures");
  }

  // Refresh for a change of alerts. A hidden page does it when it is shown again.
  refreshSoon = collected(() => document.hidden || this.refresh(), CHANGES_MS);

  // Ticks do not carry what was removed, nor late events between a load and the next tick, so an open page loads its data
  // once a minute.
  #scheduleReload() {
    clearTimeout(this.#reloadTimer);
    this.#reloadTimer = setTimeout(() => {
      if (this.live && !document.hidden && !this.isDisconnected) this.load({ quiet: true });
      else this.#scheduleReload();
    }, RELOAD_MS);
  }
}
