// The sentence about the machines, and next to it what lines and changes are compared with.

import { betweenMoments, timeOfDay, zoneName } from "../page/format.js";
import { mount } from "../widgets/sentence.js";

export const mountSentence = (root, page) => mount(root, page, asideText);

function asideText(page) {
  const { from, to } = page.window;
  const zone = zoneName(to);
  const time = page.rolling ? `${page.params.span} · ${timeOfDay(page.pause ? to : page.now())} ${zone}` : `${betweenMoments(from, to)} ${zone}`;
  return page.params.compares ? `Grey line and ▲ ▼: ${page.params.span_before} · ${time}` : time;
}
