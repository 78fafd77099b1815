// The entry script of the Throughput page.

import { numberLabel, percentLabel } from "../charts/axis-labels.js";
import { linesByGroup, rest } from "../charts/lines.js";
import { requestRates, tokenRates } from "../charts/rates.js";
import { startPage } from "../frame/start.js";
import { percentOf } from "../live/series.js";
import { compact, percent, text } from "../page/format.js";
import { mountSumByModel } from "../widgets/by-model.js";
import { mountChart } from "../widgets/card.js";
import { mountHistogram } from "../widgets/histogram.js";
import { FAILURES } from "../widgets/outcomes.js";
import { mountParts } from "../widgets/parts.js";
import * as sentence from "../widgets/sentence.js";
import { mountServerTable } from "../widgets/server-table.js";
import * as tiles from "../widgets/tiles.js";

const rateOf = (name) => [`inference.${name}`, "rate"];
const formatSpeed = (value) => text(compact(value, "tok/s"));

// Successful requests: all of them without the failed ones.
function successful(page) {
  return rest(page.series.get(...rateOf("requests")), [{ points: page.series.get(...rateOf("failed_requests")) }]);
}

// The share of cached input tokens of each model.
function cachedLines(page) {
  const cached = Object.fromEntries(linesByGroup(page, ...rateOf("cached_tokens"), "model").map((line) => [line.label, line.points]));
  return linesByGroup(page, ...rateOf("prompt_tokens"), "model")
    .map((line) => ({ ...line, compared: null, points: percentOf(cached[line.label] ?? [], line.points) }));
}

const OUTCOMES = [{ label: "successful", colour: "series-1", metric: rateOf("requests"), points: successful }, ...FAILURES];
const FINISH = [
  { label: "stop", colour: "part-1", metric: rateOf("finish_stop") },
  { label: "tool call", colour: "part-2", metric: rateOf("finish_tool") },
  { label: "length", colour: "part-3", metric: rateOf("finish_length") },
  { label: "content filter", colour: "part-4", metric: rateOf("finish_content_filter") },
  { label: "error", colour: "critical", metric: rateOf("finish_error") },
  { label: "other", colour: "series-other", metric: rateOf("finish_other") },
];

const sumByModel = (name, spec) => (root, page) => mountSumByModel(root, page, { metric: rateOf(name), ...spec });
const histogram = (name, spec) => (root, page) =>
  mountHistogram(root, page, { read: () => page.data.histograms?.[name], formatTick: numberLabel, emptyText: "No values in this time range", ...spec });
const formatCount = (value) => text(compact(value));

const WIDGETS = {
  sentence: sentence.mount,
  tiles: tiles.mount,
  requests: sumByModel("requests", {
    ...requestRates,
    current: [(minute) => minute.requests_per_second, "requests_per_second"],
    help: "Finished requests per second by model, including failed ones.",
    emptyText: "No requests in this time range",
  }),
  prompt: sumByModel("prompt_tokens", {
    ...tokenRates, help: "Input tokens per second by model.", emptyText: "No tokens reported in this time range",
  }),
  output: sumByModel("completion_tokens", {
    ...tokenRates,
    current: [(minute) => minute.tokens_per_second, "tokens_per_second"],
    help: "Output tokens per second by model.",
    emptyText: "No tokens reported in this time range",
  }),
  "prompt-length": histogram("prompt_length", {
    metric: "inference.prompt_tokens", format: formatCount,
    help: "The input tokens of a request. Bars are shares of the requests of a model; the outline is the time before.",
  }),
  "output-length": histogram("output_length", {
    metric: "inference.completion_tokens", format: formatCount,
    help: "The output tokens of a request. Bars are shares of the requests of a model; the outline is the time before.",
  }),
  speed: histogram("speed", {
    metric: "inference.tokens_per_second", format: formatSpeed,
    help: "The output tokens per second of one request, after its first token. Waiting does not count.",
  }),
  outcomes: (root, page) => mountParts(root, page, {
    parts: OUTCOMES, help: "Finished requests per second by their outcome.", emptyText: "No requests in this time range",
  }),
  finish: (root, page) => mountParts(root, page, {
    parts: FINISH, help: "Requests per second by the reason why their output ended. Length: it was cut off at its maximum.",
    emptyText: "No finish reason reported in this time range",
  }),
  cached: (root, page) => mountChart(root, page, {
    type: "line", legend: true, groupBy: "model", max: 100, formatTick: percentLabel, format: (value) => text(percent(value)),
    metrics: [rateOf("cached_tokens"), rateOf("prompt_tokens")], spansOf: [],
    help: "The share of the input tokens of a model that were read from a prompt cache.",
    lines: () => cachedLines(page), emptyText: "No input tokens in this time range",
  }),
  totals: (root, page) => mountServerTable(root, page),
  finish_reasons: (root, page) => mountServerTable(root, page),
};

startPage(WIDGETS);
