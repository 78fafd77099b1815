// What a page shows of a sentence that the server wrote. Pure.

import { dayOfMonth, hourAndMinute, moment, timeOfDay } from "./format.js";

const SPAN = /from (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ) to (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)/g;
const TIME = /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ/g;

// The text of the server with its times in the time zone of the browser, with the day where it is not that of `now`, of a
// span within a day once, and with seconds where a span begins and ends in one minute.
export function withLocalTimes(text, now) {
  const shown = (time) => {
    const ms = Date.parse(time);
    return dayOfMonth(ms) === dayOfMonth(now) ? hourAndMinute(ms) : moment(ms, true);
  };
  const short = text.replace(SPAN, (span, from, to) => {
    const [start, end] = [Date.parse(from), Date.parse(to)];
    if (dayOfMonth(start) !== dayOfMonth(end)) return span;
    const day = dayOfMonth(start) === dayOfMonth(now) ? "" : `${dayOfMonth(start)}, `;
    const time = shown(from) === shown(to) ? timeOfDay : hourAndMinute;
    return `from ${day}${time(start)} to ${time(end)}`;
  });
  return short.replace(TIME, shown);
}

// The sentence as it is shown. Without a connection nothing is known to be well; `lastAt` is the time of the newest data.
/** @param {Record<string, any>} sentence */
export function shownSentence({ state, title, text }, isDisconnected, lastAt) {
  if (!isDisconnected) return { state, title, text };
  return { state: state === "ok" ? "quiet" : state, title: "Disconnected. The state is not known.", text: `At ${timeOfDay(lastAt)}: ${title} ${text}` };
}

// The text in parts [text, address]: each name of `links` that stands by itself, and what is between, without an address.
// Longer names come first. The rules are those of dashboard/sentence_links.py.
/** @param {string} text
 *  @param {Record<string, string>} links
 *  @returns {[string, string][]} */
export function linkedParts(text, links) {
  const names = Object.keys(links).sort((a, b) => b.length - a.length);
  if (!names.length) return [[text, ""]];
  const pattern = names.map((name) => name.replace(/[.*+?^${}()|[\]\\/]/g, "\\$&")).join("|");
  const parts = text.split(new RegExp(`(?<![\\p{L}\\p{N}_./:\\-])(${pattern})(?![\\p{L}\\p{N}_/]|[.:\\-][\\p{L}\\p{N}_])`, "u"));
  return parts.map((part, index) => /** @type {[string, string]} */ ([part, index % 2 ? links[part] : ""])).filter(([part]) => part);
}
