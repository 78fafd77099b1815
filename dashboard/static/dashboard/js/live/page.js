// The state of the page: its parameters (those of the address), its data, the series and the newest tick.
// Widgets read it and listen to its topics: "data" (all data is new), "figures" (data that ticks do not carry), "tick",
// "second", "print" (draw now), "connection", "connection-event", "cursor", "cursor-by-key", "theme", "pause", "problem", "loading", "alert"
// (a change of an alert), "alerts-changed" (read them again), "firing" (see alerting/open-alerts.js), "sound", "sound-played",
// "mute", "go-to-toasts".

import { parameter, pushAddress, replaceAddress } from "../page/address.js";
import { announce } from "../page/announce.js";
import { Clock } from "./clock.js";
import { Loader } from "./loader.js";
import { Pause } from "./pause.js";
import { OTHERS, SeriesStore, gaps } from "./series.js";
import { Topics } from "./topics.js";
import { allowedWindow, panned, zoomed } from "./windows.js";

export class Page {
  /** @type {PageData} */
  data;
  /** @type {PageSettings} */
  settings;
  /** @type {Record<string, CatalogueEntry>} */
  catalogue;
  /** @type {SeriesSpec[]} the series that the server sends */
  specs;
  topics = new Topics();
  series = new SeriesStore();
  before = new SeriesStore(); // of the window before, moved onto that of the page
  /** @type {{ time: number | null, pinned: boolean }} */
  cursor = { time: null, pinned: false };
  connection = { state: "connecting", detail: "" };
  /** @type {Tick | null} */
  tick = null;
  /** @type {Pause | null} while the page is paused */
  pause = null;
  #clock;
  #loader;
  #refreshIdle;
  #lastRange = null;
  #pausedRange = null; // the range in the address when the page was paused
  #machineStates = null; // in the newest tick
  #machinesChanged = false;

  // `settings`: the ranges and the filters, as the server defines them in dashboard/page_context.py.
  // `alwaysRefresh`: refresh the figures also while the window is paused or fixed, and while nothing is measured.
  // `refreshIdle`: only while nothing is measured, too.
  /** @param {{ data: PageData, settings: PageSettings, catalogue?: Record<string, CatalogueEntry>, tiles?: any[],
   *   specs?: SeriesSpec[], alwaysRefresh?: boolean, refreshIdle?: boolean }} options */
  constructor({ data, settings, catalogue = {}, tiles = [], specs = [], alwaysRefresh = false, refreshIdle = false }) {
    this.settings = settings;
    this.catalogue = catalogue;
    this.tiles = tiles;
    this.specs = specs;
    this.#clock = new Clock(data.now);
    this.#refreshIdle = refreshIdle;
    this.#loader = new Loader(this, alwaysRefresh);
    this.setData(data);
    window.addEventListener("popstate", () => this.load());
  }

  // The server's time in epoch milliseconds.
  now() {
    return this.#clock.now();
  }

  get params() {
    return this.data.params;
  }

  // Whether the window ends now and moves with the time.
  get rolling() {
    return Boolean(this.params.range);
  }

  // The chosen range; undefined for a window between two fixed times.
  get range() {
    return this.settings.ranges.find(({ name }) => name === this.params.range);
  }

  get live() {
    return this.rolling && !this.pause;
  }

