// The sentence of the page, which the server writes, and next to it the time range of the values.

import { element, find, setText } from "../page/dom.js";
import { betweenMoments, timeOfDay, zoneName } from "../page/format.js";
import { linkedParts, shownSentence, withLocalTimes } from "../page/sentence-text.js";
import { valuesText } from "../page/tile-text.js";

// Which values the tiles and heads show: "The last minute, ▲ ▼ compared with the last 24 hours".
export function describeValues(page) {
  const { span, span_before: before } = page.params;
  return valuesText(page.data.summary, page.showsLastMinute, span, before);
}

// `aside(page)`: the text next to the sentence.
export function mount(root, page, aside = asideText) {
  const draw = () => {
    const now = page.now();
    const { links = {}, ...written } = page.data.sentence;
    const sentence = { ...written, title: withLocalTimes(written.title, now), text: withLocalTimes(written.text, now) };
    const lastAt = page.tick?.at ? Date.parse(page.tick.at) : page.data.now;
    const { state, title, text } = shownSentence(sentence, page.isDisconnected, lastAt);
    root.dataset.state = state;
    fill(find("[data-title]", root), linkedParts(title, links));
    fill(find("[data-text]", root), linkedParts(text, links));
    drawAside();
  };
  const drawAside = () => {
    const node = find("[data-aside]", root);
    setText(node, aside(page));
    node.title = `${utcText(page.window.from)} to ${utcText(page.window.to)} UTC`;
  };
  for (const topic of ["data", "figures", "connection"]) page.topics.on(topic, draw);
  for (const topic of ["pause", "second"]) page.topics.on(topic, drawAside);
  draw();
}

// Fill a text with its links, where it differs: a link keeps the focus, and the text the user's selection.
function fill(node, parts) {
  const key = JSON.stringify(parts);
  if (node.drawn === key) return;
  node.drawn = key;
  const focused = node.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
  node.replaceChildren(...parts.map(([text, href]) => (href ? element("a", { href }, text) : text)));
  if (focused) [...node.querySelectorAll("a")].find((link) => link.getAttribute("href") === focused)?.focus();
}

function asideText(page) {
  const time = timeText(page);
  return page.hasEvents ? `${describeValues(page)} · ${time}` : time;
}

function timeText(page) {
  const { from, to } = page.window;
  if (!page.rolling) return `${betweenMoments(from, to)} ${zoneName(to)}`;
  const disconnected = page.isDisconnected && page.tick?.at;
  const now = disconnected ? Date.parse(page.tick.at) : page.now();
  return `${timeOfDay(page.pause ? page.pause.window.to : now)} ${zoneName(to)}`;
}

const utcText = (ms) => new Date(ms).toISOString().slice(0, 16).replace("T", " ");
