// The entry script of the Queue page.

import { durationLabel, numberLabel } from "../charts/axis-labels.js";
import { startPage } from "../frame/start.js";
import { compact, duration, text, whole } from "../page/format.js";
import { mountLinesByModel } from "../widgets/by-model.js";
import { mountChart } from "../widgets/card.js";
import { mountPercentiles } from "../widgets/percentiles.js";
import * as queue from "../widgets/queue.js";
import * as sentence from "../widgets/sentence.js";
import { mountServerTable } from "../widgets/server-table.js";
import * as tiles from "../widgets/tiles.js";

const WAIT = "inference.queue_time_ms";
const PROCESSING = "inference.processing_time_ms";
const formatDuration = (value) => text(duration(value));
const formatCount = (value) => (value !== null && Math.abs(value) < 1000 ? text(whole(value)) : text(compact(value)));
const times = { format: formatDuration, formatTick: durationLabel, isDuration: true };
const counts = { format: formatCount, formatTick: numberLabel, suggestedMax: 4 };

const WIDGETS = {
  sentence: sentence.mount,
  tiles: tiles.mount,
  levels: queue.mount,
  pending: (root, page) => mountLinesByModel(root, page, {
    ...counts,
    isLevel: true,
    metric: ["queue.pending", "avg"],
    help: "Requests that wait, by model.",
    emptyText: "No queue data in this time range",
  }),
  wait: (root, page) => mountPercentiles(root, page, {
    ...times,
    metric: WAIT,
    stats: ["p99", "p95", "p50"],
    before: "p95",
    colour: "series-4",
    help: "The time that requests waited before their processing began. Only requests that report it count.",
    emptyText: "No request reported a queue time in this time range",
  }),
  processing: (root, page) => mountPercentiles(root, page, {
    ...times,
    metric: PROCESSING,
    stats: ["p95", "p50"],
    before: "p95",
    help: "The response time without the wait.",
    emptyText: "No successful requests in this time range",
  }),
  "wait-by-model": (root, page) => mountLinesByModel(root, page, {
    ...times,
    metric: [WAIT, "p95"],
    help: "95 % of the requests of a model waited at most this long.",
    emptyText: "No request reported a queue time in this time range",
  }),
  "processing-by-model": (root, page) => mountLinesByModel(root, page, {
    ...times,
    metric: [PROCESSING, "p95"],
    help: "95 % of the requests of a model were processed within this time.",
    emptyText: "No successful requests in this time range",
  }),
  oldest: (root, page) => mountChart(root, page, {
    ...times,
    type: "line",
    isLevel: true,
    metrics: [["queue.oldest_seconds", "max"]],
    spansOf: ["queue.oldest_seconds"],
    thresholdsOf: [],
    help: "The age of the oldest request that has not finished. It rises steadily while a request hangs.",
    lines: () => [{
      label: "oldest", colour: "series-1", points: page.series.get("queue.oldest_seconds", "max").map(({ x, y }) => ({ x, y: y === null ? null : 1000 * y })),
    }],
    emptyText: "No source reports the age of its requests",
  }),
  waits: (root, page) => mountServerTable(root, page),
  sources: (root, page) => mountServerTable(root, page),
};

startPage(WIDGETS);
