// The sentence about what fires, which the server writes. The script adds instants in the time zone of the browser, and
// says so when the page is not connected, because then nobody knows what fires.

import { find, setText } from "../page/dom.js";
import { ago, hourAndMinute, timeOfDay, zoneName } from "../page/format.js";
import { dayText, elapsed } from "./words.js";

export function mount(root, page) {
  const draw = () => {
    const { title, text, state, since } = page.data.sentence;
    const isConnected = !["disconnected", "rejected"].includes(page.connection.state);
    root.dataset.state = isConnected ? state : "quiet";
    const asOf = isConnected ? "" : `Disconnected. State of ${timeOfDay(page.data.now)}: `;
    setText(find("[data-title]", root), asOf + title + (since ? `, since ${sinceText(Date.parse(since), page.now())}.` : ""));
    setText(find("[data-text]", root), [text, followsText(page)].filter(Boolean).join(" "));
    setText(find("[data-aside]", root), asideText(page));
  };
  for (const topic of ["data", "figures", "second", "connection"]) page.topics.on(topic, draw);
  draw();
}

function sinceText(ms, now) {
  const day = dayText(ms, now);
  return day === "today" ? hourAndMinute(ms) : `${day} ${hourAndMinute(ms)}`;
}

function followsText(page) {
  const { follows, follows_at: at } = page.data.sentence;
  if (!follows) return "";
  const left = Date.parse(at) - page.now();
  return left > 0 ? `${follows} follows in ${elapsed(left)} if it holds.` : `${follows} is about to fire.`;
}

function asideText(page) {
  const { alerts_hidden: hidden, evaluation } = page.data;
  const now = page.now();
  const parts = [];
  if (hidden) parts.push(`${hidden} alert${hidden === 1 ? "" : "s"} hidden by filters`);
  const judged = evaluation.at ? `, judged ${ago(Math.max(0, (now - Date.parse(evaluation.at)) / 1000))}` : "";
  parts.push(`${evaluation.rules} rule${evaluation.rules === 1 ? "" : "s"}${judged}`, `${timeOfDay(now)} ${zoneName(now)}`);
  return parts.join(" · ");
}
