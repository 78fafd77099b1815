// The time range in the header: the buttons for each range, pan and zoom, a custom window, pause and resume.

import { disclosure } from "../page/disclosure.js";
import { find, findAll, setText } from "../page/dom.js";
import { hourAndMinute, zoneName } from "../page/format.js";
import { instantOf, localText } from "../page/local-time.js";

export function mountRange(page) {
  const segments = findAll("[data-range]");
  for (const segment of segments) segment.addEventListener("click", () => page.navigate({ range: segment.dataset.range }));
  find("#pan-back").addEventListener("click", () => page.pan(-1));
  find("#pan-forward").addEventListener("click", () => page.pan(1));
  find("#zoom-in").addEventListener("click", () => page.zoom(0.5));
  find("#zoom-out").addEventListener("click", () => page.zoom(2));
  const live = find("#live");
  live.addEventListener("click", () => (page.live ? page.pauseNow() : page.resume()));
  mountCustomRange(page);

  const draw = () => {
    for (const segment of segments) segment.setAttribute("aria-pressed", String(segment.dataset.range === page.params.range));
    find("#range-custom").setAttribute("aria-pressed", String(!page.rolling));
    live.dataset.state = page.live ? "live" : "paused";
    setText(find(".live-text", live), liveText(page));
    find("#pan-forward").disabled = page.live;
  };
  for (const topic of ["data", "pause", "second"]) page.topics.on(topic, draw);
  draw();
}

function liveText(page) {
  if (page.live) return "Pause";
  if (!page.pause) return "Go live";
  const count = page.requestsSincePause;
  return `Paused at ${hourAndMinute(page.pause.at)} · Resume${count ? ` (+${count.toLocaleString("en-US")} new)` : ""}`;
}

// A form for a window between two times. Nothing changes until it is applied. A time that the user did not change keeps its
// exact instant. Of a changed time that occurs twice, because clocks are set back, the window has both: it starts at the
// first or ends at the last.
function mountCustomRange(page) {
  const form = find("#custom-range");
  const problem = find(".form-problem", form);
  const inputs = { from: form.elements.from, to: form.elements.to };
  const opened = {}; // by name: the text of the input and its instant, when the form was opened
  const instant = (name) => {
    const { value } = inputs[name];
    return value === opened[name].text ? opened[name].ms : instantOf(value, { last: name === "to" });
  };
  const drawZone = () => {
    const zones = new Set(["from", "to"].map(instant).filter(Number.isFinite).map(zoneName));
    setText(find(".zone", form), [...zones].join(" to "));
  };
  const panel = disclosure(find("#range-custom"), form, {
    onOpen() {
      for (const [name, input] of Object.entries(inputs)) {
        const ms = page.window[name];
        input.value = localText(ms);
        opened[name] = { text: input.value, ms }; // the browser may write the value in another way
      }
      drawZone();
      problem.hidden = true;
      inputs.from.focus();
    },
  });
  form.addEventListener("input", drawZone);
  find("[data-cancel]", form).addEventListener("click", () => panel.close(true));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const [from, to] = ["from", "to"].map(instant);
    const message = validate(page, from, to);
    problem.hidden = !message;
    setText(problem, message);
    if (message) return;
    panel.close(true);
    page.showWindow(from, to);
  });
}

function validate(page, from, to) {
  if (!(from < to)) return "The end must be later than the start.";
  return from > page.now() ? "The start is in the future." : "";
}
