// The generation speed of one model: output tokens per second of one request, on average.

import { numberLabel } from "../charts/axis-labels.js";
import { colourOf } from "../charts/palette.js";
import { compact, text } from "../page/format.js";
import { mountChart } from "../widgets/card.js";
import { headValue } from "../widgets/head-value.js";

const METRIC = ["inference.tokens_per_second", "avg"];

export function mount(root, page) {
  const format = (value) => text(compact(value, "tok/s"));
  mountChart(root, page, {
    type: "line",
    help: "Output tokens per second of a single request, on average. Where it falls while requests rise, the model is busy.",
    metrics: [METRIC],
    formatTick: numberLabel,
    spansOf: [METRIC[0]],
    thresholdsOf: [METRIC[0]],
    format,
    lines: () => [{ label: "Speed", colour: colourOf(page), points: page.series.get(...METRIC), fill: true }],
    currentValues: (time) => [["", format(headValue(page, page.series.get(...METRIC), time))]],
    emptyText: "No generation speed in this time range",
  });
}
