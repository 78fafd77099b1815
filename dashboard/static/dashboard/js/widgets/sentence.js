// How it is, in words. The server finds the words; here they are put in place, with what the arrows compare and the time.

import { find, setText } from "../dom.js";
import { moment, timeOfDay, zoneName } from "../format.js";

const EMPTY = {
  state: "ok",
  title: "Watching this machine. No request has arrived yet.",
  text: "CPU and memory are live below. Send one request, and latency, throughput and tokens appear beside them.",
};

export function mount(root, page) {
  const draw = () => {
    const { state, title, text } = page.hasEvents ? page.data.sentence : EMPTY;
    root.dataset.state = state;
    setText(find("[data-title]", root), title);
    setText(find("[data-text]", root), text);
    second();
  };
  const second = () => {
    const { from, to } = page.window;
    const zone = zoneName(to);
    const when = page.rolling
      ? `${timeOfDay(page.frozen ? page.frozen.to : page.now())} ${zone}`
      : `${moment(from, true)} to ${moment(to, true)} ${zone}`;
    setText(find("[data-aside]", root), page.hasEvents ? `▲ ▼ against ${page.params.span_before} · ${when}` : when);
  };
  for (const topic of ["data", "figures"]) page.topics.on(topic, draw);
  page.topics.on("pause", second);
  page.topics.on("second", second);
  draw();
}
