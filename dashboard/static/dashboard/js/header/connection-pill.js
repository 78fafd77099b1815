// The pill in the header that shows the state of the connection, and its dialog with the newest connection events.

import { announce } from "../page/announce.js";
import { element, find, setText } from "../page/dom.js";
import { timeOfDay } from "../page/format.js";

const TEXTS = {
  connecting: () => "Connecting…",
  // What a paused or past page shows is not live, though the connection is.
  live: (page) => (page.live ? "Live · 1 s" : "Connected"),
  "catching-up": () => "Catching up…",
  polling: () => "Polling · 5 s",
  disconnected: (page) => `Disconnected · ${page.connection.detail}`,
  rejected: () => "Not connected",
};
const SKEW_MS = 5_000;

export function mountConnectionPill(page, connection) {
  const pill = find("#connection");
  const dialog = find("#connection-dialog");
  let previousState = null;
  const draw = () => {
    const { state } = page.connection;
    const text = TEXTS[state](page);
    pill.dataset.state = state === "rejected" ? "disconnected" : state;
    setText(find(".pill-text", pill), text);
    if (previousState !== null && previousState !== state && state !== "catching-up") announce(text);
    previousState = state;
    if (dialog.open) drawEvents();
  };
  const drawEvents = () => {
    setText(find("#connection-state"), clockSkew(page) ?? TEXTS[page.connection.state](page));
    find("#connection-events").replaceChildren(
      ...connection.events.map(({ at, text }) =>
        element("li", {}, element("time", { datetime: new Date(at).toISOString() }, timeOfDay(at)), element("span", {}, text))));
  };
  pill.addEventListener("click", () => {
    drawEvents();
    dialog.showModal();
  });
  for (const topic of ["connection", "pause", "data"]) page.topics.on(topic, draw);
  page.topics.on("connection-event", () => dialog.open && drawEvents());
  draw();
}

// A sentence about the difference of the two clocks; null where it is small.
function clockSkew(page) {
  const seconds = Math.round((Date.now() - page.now()) / 1000);
  if (Math.abs(seconds) * 1000 <= SKEW_MS) return null;
  const direction = seconds > 0 ? "ahead of" : "behind";
  return `The clock of this computer is ${Math.abs(seconds)} s ${direction} the server's clock. The page shows server time.`;
}
