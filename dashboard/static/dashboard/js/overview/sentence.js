// How it is, in words. The server finds the words; here they are put in place, with what the tiles show, what their arrows
// compare, and the time.

import { find, setText } from "../page/dom.js";
import { moment, timeOfDay, zoneName } from "../page/format.js";

// Of what the tiles and headings tell.
export const figuresOf = (page) => (page.showsMinute ? "the last minute" : page.params.span);

// "Values: the last minute · ▲ ▼ the last 24 hours compared with the 24 hours before".
export function explain(page) {
  const { span, span_before: before } = page.params;
  const arrows = page.data.summary.comparable ? `▲ ▼ ${span} compared with ${before}` : `not enough data to compare with ${before}`;
  return `Values: ${figuresOf(page)} · ${arrows}`;
}

export function mount(root, page) {
  const draw = () => {
    const { state, title, text } = page.data.sentence;
    root.dataset.state = state;
    setText(find("[data-title]", root), title);
    setText(find("[data-text]", root), text);
    second();
  };
  const second = () => {
    const { from, to } = page.window;
    const zone = zoneName(to);
    const lost = page.connection.state === "disconnected" && page.tick?.at;
    const when = page.rolling
      ? `${timeOfDay(page.frozen ? page.frozen.to : lost ? Date.parse(page.tick.at) : page.now())} ${zone}`
      : `${moment(from, true)} to ${moment(to, true)} ${zone}`;
    setText(find("[data-aside]", root), page.hasEvents ? `${explain(page)} · ${when}` : when);
  };
  for (const topic of ["data", "figures"]) page.topics.on(topic, draw);
  page.topics.on("pause", second);
  page.topics.on("second", second);
  draw();
}
