// The range: a segmented control, pan and zoom, a window between two times (nothing changes until Apply), live or paused.

import { disclosure } from "./disclosure.js";
import { find, findAll, setText } from "./dom.js";
import { hourAndMinute, zoneName } from "./format.js";

// For an input of type datetime-local, which knows no zones: the viewer's own.
function localValue(ms) {
  const at = new Date(ms);
  return new Date(ms - at.getTimezoneOffset() * 60_000).toISOString().slice(0, 19);
}

export function mountRange(page) {
  const segments = findAll("[data-range]");
  for (const segment of segments) segment.addEventListener("click", () => page.go({ range: segment.dataset.range }));
  find("#pan-back").addEventListener("click", () => page.pan(-1));
  find("#pan-forward").addEventListener("click", () => page.pan(1));
  find("#zoom-in").addEventListener("click", () => page.zoom(0.5));
  find("#zoom-out").addEventListener("click", () => page.zoom(2));
  const live = find("#live");
  live.addEventListener("click", () => (page.live ? page.pause() : page.resume()));
  mountCustom(page);

  const draw = () => {
    for (const segment of segments) segment.setAttribute("aria-pressed", String(segment.dataset.range === page.params.range));
    find("#range-custom").setAttribute("aria-pressed", String(!page.rolling));
    live.dataset.state = page.live ? "live" : "paused";
    setText(find(".live-words", live), words(page));
    find("#pan-forward").disabled = page.live;
  };
  for (const topic of ["data", "pause", "second"]) page.topics.on(topic, draw);
  draw();
}

function words(page) {
  if (page.live) return "Pause";
  if (!page.frozen) return "Go live";
  const waiting = page.arrivals;
  return `Paused at ${hourAndMinute(page.pausedAt)} · Resume${waiting ? ` (+${waiting.toLocaleString("en-US")} new)` : ""}`;
}

function mountCustom(page) {
  const form = find("#custom-range");
  const button = find("#range-custom");
  const problem = find(".form-problem", form);
  const panel = disclosure(button, form, {
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
    const wrong = !(from < to) ? "The end must be later than the start." : from > page.now() ? "The start is in the future." : "";
    problem.hidden = !wrong;
    setText(problem, wrong);
    if (wrong) return;
    panel.close(true);
    page.look(from, to);
  });
}
