// The entry script of the System page.

import { durationLabel, numberLabel, percentLabel, rateLabel } from "../charts/axis-labels.js";
import { startPage } from "../frame/start.js";
import { findAll } from "../page/dom.js";
import { SPACE, compact, duration, percent, rate, text, timeOfDay, whole, zoneName } from "../page/format.js";
import { mountChart } from "../widgets/card.js";
import * as sentence from "../widgets/sentence.js";
import { mountServerTable } from "../widgets/server-table.js";
import { mountAvailability } from "./availability.js";

const times = { format: (value) => text(duration(value)), formatTick: durationLabel, isDuration: true };
const counts = { format: (value) => text(whole(value)), formatTick: numberLabel, suggestedMax: 4 };
const aside = (page) => `LLM Monitor ${page.data.version} · charts: ${page.params.span} · ${timeOfDay(page.now())} ${zoneName(page.now())}`;
// The label of a tick: "250 MiB", and from a maximum of a GiB on "1.5 GiB".
const sizeLabel = (value, max) => (max >= 1024 ? `${Number((value / 1024).toPrecision(3))}${SPACE}GiB` : `${value}${SPACE}MiB`);
const emptyText = "No sample of the monitor in this time range";

// A chart of lines: [[label, metric, stat, look], …].
const lines = (of, spec) => (root, page) => mountChart(root, page, {
  type: "line",
  legend: of.length > 1,
  emptyText,
  metrics: of.map(([, name, stat]) => [`monitor.${name}`, stat]),
  spansOf: of.map(([, name]) => `monitor.${name}`),
  thresholdsOf: of.map(([, name]) => `monitor.${name}`),
  lines: () => of.map(([label, name, stat, look], index) => ({
    label, colour: `series-${index + 1}`, ...look, points: page.series.get(`monitor.${name}`, stat),
  })),
  ...spec,
});

// What the monitor takes of its machine, in percent of it.
const LOAD = [
  { label: "CPU", colour: "series-1", metric: "monitor.cpu_percent", percentOf: (value, { cores }) => (cores ? value / cores : null) },
  { label: "memory", colour: "series-2", metric: "monitor.memory_mb", percentOf: (value, { machine_mb: all }) => (all ? (100 * value) / all : null) },
];

// A table with bars, whose widths are in percent.
const mountBars = (root, page) => mountServerTable(root, page, {
  onDraw: () => {
    for (const bar of findAll("[data-width]", root)) bar.style.width = `${bar.dataset.width}%`;
  },
});

const WIDGETS = {
  sentence: (root, page) => sentence.mount(root, page, aside),
  parts: (root, page) => mountServerTable(root, page),
  availability: mountAvailability,
  ingest: lines([["stored", "events_accepted", "rate"], ["sent again", "events_duplicate", "rate"], ["rejected", "events_rejected", "rate", { colour: "critical" }]], {
    format: (value) => text(rate(value, "per ")), formatTick: rateLabel, isRate: true,
    help: "Events that were stored, those that were stored already, and those that were invalid. The samples of machines and of the monitor are events, too.",
  }),
  commit: lines([["P99", "commit_p99_ms", "max", { dash: [6, 3], width: 1.4 }], ["mean", "commit_ms", "avg", { colour: "series-1", width: 2.4 }]], {
    ...times, help: "How long the database took to store the events that arrived together. P99 is that of a minute, within 9 %.",
  }),
  queued: lines([["waiting", "queued_events", "max"]], {
    ...counts, help: "Events that wait for their commit, at most. When the queue is full, posts are refused with 429.",
  }),
  queries: lines([["P95", "query_p95_ms", "avg"]], {
    ...times, help: "95 % of the queries of pages and of the API took at most this long, within 9 %. One query reads the figures of one part of a page.",
  }),
  lateness: lines([["tick", "tick_lag_ms", "max"], ["tasks P99", "task_lateness_ms", "max", { colour: "series-2" }]], {
    ...times, help: "How long after its second a tick of the live stream was sent, at most, and how late the periodic tasks of a minute began.",
  }),
  live: lines([["clients", "live_clients", "max"]], {
    ...counts, help: "Browsers and programs that are connected to the live stream.",
  }),
  size: lines([["database", "database_mb", "last"]], {
    format: (value) => text(compact(value, "MiB")), formatTick: sizeLabel, suggestedMax: 4,
    help: "The size on the disk: the database with its indexes and free pages and, on SQLite, its write-ahead log.",
  }),
  load: (root, page) => mountChart(root, page, {
    type: "line", legend: true, emptyText, format: (value) => text(percent(value)), formatTick: percentLabel,
    metrics: LOAD.map(({ metric }) => [metric, "avg"]), spansOf: [], thresholdsOf: [],
    help: "The CPU time and the memory of the monitor, as a share of all cores and of the memory of its machine.",
    lines: () => LOAD.map(({ label, colour, metric, percentOf }) => ({
      label, colour, points: page.series.get(metric, "avg").map(({ x, y }) => ({ x, y: y === null || !page.data.load ? null : percentOf(y, page.data.load) })),
    })),
    currentValues: () => {
      const host = page.tick?.hosts.find(({ host: name }) => name === page.data.load?.host);
      if (!host) return [];
      return [["CPU", text(percent(host.monitor_cpu_percent / (host.cpu_count || 1)))], ["memory", text(compact(host.monitor_memory_mb, "MiB"))]];
    },
  }),
  refused: (root, page) => mountServerTable(root, page),
  tasks: (root, page) => mountServerTable(root, page),
  backup: (root, page) => mountServerTable(root, page),
  responses: mountBars,
  storage: mountBars,
};

startPage(WIDGETS, { refreshIdle: true }); // the monitor works without requests
