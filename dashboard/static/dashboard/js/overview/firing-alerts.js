// The card of firing alerts: up to three, those that need attention first, each with its value and its actions.

import { DEFAULT_SILENCE, acknowledge, silence } from "../alerts/actions.js";
import { dayText, elapsed } from "../alerts/words.js";
import { element, find, setText } from "../page/dom.js";
import { hourAndMinute, whole } from "../page/format.js";
import { perFrame } from "../page/scheduling.js";
import { currentView } from "../page/view-query.js";

export function mount(root, page) {
  const list = find("[data-list]", root);
  let drawn = "";
  const draw = perFrame(() => {
    const { firing, count, rules, firing_rules: firingRules } = page.data.alerts;
    const hidden = count > firing.length ? ` · ${whole(count - firing.length).number} more` : "";
    const now = page.rolling ? "" : "now · "; // also for a window of the past
    setText(find("[data-values]", root), firingRules ? `${now}${firingRules} of ${rules} rules${hidden}` : `${now}${rules} rules`);
    const key = JSON.stringify(page.data.alerts.firing.map(({ figure, ...rest }) => rest));
    if (key !== drawn || !count) {
      drawn = key;
      const focused = document.activeElement?.getAttribute("data-action");
      const nodes = firing.map((alert) => createAlert(alert, page));
      if (!firing.length) nodes.push(element("p", { class: "muted" }, page.data.alerts.nothing_fires));
      list.replaceChildren(...nodes);
      if (focused) find(`[data-action="${focused}"]`, list)?.focus();
    }
    firing.forEach((alert, index) => {
      setText(find("[data-figure]", list.children[index]), alert.figure);
      setText(find("[data-elapsed]", list.children[index]), `, ${elapsed(page.now() - Date.parse(alert.started_at))}`);
    });
  });
  page.topics.on("alert", ({ alert }) => {
    // A window between two fixed times is not refreshed, and its card still shows what fires now.
    const shown = page.data.alerts.firing.find(({ id }) => id === alert.id);
    if (shown) Object.assign(shown, { acknowledged_by: alert.acknowledged_by, is_silenced: alert.silence !== null, silenced_until: alert.silenced_until });
    draw();
  });
  for (const topic of ["alert", "alerts-changed"]) page.topics.on(topic, page.refreshSoon);
  let numbers = null; // of a tick, so that a page without a socket is refreshed, too
  page.topics.on("tick", (tick) => {
    const newest = JSON.stringify(tick.alerts);
    if (numbers !== null && numbers !== newest) page.refreshSoon();
    numbers = newest;
  });
  for (const topic of ["data", "figures", "second"]) page.topics.on(topic, draw);
  draw();
}

function createAlert(alert, page) {
  const needsAttention = !alert.acknowledged_by && !alert.is_silenced;
  const problem = element("p", { class: "form-problem", role: "alert", hidden: true });
  const show = (words) => {
    problem.hidden = !words;
    setText(problem, words);
  };
  const button = (name, kind, label, run) =>
    element("button", { type: "button", class: `button ${kind}`, "data-action": `${name}-${alert.id}`, "aria-label": `${label}: ${alert.name}, ${alert.subject}`, on: { click: run } }, label);
  return element("article", { class: `firing-alert ${alert.severity}${needsAttention ? " needs-attention" : ""}${alert.is_silenced ? " silenced" : ""}`, "data-alert": alert.id },
    element("span", { class: "firing-glyph", "aria-hidden": "true" }),
    element("h3", {}, element("a", { href: `${find("#all-alerts").pathname}${currentView(page)}#alert-${alert.id}`, "data-with-view": true }, alert.name)),
    element("div", { class: "firing-actions" }, ...(needsAttention
      ? [
          button("acknowledge", "primary", "Acknowledge", () => acknowledge(page, alert, "", show)),
          button("silence", "", "Silence 1 h", () => silence(page, alert, DEFAULT_SILENCE, "", show)),
        ]
      : [element("span", { class: "muted" }, stateText(alert, page.now()))])),
    element("p", { class: "muted" },
      element("bdi", {}, alert.subject), alert.subject ? " · " : "", element("b", { "data-figure": true }, alert.figure), ` ${alert.threshold} · `,
      element("span", { class: "firing-time" }, `since ${clockTime(Date.parse(alert.started_at), page.now())}`, element("span", { "data-elapsed": true }))),
    problem);
}

// "14:22", or of another day "yesterday 14:22".
function clockTime(ms, now) {
  const day = dayText(ms, now);
  return day === "today" ? hourAndMinute(ms) : `${day} ${hourAndMinute(ms)}`;
}

function stateText({ acknowledged_by: by, is_silenced: isSilenced, silenced_until: until }, now) {
  if (!isSilenced) return `acknowledged by ${by}`;
  return until ? `silenced until ${clockTime(Date.parse(until), now)}` : "silenced";
}
