// What the page shows, in one place: its parameters (those of the address), its data, the series, and the newest tick.
// Widgets read from it and listen to its topics: "data" (all of it is new), "tick", "params", "connection", "cursor",
// "theme", "pause".

import { announce } from "../page/announce.js";
import { pageData, pageFigures } from "../page/api.js";
import { Arrivals } from "./requests-since-pause.js";
import { SeriesStore, gaps } from "./series.js";
import { Topics } from "./topics.js";

const LEAST_WINDOW_MS = 10_000;
const LONGEST_WINDOW_MS = 400 * 86_400_000;
const READ_AGAIN_MS = 60_000;
const FIGURES_AGAIN_MS = 5_000; // in the window of an hour or less; a third as often beyond
const SLOW_MS = 3_000;

export class Page {
  topics = new Topics();
  series = new SeriesStore();
  cursor = { time: null, pinned: false };
  connection = { state: "connecting", detail: "" };
  tick = null;
  frozen = null; // the window while paused
  problem = null;
  loading = false;
  #arrivals = null; // since the pause; null also when some were missed
  #clockOffset = 0;
  #abort = null;
  #reading = null;
  #again = null;
  #machines = null; // how each one was in the newest tick
  #machinesChanged = false;

  // `settings`: the ranges and the filters, as the server defines them in dashboard/page_context.py.
  constructor({ data, settings, catalogue = {}, tiles = [] }) {
    this.settings = settings;
    this.catalogue = catalogue;
    this.tiles = tiles;
    this.#clockOffset = data.now - Date.now();
    this.take(data);
    window.addEventListener("popstate", () => this.load());
  }

  // The server's time, in epoch milliseconds: this clock may be wrong.
  now() {
    return Date.now() + this.#clockOffset;
  }

