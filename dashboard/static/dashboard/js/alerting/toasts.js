// Messages at the bottom right when alerts fire and when they are over: at most three, on a phone one, and the number of
// the others.
// Critical ones stay until the alert needs no attention or they are closed. Others stay for a while, which does not pass while the
// tab is hidden or the pointer or the focus is on them.

import { DEFAULT_SILENCE, acknowledge, describe, silence, takeAction } from "../alerts/actions.js";
import { group } from "../alerts/words.js";
import { announce } from "../page/announce.js";
import { element, find, isPhone, setText } from "../page/dom.js";
import { timeOfDay } from "../page/format.js";
import { GLYPHS, bySeverity } from "../page/severities.js";
import { recall, remember } from "../page/storage.js";
import { condition, needsAttention, outcome, times } from "./messages.js";

const most = () => (isPhone() ? 1 : 3);
const SECONDS = { critical: Infinity, warning: 30, info: 30, resolved: 8 };
const AGAIN_MS = 10 * 60_000;
const CLOSED = "llmmonitor.alert-toasts-closed"; // ids of critical alerts, so that they do not come back with the next page
const CLOSED_KEPT = 100;

const kindOf = (alert) => (alert.state === "firing" ? alert.severity : "resolved");
const groupKey = ({ rule, labels }) => JSON.stringify([rule, labels]);

export function mountToasts(page, alerts) {
  const list = find("#toasts");
  const isAlertsPage = Boolean(find(".page-alerts")); // its cards show the alerts that were there
  const inHand = isAlertsPage ? null : takeAction(); // what was to be done before a login
  const toasts = new Map(); // by rule and group: {alert, count, node, left}
  const recent = new Map(); // by rule and group: {count, at}, of those that fired within AGAIN_MS

  const put = (alert) => {
    const key = groupKey(alert);
    const toast = { alert, count: countOf(key, alert), left: SECONDS[kindOf(alert)] };
    toast.node = draw(toast, page, actions);
    const before = toasts.get(key);
    if (before?.node.isConnected) before.node.replaceWith(toast.node);
    toasts.delete(key);
    toasts.set(key, toast);
    if (kindOf(alert) !== "critical") announce(`${alert.state === "firing" ? "" : "Over: "}${describe(alert)}`);
  };
  const countOf = (key, alert) => {
    const known = recent.get(key);
    if (alert.state !== "firing") return 1;
    const count = known && page.now() - known.at < AGAIN_MS ? known.count + 1 : 1;
    recent.set(key, { count, at: page.now() });
    return count;
  };
  const remove = (key) => {
    const toast = toasts.get(key);
    const hadFocus = toast?.node.contains(document.activeElement);
    toast?.node.remove();
    toasts.delete(key);
    arrange();
    if (hadFocus) (find("button", list) ?? find("#bell")).focus();
  };
  const close = (key) => {
    const { alert } = toasts.get(key);
    if (kindOf(alert) === "critical") remember(CLOSED, [...recall(CLOSED, []), alert.id].slice(-CLOSED_KEPT));
    remove(key);
  };
  const act = async (alert, work) => {
    const { node } = toasts.get(groupKey(alert));
    const showProblem = (message) => {
      const problem = find(".toast-problem", node);
      problem.hidden = false;
      setText(problem, message);
    };
    await work(showProblem);
    alerts.read();
  };
  const actions = {
    close: (alert) => close(groupKey(alert)),
    acknowledge: (alert) => act(alert, (show) => acknowledge(page, alert, "", show)),
    silence: (alert) => act(alert, (show) => silence(page, alert, DEFAULT_SILENCE, "", show)),
  };
  // Those that fire come first, the worst on top. What has no place is counted; an end that has no place is not shown.
  const arrange = () => {
    const firing = [...toasts.values()].filter(({ alert }) => alert.state === "firing");
    const ended = [...toasts.values()].filter(({ alert }) => alert.state !== "firing");
    firing.sort((a, b) => bySeverity(a.alert, b.alert));
    const shown = [...firing, ...ended].slice(0, most());
    for (const [key, toast] of toasts) {
      if (shown.includes(toast)) continue;
      toast.node.remove();
      if (toast.alert.state !== "firing") toasts.delete(key);
    }
    const more = find("#toasts-more");
    shown.forEach(({ node }, index) => {
      if (list.children[index] !== node) list.insertBefore(node, list.children[index] ?? more);
    });
    const others = firing.length - shown.length;
    more.hidden = others <= 0;
    setText(find("span", more), `${others} more alert${others === 1 ? " fires" : "s fire"}`);
    find("#toasts-more .toast-glyph").textContent = GLYPHS[firing[shown.length]?.alert.severity ?? "warning"];
  };

  page.topics.on("firing", ({ arrived, over, isFirst }) => {
    const closed = recall(CLOSED, []);
    const isShown = ({ id, severity }) => id === inHand?.id || (severity === "critical" && !closed.includes(id));
    const old = isFirst && !isAlertsPage ? alerts.needingAttention.filter(isShown) : [];
    const firing = new Map(alerts.all.map((alert) => [alert.id, alert]));
    for (const [key, { alert }] of toasts) {
      if (firing.has(alert.id) && !needsAttention(firing.get(alert.id))) remove(key);
    }
    for (const alert of [...old, ...arrived].reverse()) put(alert);
    for (const alert of over) if (!alert.silence) put(alert);
    arrange();
    if (isFirst && inHand) find(`[data-alert="${inHand.id}"] [data-action="${inHand.name}"]`, list)?.focus();
  });
  page.topics.on("second", () => {
    if (document.hidden) return;
    for (const [key, toast] of toasts) {
      if (!toast.node.isConnected || toast.node.matches(":hover, :focus-within")) continue;
      toast.left -= 1;
      if (toast.left <= 0) remove(key);
    }
  });
  page.topics.on("go-to-toasts", () => find("button", list)?.focus());
}

function draw({ alert, count }, page, actions) {
  const kind = kindOf(alert);
  const fires = alert.state === "firing";
  const name = fires ? alert.name : `${alert.name} is over`;
  const time = timeOfDay(Date.parse(alert.ended_at ?? alert.started_at));
  const action = (which, text, classes) =>
    element("button", { type: "button", class: classes, "data-action": which, on: { click: () => actions[which](alert) } }, text);
  const alertsPage = find("#all-alerts");
  const buttons = element("div", { class: "toast-actions" },
    action("acknowledge", "Acknowledge", "button primary"),
    action("silence", "Silence 1 h", "button"),
    element("a", { href: `${alertsPage.href}#alert-${alert.id}` }, "Open →"));
  return element("article", { class: `toast ${kind}`, role: kind === "critical" ? "alert" : "group", "aria-label": name, "data-alert": alert.id },
    element("span", { class: "toast-glyph", "aria-hidden": "true" }, GLYPHS[kind] ?? "●"),
    element("div", { class: "toast-body" },
      element("div", { class: "toast-head" },
        element("strong", {}, name),
        element("span", { class: "muted" }, count > 1 ? times(count) : time),
        element("button", { type: "button", class: "toast-close", "aria-label": `Close: ${name}`, on: { click: () => actions.close(alert) } }, "×")),
      element("p", {}, group(alert.labels, page), ` · ${fires ? condition(alert) : outcome(alert)}${alert.is_demo ? " · demo data" : ""}`),
      fires ? buttons : null,
      element("p", { class: "toast-problem", hidden: true })),
    Number.isFinite(SECONDS[kind]) ? element("span", { class: "toast-bar", "aria-hidden": "true" }) : null);
}
