// The card that waits for an event, and shows it when it has arrived.

import { announce } from "../page/announce.js";
import { arrivedSince } from "../page/api.js";
import { element, find, reducedMotion, setText, svg } from "../page/dom.js";
import { compact, duration, minutesAndSeconds, text, timeOfDay, whole } from "../page/format.js";

const SHOW_CAUSES_AFTER_SECONDS = 60;
const POLL_SECONDS = 5; // without a tick that has requests: events of an earlier time are not in ticks
const CLOCK_TOLERANCE_MS = 30_000;

export function mount(root, page) {
  const title = find("[data-title]", root);
  const waitingTitle = title.textContent;
  const time = find("[data-time]", root);
  let { position } = page.data;
  let openedAt = performance.now();
  let event = null;
  let isAsking = false;
  let seconds = 0;

  const poll = async () => {
    if (event || isAsking || document.hidden) return;
    isAsking = true;
    try {
      const answer = await arrivedSince(position);
      position = answer.position;
      if (answer.event) show(answer.event, answer.now);
    } catch {
      // The state of the connection is shown elsewhere.
    } finally {
      isAsking = false;
    }
  };
  const show = (arrived, now) => {
    event = arrived;
    const waited = (performance.now() - openedAt) / 1000;
    const first = waitingTitle.includes("first") ? "first event" : "event";
    setText(title, arrived.success ? `It works: ${first} after ${minutesAndSeconds(waited)}` : "Connected: your request failed");
    setText(time, timeOfDay(Date.parse(arrived.timestamp)));
    root.classList.add("has-arrived");
    root.classList.toggle("has-failed", !arrived.success);
    find("[data-waiting]", root).hidden = true;
    const target = find("[data-event]", root);
    target.replaceChildren(...parts(arrived, now));
    target.append(element("p", { class: "arrival-actions" },
      element("a", { class: "button primary large", href: overviewUrl(arrived) }, arrived.success ? "Open the Overview" : "See the errors in the Overview"),
      element("button", { class: "button large", type: "button", on: { click: again } }, "Wait for another")));
    target.hidden = false;
    announce(`${title.textContent}. ${arrived.model_name}, ${text(duration(arrived.response_time_ms))}`);
    root.scrollIntoView({ block: "nearest", behavior: reducedMotion() ? "auto" : "smooth" }); // on a phone, it is below the snippets
    page.refreshSoon();
  };
  const again = async ({ currentTarget: button }) => {
    button.disabled = true;
    const request = await arrivedSince(position).then(({ newest }) => newest, () => Math.max(position.request, event.id));
    position = { ...position, request };
    event = null;
    openedAt = performance.now();
    setText(title, "Waiting for an event");
    root.classList.remove("has-arrived", "has-failed");
    find("[data-waiting]", root).hidden = false;
    find("[data-event]", root).hidden = true;
    drawTime();
    title.tabIndex = -1;
    title.focus();
  };
  const drawTime = () => {
    const waited = (performance.now() - openedAt) / 1000;
    setText(time, minutesAndSeconds(waited));
    find("[data-causes]", root).hidden = waited < SHOW_CAUSES_AFTER_SECONDS;
  };
  page.topics.on("tick", (tick) => tick.overall?.requests_per_second && poll());
  page.topics.on("second", () => {
    if (event) return;
    drawTime();
    seconds += 1;
    if (seconds % POLL_SECONDS === 0) poll();
  });
  drawTime();
}

function overviewUrl({ model_name: model }) {
  return `${document.body.dataset.homeUrl}?${new URLSearchParams({ range: "15m", model })}`;
}

function parts(event, now) {
  const figure = (label, ...value) => element("div", {}, element("dt", {}, label), element("dd", {}, ...value));
  const response = duration(event.response_time_ms);
  const tokens = [event.prompt_tokens, event.completion_tokens].map((count) => whole(count).number);
  return [
    ...failure(event),
    element("dl", { class: "arrival-figures" },
      figure(event.provider ? `model · ${event.provider}` : "model", element("bdi", {}, event.model_name)),
      figure("response time", response.number, " ", element("small", {}, response.unit)),
      figure("tokens in, out", tokens[0], " ", element("small", {}, "+"), " ", tokens[1])),
    ...split(event),
    element("ul", { class: "arrival-seen" }, ...seen(event, now).map(([mark, name, value]) =>
      element("li", { class: `is-${mark}` }, element("span", { class: "mark", "aria-hidden": "true" }, { yes: "✓", no: "–", warning: "▲" }[mark]),
        element("span", {}, name, element("b", {}, value))))),
  ];
}

function failure(event) {
  if (event.success) return [];
  const kind = [event.error_type ?? event.outcome, event.status_code].filter(Boolean).join(" · ");
  return [element("p", { class: "arrival-failure" }, element("b", {}, kind), event.error_message ? element("bdi", {}, event.error_message) : null)];
}

// Where the time went. The first token includes the queue.
function split(event) {
  const { response_time_ms: total, ttft_ms: first } = event;
  if (!total) return [];
  const queue = Math.min(event.queue_time_ms ?? 0, total);
  const hasFirst = first !== null && first <= total;
  const speed = event.tokens_per_second ? ` · ${text(compact(event.tokens_per_second, "tok/s"))}` : "";
  /** @type {[string, string, number][]} */
  const later = hasFirst
    ? [["prompt_ms", "prompt", Math.max(0, first - queue)], ["decode_ms", `decode${speed}`, total - Math.max(first, queue)]]
    : [["processing_ms", `processing${speed}`, total - queue]];
  /** @type {[string, string, number][]} */
  const parts = [["queue_ms", "queue", queue], ...later];
  const phases = parts.filter(([, , ms]) => ms > 0);
  const drawing = svg("svg", { class: "split-bar", viewBox: "0 0 100 10", preserveAspectRatio: "none", "aria-hidden": "true" });
  let x = 0;
  for (const [name, , ms] of phases) {
    const width = (100 * ms) / total;
    drawing.append(svg("rect", { class: `phase ${name}`, x: x.toFixed(2), width: width.toFixed(2), y: 0, height: 10 }));
    x += width;
  }
  const outcome = event.success ? event.finish_reason ?? "ok" : "failed";
  return [drawing, element("p", { class: "arrival-phases" },
    ...phases.map(([name, title, ms]) => element("span", {}, element("i", { class: `phase ${name}`, "aria-hidden": "true" }), element("b", {}, text(duration(ms))), ` ${title}`)),
    element("span", { class: "arrival-outcome" }, outcome))];
}

function seen(event, now) {
  const known = (value, name, yes, no) => (value === null ? ["no", `${name}: `, no] : ["yes", `${name}, `, yes]);
  const ahead = Date.parse(event.timestamp) - now;
  const clock = Math.abs(ahead) < CLOCK_TOLERANCE_MS ? ["yes", "Clock, ", "as on this server"]
    : ["warning", "Time: ", `${text(duration(Math.abs(ahead)))} ${ahead > 0 ? "ahead of" : "before"} now`];
  return [
    known(event.total_tokens, "Tokens", "counted", "not sent"),
    known(event.ttft_ms, "First token", event.stream ? "streamed" : "measured", "not streamed"),
    event.service ? ["yes", "Service, ", event.service] : ["no", "Service: ", "not named"],
    clock,
    ["yes", "Content, ", "none stored"],
    known(event.queue_time_ms, "Queue time", "sent", "not known to this source"),
  ];
}
