// The time range in the header: the buttons for each range, pan and zoom, a custom window, pause and resume.

import { disclosure } from "./disclosure.js";
import { find, findAll, setText } from "./dom.js";
import { hourAndMinute, zoneName } from "./format.js";

export function mountRange(page) {
  const segments = findAll("[data-range]");
  for (const segment of segments) segment.addEventListener("click", () => page.navigate({ range: segment.dataset.range }));
  find("#pan-back").addEventListener("click", () => page.pan(-1));
  find("#pan-forward").addEventListener("click", () => page.pan(1));
  find("#zoom-in").addEventListener("click", () => page.zoom(0.5));
  find("#zoom-out").addEventListener("click", () => page.zoom(2));
  const live = find("#live");
  live.addEventListener("click", () => (page.live ? page.pause() : page.resume()));
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
  if (!page.pausedWindow) return "Go live";
  const count = page.requestsSincePause;
  return `Paused at ${hourAndMinute(page.pausedAt)} · Resume${count ? ` (+${count.toLocaleString("en-US")} new)` : ""}`;
}

// A form for a window between two times. Nothing changes until it is applied.
function mountCustomRange(page) {
  const form = find("#custom-range");
  const problem = find(".form-problem", form);
  const panel = disclosure(find("#range-custom"), form, {
    onOpen() {
      const { from, to } = page.window;
      form.elements.from.value = localValue(from);
      form.elements.to.value = localValue(to);
      setText(find(".zone", form), zoneName(to));
      problem.hidden = true;
      form.elements.from.focus();
    },
  });
  find("[data-cancel]", form).addEventListener("click", () => panel.close(true));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const [from, to] = ["from", "to"].map((name) => new Date(form.elements[name].value).getTime());
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

// The value of an input of type datetime-local, which is in the time zone of the browser.
function localValue(ms) {
  return new Date(ms - new Date(ms).getTimezoneOffset() * 60_000).toISOString().slice(0, 19);
}