  correctClock(iso) {
    const offset = Date.parse(iso) - Date.now();
    // The tick is some milliseconds old when it arrives; smaller differences are the network's.
    if (Number.isFinite(offset) && Math.abs(offset - this.#clockOffset) > 1_500) this.#clockOffset = offset;
  }

  get params() {
    return this.data.params;
  }

  // Whether the window ends at "now" and moves with it.
  get rolling() {
    return Boolean(this.params.range);
  }

  // The chosen range, {name, seconds, title}; none for a window between two fixed times.
  get range() {
    return this.settings.ranges.find(({ name }) => name === this.params.range);
  }

  get live() {
    return this.rolling && !this.frozen;
  }

  get window() {
    if (this.frozen) return this.frozen;
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

  // The figures of the last minute for what is chosen; null when there is no tick.
  get figures() {
    if (!this.tick) return null;
    return this.isFiltered ? this.tick.view ?? null : this.tick.overall;
  }

  // Whether tiles and headings show the last minute; else they show the window. Changes are always of the window.
  get showsMinute() {
    return this.live && Boolean(this.figures);
  }

  // A figure of what is shown; `inTick` reads that of the last minute. Where the minute has none the window stands in.
  figure(inTick, inSummary) {
    const inMinute = this.showsMinute ? (inTick(this.figures) ?? null) : null;
    if (inMinute !== null) return { value: inMinute, standsIn: false };
    const value = this.data.summary[inSummary] ?? null;
    return { value, standsIn: this.showsMinute && value !== null };
  }

  // When this monitor recorded nothing: its own machines have no sample then.
  gaps() {
    return gaps(this.series.get("system.cpu_percent", "avg"), this.series.step);
  }

  take(data) {
    // The minute's figures on hand are of the filters before.
    if (this.tick?.view && JSON.stringify(data.params.filters) !== JSON.stringify(this.params.filters)) delete this.tick.view;
    this.data = data;
    this.problem = null;
    this.series.load(data.history, data.by_model);
    // A machine that was removed goes with the data, not with the next tick.
    if (data.current) this.tick = this.tick ? { ...this.tick, hosts: data.current.hosts } : { ...data.current };
    this.topics.emit("data");
  }

  takeTick(tick) {
    if (tick.at) this.correctClock(tick.at);
    const firstEvent = !this.hasEvents && (tick.overall?.requests_per_second ?? 0) > 0;
    this.tick = tick;
    const machines = (tick.hosts ?? []).map(({ host, state }) => `${host} ${state}`).join();
    this.#machinesChanged ||= this.#machines !== null && this.#machines !== machines;
    this.#machines = machines;
    if (tick.buckets && this.frozen) this.#arrivals?.take(tick.buckets);
    else if (tick.buckets && this.rolling) this.series.merge(tick.buckets, this.window.from);
    if (firstEvent && !this.frozen) this.load({ quiet: true });
    this.topics.emit("tick", tick);
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
    this.frozen = this.window;
    this.pausedAt = this.now();
    this.#arrivals = new Arrivals(this.series.get("inference.requests", "rate"), this.series.step, this.frozen.to, this.#endOfTick());
    this.topics.emit("pause");
  }

  // How many requests ended since the pause; null when that is not known.
  get arrivals() {
    return this.#arrivals?.count(this.#endOfTick()) ?? null;
  }

  #endOfTick() {
    return ((this.tick?.seq ?? 0) + 1) * 1000;
  }

  // What came meanwhile is not here: the page goes on once it has been read.
  resume() {
    if (this.frozen) {
      this.load();
    } else if (!this.rolling) {
      this.go({ range: this.lastRange ?? this.settings.default_range });
    }
  }

  // Change the address and show what it asks for. `change`: {range} | {from, to} and {filters: {model: […]}}.
  go(change) {
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
    return this.go({ filters: Object.fromEntries(Object.keys(this.settings.filters).map((name) => [name, []])) });
  }

  look(from, to) {
    const newest = Math.ceil(this.now() / 1000) * 1000;
    let length = Math.min(LONGEST_WINDOW_MS, Math.max(LEAST_WINDOW_MS, to - from));
    const end = Math.min(to, newest);
    const start = Math.max(0, Math.floor((end - length) / 1000) * 1000);
    return this.go({ from: start, to: Math.ceil(end / 1000) * 1000 });
  }

  pan(direction) {
    const { from, to } = this.window;
    const by = (direction * (to - from)) / 2;
    return this.look(from + by, to + by);
  }

  zoom(factor) {
    const { from, to } = this.window;
    const half = ((to - from) * factor) / 2;
    // A window that ends now goes on to end now.
    if (this.rolling && !this.frozen) {
      const { ranges } = this.settings;
      const range = ranges[ranges.indexOf(this.range) + (factor > 1 ? 1 : -1)];
      if (range) return this.go({ range: range.name });
    }
    const middle = (from + to) / 2;
    return this.look(middle - half, middle + half);
  }

  back() {
    history.back();
  }

  // What a reload of this address would show: ends as "read", "failed", "cancelled" or "paused". A quiet one joins a
  // reading that is under way; a loud one takes its place, and the one before then ends as its successor does. Quietly a
  // paused page takes nothing: what it shows would be lost, and to resume is to read.
  load({ quiet = false } = {}) {
    if (quiet && this.#reading) return this.#reading;
    if (quiet && this.frozen) {
      this.#arrivals = null; // who asks has missed some
      return Promise.resolve("paused");
    }
    const reading = this.#load(quiet).then((outcome) => {
      if (this.#reading !== reading) return this.#reading ?? outcome;
      this.#reading = null;
      return outcome;
    });
    this.#reading = reading;
    return reading;
  }

  async #load(quiet) {
    this.#abort?.abort();
    const abort = new AbortController();
    this.#abort = abort;
    const started = performance.now();
    const slow = setTimeout(() => this.#setLoading("slow"), SLOW_MS);
    if (!quiet) this.#setLoading("loading");
    try {
      const data = await pageData(location.search, abort.signal);
      if (abort.signal.aborted) return "cancelled";
      if (quiet && this.frozen) return "paused";
      const resumed = this.frozen !== null;
      this.frozen = this.#arrivals = null;
      this.#clockOffset = data.now - Date.now() + (performance.now() - started) / 2;
      this.take(data);
      this.topics.emit("params");
      if (resumed) this.topics.emit("pause");
      if (!quiet) announce(`Showing ${data.params.span}${this.isFiltered ? " with filters" : ""}.`);
      return "read";
    } catch (problem) {
      if (problem.name === "AbortError") return "cancelled";
      this.problem = problem;
      this.topics.emit("problem");
      return "failed";
    } finally {
      clearTimeout(slow);
      if (this.#abort === abort) this.#setLoading(false);
      this.#readAgainLater();
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

  // Late events change old buckets: an open page reads its history again each minute.
  keepFresh() {
    this.#readAgainLater();
    this.#figuresLater();
  }

  // What ticks do not carry: the sentence, the changes, the table of models, the distribution.
  #figuresLater() {
    const long = this.rolling && this.range.seconds > 3600;
    setTimeout(async () => {
      try {
        if (this.#mayFreshen()) await this.#freshen();
      } catch {
        // The connection's own words say what is wrong.
      }
      this.#figuresLater();
    }, long ? 3 * FIGURES_AGAIN_MS : FIGURES_AGAIN_MS);
  }

  #mayFreshen() {
    const idle = this.tick?.overall?.requests_per_second === null && !this.#machinesChanged;
    const quiet = !this.hasEvents || idle;
    return this.live && !quiet && !document.hidden && !this.#reading && ["live", "polling"].includes(this.connection.state);
  }

  async #freshen() {
    const search = location.search;
    this.#machinesChanged = false;
    const found = await pageFigures(search);
    // The person may have moved on, or paused, meanwhile.
    if (search !== location.search || !this.live || this.#reading || found.params.range !== this.params.range) return;
    this.data = { ...this.data, ...found };
    this.topics.emit("figures");
  }

  #readAgainLater() {
    clearTimeout(this.#again);
    this.#again = setTimeout(() => {
      if (this.live && !document.hidden && this.connection.state !== "disconnected") this.load({ quiet: true });
      else this.#readAgainLater();
    }, READ_AGAIN_MS);
  }
}
