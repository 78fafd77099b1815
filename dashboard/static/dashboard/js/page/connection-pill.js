// The pill in the header: the connection in words. It opens the last twenty connection events.

import { announce } from "./announce.js";
import { element, find, setText } from "./dom.js";
import { timeOfDay } from "./format.js";

const WORDS = {
  connecting: () => "Connecting…",
  live: (page) => (page.live ? "Live · 1 s" : "Live"),
  "catching-up": () => "Catching up…",
  polling: () => "Polling · 5 s",
  disconnected: (page) => `Disconnected · ${page.connection.detail}`,
  refused: () => "Not connected",
};
const SKEW_MS = 5_000;

export function mountConnection(page, live) {
  const pill = find("#connection");
  const dialog = find("#connection-dialog");
  let before = null;
  const draw = () => {
    const { state } = page.connection;
    const words = WORDS[state](page);
    pill.dataset.state = state === "refused" ? "disconnected" : state;
    setText(find(".pill-words", pill), words);
    if (before !== null && before !== state && state !== "catching-up") announce(words);
    before = state;
    if (dialog.open) drawEvents();
  };
  const drawEvents = () => {
    const skew = Math.round((Date.now() - page.now()) / 1000);
    setText(find("#connection-now"), Math.abs(skew) * 1000 > SKEW_MS ? `The clock of this computer is ${Math.abs(skew)} s ${skew > 0 ? "ahead of" : "behind"} the server's clock. The page shows server time.` : WORDS[page.connection.state](page));
    find("#connection-events").replaceChildren(
      ...live.events.map(({ at, words }) => element("li", {}, element("time", { datetime: new Date(at).toISOString() }, timeOfDay(at)), element("span", {}, words))));
  };
  pill.addEventListener("click", () => {
    drawEvents();
    dialog.showModal();
  });
  for (const topic of ["connection", "pause", "data"]) page.topics.on(topic, draw);
  page.topics.on("connection-event", () => dialog.open && drawEvents());
  draw();
}
