// The sentence about what fires, which the server writes, with what follows and when the rules were judged.

import { find, setText } from "../page/dom.js";
import { ago, timeOfDay, whole, zoneName } from "../page/format.js";
import { shownSentence, withLocalTimes } from "../page/sentence-text.js";
import { elapsed } from "../alerts/words.js";

export function mount(root, page) {
  const draw = () => {
    const now = page.now();
    const [title, text] = [page.data.sentence.title, page.data.sentence.text].map((part) => withLocalTimes(part, now));
    const isDisconnected = page.isDisconnected;
    const sentence = { state: page.data.sentence.state, title, text: [text, followsText(page)].filter(Boolean).join(" ") };
    const shown = shownSentence(sentence, isDisconnected, page.data.now);
    root.dataset.state = shown.state;
    setText(find("[data-title]", root), shown.title);
    setText(find("[data-text]", root), shown.text);
    setText(find("[data-aside]", root), asideText(page));
  };
  for (const topic of ["data", "figures", "second", "connection"]) page.topics.on(topic, draw);
  draw();
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
  return [
    ...(hidden ? [`${whole(hidden).number} alert${hidden === 1 ? "" : "s"} hidden by filters`] : []),
    ...(evaluation.at ? [`judged ${ago(Math.max(0, (now - Date.parse(evaluation.at)) / 1000))}`] : []),
    `${timeOfDay(now)} ${zoneName(now)}`,
  ].join(" · ");
}
