// Requests in a second, those that failed on top.

import { numberMark } from "../charts/axis-labels.js";
import { at as valueAt } from "../live/series.js";
import { compact, percent, text } from "../page/format.js";
import { mountChart } from "./card.js";

const ALL = ["inference.requests", "rate"];
const FAILED = ["inference.failed_requests", "rate"];

function successful(all, failed) {
  const found = new Map(failed.map(({ x, y }) => [x, y]));
  return all.map(({ x, y }) => ({ x, y: y === null ? null : y - (found.get(x) ?? 0) }));
}

export function mount(root, page) {
  const rate = (value) => text(compact(value, "per s"));
  return mountChart(root, page, {
    type: "bar",
    stacked: true,
    legend: true,
    help: "Finished requests per second. A failed request counts once, whatever the error.",
    metrics: [ALL, FAILED, ["inference.error_rate_percent", "avg"]],
    words: numberMark,
    say: rate,
    lines: ({ series }) => [
      { label: "successful", colour: "series-1", square: true, points: successful(series.get(...ALL), series.get(...FAILED)) },
      { label: "failed", colour: "critical", square: true, points: series.get(...FAILED) },
    ],
    now: (own, time) => {
      if (time !== null) {
        const at = (pair) => valueAt(own.series.get(...pair), time, own.series.step);
        return [["", rate(at(ALL))], ["failed", text(percent(at(["inference.error_rate_percent", "avg"])))]];
      }
      const pair = (words, name, say) => {
        const { value, standsIn } = own.figure((minute) => minute[name], name);
        return [words, say(value), standsIn];
      };
      return [
        pair("", "requests_per_second", rate),
        pair("failed", "error_rate_percent", (value) => text(percent(value))),
      ];
    },
    empty: () => "No requests in this time range",
  });
}
