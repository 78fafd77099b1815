// What a tile shows, and what all tiles together are said to show. Pure. The rules are those of dashboard/tiles.py. Tests check
// both against tests/dashboard/tile_cases.json.

import { change } from "./change.js";
import { FORMATS, NO_DATA, text as textOf } from "./format.js";

const ENOUGH_REQUESTS = 20;

// The value of a tile and what is below it. `minute`: {value, requests} of the last minute, or null where the tiles show the
// window.
/** @param {Record<string, any>} spec
 *  @param {Record<string, any>} summary
 *  @param {{ value: number | null, requests: number } | null} minute
 *  @param {string} [range]
 *  @returns {{ figure: Figure, text: string, judgement: string }} */
export function tileText(spec, summary, minute, range) {
  const format = FORMATS[spec.format];
  const ofWindow = summary[spec.summary] ?? null;
  if (!minute) {
    const before = summary.comparable ? summary.previous?.[spec.summary] : null;
    return { figure: format(ofWindow), ...change(spec.format, ofWindow, before, spec.worse) };
  }
  if (minute.value === null) {
    return { figure: { number: NO_DATA, unit: "" }, text: ofWindow === null ? "" : `${range}: ${textOf(format(ofWindow))}`, judgement: "" };
  }
  const { text, judgement } = change(spec.format, minute.value, isEnough(summary) ? ofWindow : null, spec.worse);
  const isJudged = minute.requests >= ENOUGH_REQUESTS || spec.tick.startsWith("queue.");
  return { figure: format(minute.value), text, judgement: isJudged ? judgement : "" };
}

// Whether the window has enough requests to compare the last minute with it.
const isEnough = (summary) => (summary.total_requests ?? 0) >= ENOUGH_REQUESTS;

// "The last minute, ▲ ▼ compared with the last 24 hours"
export function valuesText(summary, isLastMinute, span, spanBefore) {
  const [values, base] = isLastMinute ? ["the last minute", span] : [span, spanBefore];
  const compared = isLastMinute ? isEnough(summary) : summary.comparable;
  const start = values.slice(0, 1).toUpperCase() + values.slice(1);
  return compared ? `${start}, ▲ ▼ compared with ${base}` : `${start}; not enough data to compare with ${base}`;
}
