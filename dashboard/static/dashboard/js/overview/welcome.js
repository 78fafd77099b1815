// The card of a new installation: a command that sends the first event.

import { mountCopy } from "../page/copy.js";
import { find, setText } from "../page/dom.js";
import { minutesAndSeconds } from "../page/format.js";

const SHOW_CAUSES_AFTER_SECONDS = 60;

export function mount(root, page) {
  const openedAt = performance.now();
  const text = find("#listening-text", root);
  page.topics.on("second", () => {
    if (page.hasEvents) return;
    const seconds = (performance.now() - openedAt) / 1000;
    setText(text, `no event yet (${minutesAndSeconds(seconds)})`);
    find("#causes", root).hidden = seconds < SHOW_CAUSES_AFTER_SECONDS;
  });
  mountCopy(find("#copy-snippet", root), find("#snippet", root), "Command");
}