  /** @returns {TimeWindow} */
  get window() {
    if (this.pause) return this.pause.window;
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

  // Whether nothing is measured that the figures would show.
  get isIdle() {
    if (this.#refreshIdle) return false;
    return !this.hasEvents || (this.tick?.overall?.requests_per_second === null && !this.#machinesChanged);
  }

  // The values of the last minute for the chosen filters; null without a tick.
  get lastMinute() {
    if (!this.tick) return null;
    return this.isFiltered ? this.tick.view ?? null : this.tick.overall;
  }

  // Whether tiles and headings show the last minute, because each tile has a value in the tick. Otherwise they show the window.
  get showsLastMinute() {
    return this.live && Boolean(this.lastMinute) && this.tiles.length > 0 && this.tiles.every(({ tick }) => tick);
  }

  // The current value of a figure: `read` returns it for the last minute, `summaryName` is its name in the summary.
  // Where the last minute has no value, that of the window is used, and `fromWindow` is true.
  /** @param {(minute: Record<string, any>) => number | null | undefined} read
   *  @param {string} summaryName */
  currentValue(read, summaryName) {
    const current = this.showsLastMinute ? (read(this.lastMinute) ?? null) : null;
    if (current !== null) return { value: current, fromWindow: false };
    const value = this.data.summary?.[summaryName] ?? null;
    return { value, fromWindow: this.showsLastMinute && value !== null };
  }

  // When the monitor recorded nothing: then the machine it runs on has no samples, and no other has.
  gaps() {
    return gaps(this.series.any("system.cpu_percent", "avg"), this.series.step);
  }

  // The machines with their newest samples; while the page is paused, those of that moment; of a window between two fixed
  // times, those at its end.
  get hosts() {
    if (!this.rolling) return this.data.machines ?? [];
    return this.pause?.hosts ?? this.#newestHosts;
  }

  get #newestHosts() {
    return this.tick?.hosts ?? this.data.current?.hosts ?? [];
  }

  // The series to subscribe to. Where the busiest machines have a line each and the others one together, they are named.
  get subscribedSpecs() {
    return this.specs.map((spec) => {
      const labels = spec.group_by?.length === 1 ? this.series.labels(spec.metric, spec.stat) : [];
      return labels.includes(OTHERS) ? { ...spec, groups: labels.filter((label) => label !== OTHERS) } : spec;
    });
  }

  /** @param {PageData} data */
  setData(data) {
    // The values of the last minute belong to the filters before.
    if (this.tick?.view && JSON.stringify(data.params.filters) !== JSON.stringify(this.params.filters)) delete this.tick.view;
    this.data = { ...data, ...this.#tablesWith(data) };
    this.series.load(data.history);
    this.before.load(data.before);
    // The machines come from the data, so that a removed machine disappears before the next tick.
    if (data.current) this.tick = this.tick ? { ...this.tick, hosts: data.current.hosts, view: data.current.view } : { ...data.current };
    this.topics.emit("data");
  }

  /** @param {Tick} tick */
  applyTick(tick) {
    if (tick.at) this.#clock.correct(tick.at);
    const isFirstEvent = !this.hasEvents && (tick.overall?.requests_per_second ?? 0) > 0;
    // The first tick of a connection, and one that was sent before the page subscribed, have no values of the filters: those
    // that the page has are a second older.
    this.tick = "view" in tick || !this.tick?.view ? tick : { ...tick, view: this.tick.view };
    const states = (tick.hosts ?? []).map(({ host, state }) => `${host} ${state}`).join();
    this.#machinesChanged ||= this.#machineStates !== null && this.#machineStates !== states;
    this.#machineStates = states;
    if (tick.buckets && this.pause) this.pause.add(tick.buckets);
    else if (tick.buckets && this.rolling) this.series.merge(tick.buckets, this.window.from);
    if (isFirstEvent && !this.pause) this.load({ quiet: true });
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

  // The address gets the window, so that a reload or a link shows it, and the range again when the page resumes.
  pauseNow() {
    if (!this.live) return;
    const rates = this.series.get("inference.requests", "rate");
    this.pause = new Pause(this.window, this.now(), rates, this.series.step, this.dataUntil, this.#newestHosts);
    this.#lastRange = this.params.range;
    this.#pausedRange = parameter("range");
    replaceAddress(this.pause.window);
    this.topics.emit("pause");
  }

  #restoreAddress() {
    replaceAddress({ set: { range: this.#pausedRange, from: null, to: null } });
  }

  // The number of requests that finished since the pause; null where it is unknown.
  get requestsSincePause() {
    return this.pause?.requests(this.#endOfTick()) ?? null;
  }

  #endOfTick() {
    return ((this.tick?.seq ?? 0) + 1) * 1000;
  }

  // The end of the newest second that the series include.
  get dataUntil() {
    return this.pause?.dataUntil ?? Math.max(this.data.now, this.#endOfTick());
  }

  // A paused page does not store the ticks it receives, so it loads its data to continue.
  async resume() {
    if (this.pause) {
      this.#restoreAddress();
      await this.load();
      if (this.pause) replaceAddress(this.pause.window); // the present could not be read
    } else if (!this.rolling) await this.navigate({ range: this.#lastRange ?? this.settings.default_range });
  }

  // Change the address and load its data. `change`: see `changedQuery`.
  /** @param {AddressChange} change */
  navigate(change) {
    if ((change.range || change.from) && this.params.range) this.#lastRange = this.params.range;
    pushAddress(change);
    return this.load();
  }

  clearFilters() {
    return this.navigate({ filters: Object.fromEntries(Object.keys(this.settings.filters).map((name) => [name, []])) });
  }

  // Show the window between two times, within the limits of length and not in the future.
  showWindow(from, to) {
    return this.navigate(allowedWindow({ from, to }, this.now()));
  }

  pan(direction) {
    const { from, to } = panned(this.window, direction);
    return this.showWindow(from, to);
  }

  zoom(factor) {
    // A live page changes to the next range, so that its window still ends now.
    if (this.live) {
      const { ranges } = this.settings;
      const range = ranges[ranges.indexOf(this.range) + (factor > 1 ? 1 : -1)];
      if (range) return this.navigate({ range: range.name });
    }
    const { from, to } = zoomed(this.window, factor);
    return this.showWindow(from, to);
  }

  // Show the data of a load that took some milliseconds.
  showLoaded(data, { took, quiet }) {
    const resumed = this.pause !== null;
    this.pause = null;
    if (resumed && data.params.range && parameter("from")) this.#restoreAddress(); // the load began before the pause
    this.#clock.set(data.now, took);
    this.setData(data);
    if (resumed) this.topics.emit("pause");
    if (!quiet) announce(`Showing ${data.params.span}${this.isFiltered ? " with filters" : ""}.`);
  }

  showFigures(figures) {
    this.data = { ...this.data, ...figures, ...this.#tablesWith(figures) };
    this.topics.emit("figures");
  }

  // The tables of the page with those of `data`: the server sends what has changed.
  /** @param {{ tables?: Record<string, string>, table_versions?: Record<string, string> }} data */
  #tablesWith({ tables, table_versions: versions }) {
    return {
      tables: { ...this.data?.tables, ...tables },
      table_versions: { ...this.data?.table_versions, ...versions },
    };
  }

  // The changes of the machines so far are in the figures that are read now.
  noteRefresh() {
    this.#machinesChanged = false;
  }

  // See Loader.
  get loading() {
    return this.#loader.state;
  }

  get problem() {
    return this.#loader.problem;
  }

  /** @param {{ quiet?: boolean }} [options] */
  load(options) {
    return this.#loader.load(options);
  }

  cancel() {
    this.#loader.cancel();
  }

  refresh() {
    return this.#loader.refresh();
  }

  refreshSoon = () => this.#loader.refreshSoon();

  startRefreshing() {
    this.#loader.startRefreshing();
  }
}
