// The sentence about the machines, which the server writes.

import { find, setText } from "../page/dom.js";
import { moment, timeOfDay, zoneName } from "../page/format.js";
import { shownSentence, withLocalTimes } from "../page/sentence-text.js";

export function mountSentence(root, page) {
  const draw = () => {
    const now = page.now();
    const local = Object.fromEntries(Object.entries(page.data.sentence).map(([name, value]) => [name, withLocalTimes(value, now)]));
    const lastAt = page.tick?.at ? Date.parse(page.tick.at) : page.data.now;
    const { state, title, text } = shownSentence(local, page.isDisconnected, lastAt);
    root.dataset.state = state;
    setText(find("[data-title]", root), title);
    setText(find("[data-text]", root), text);
    drawAside();
  };
  const drawAside = () => {
    const { from, to } = page.window;
    const zone = zoneName(to);
    const time = page.rolling ? `${page.params.span} · ${timeOfDay(page.pause ? to : page.now())} ${zone}` : `${moment(from, true)} to ${moment(to, true)} ${zone}`;
    setText(find("[data-aside]", root), page.params.compares ? `Grey line and ▲ ▼: ${page.params.span_before} · ${time}` : time);
  };
  for (const topic of ["data", "figures", "connection"]) page.topics.on(topic, draw);
  for (const topic of ["pause", "second"]) page.topics.on(topic, drawAside);
  draw();
}
