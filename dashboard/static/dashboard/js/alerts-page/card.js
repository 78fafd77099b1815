// An active alert: a large card with its value, chart and actions, or a row with the same at a glance.

import { disclosure } from "../page/disclosure.js";
import { element, find, setText, svg } from "../page/dom.js";
import { rulesAdminUrl } from "../page/api.js";
import { timeOfDay, inUnit, thresholdText, valueText } from "../page/format.js";
import { DEFAULT_SILENCE, SILENCES, acknowledge, describe, endSilence, silence } from "../alerts/actions.js";
import { drawChart } from "./chart.js";
import { drawContext } from "./context.js";
import { beyond, comparedWith, elapsed, glyph, group, length, since, stateOf, statistic } from "../alerts/words.js";

const CHART_HEIGHT = 150;
const ROW_CHART = { width: 120, height: 34, compact: true };

// What of the alert decides which elements the card has; other changes are drawn into them.
export const structure = (alert, isLarge) => [isLarge, stateOf(alert), alert.severity, alert.acknowledged_at, alert.note, alert.has_rule].join();

export function createCard(alert, page, isLarge, onToggle) {
  const measured = statistic(alert.metric_name, alert.stat, page, alert.filters);
  const titleId = `alert-${alert.id}`;
  const node = element("article", {
    class: `card alert ${isLarge ? "is-large" : "is-row"} ${stateOf(alert)} ${alert.severity}`, "data-alert": alert.id, "aria-labelledby": titleId,
  });
  const head = element("div", { class: "alert-head" },
    glyph(stateOf(alert), alert.severity),
    element("div", {},
      element("h2", { id: titleId }, onToggle ? element("button", { type: "button", class: "link", "aria-expanded": String(isLarge), on: { click: onToggle } }, alert.name) : alert.name,
        alert.is_demo ? element("span", { class: "tag" }, "demo") : null),
      element("p", { class: "muted alert-group" }, group(alert.labels, page), isLarge ? "" : ` · ${measured}`)));
  const value = element("p", { class: "alert-value" }, element("b", { "data-number": true }), element("span", { "data-unit": true }));
  const problem = element("p", { class: "form-problem", role: "alert", hidden: true });
  const show = (text) => {
    problem.hidden = !text;
    setText(problem, text);
  };
  const note = element("input", { type: "text", class: "alert-note", maxlength: 500, placeholder: "Add a note, such as “rolling back vllm”", "aria-label": `Note on ${describe(alert)}` });
  if (isLarge) {
    node.append(
      element("div", { class: "alert-body" },
        element("div", { class: "alert-facts" }, head, element("div", { class: "alert-now" }, value, element("p", {}, element("b", { "data-beyond": true }), element("span", { class: "muted" }, `${measured} over ${length(alert.window_seconds ?? 60)}`))),
          element("dl", { "data-facts": true })),
        element("figure", { class: "alert-chart" },
          element("figcaption", {}, element("b", {}, measured[0].toUpperCase() + measured.slice(1)), element("span", { class: "muted" }, ` over ${length(alert.window_seconds ?? 60)}${comparedWith(alert)}, last 30 min`), element("a", { class: "alert-link", "data-link": true, href: document.body.dataset.homeUrl }, "Open in Overview →")),
          svg("svg", { role: "img", "data-chart": true, height: CHART_HEIGHT, "aria-label": `${measured} in the last 30 minutes` })),
        element("div", { class: "alert-context", "data-context": true, hidden: true })),
      element("form", { class: "alert-actions", on: { submit: (event) => {
        event.preventDefault();
        acknowledge(page, alert, note.value.trim(), show);
      } } },
        ...(stateOf(alert) === "firing" ? [note, element("button", { type: "submit", class: "button primary large" }, "Acknowledge")] : []),
        silenceButton(alert, page, () => note.value.trim(), show),
        element("span", { class: "alert-more" },
          alert.runbook_url ? element("a", { href: alert.runbook_url, target: "_blank", rel: "noreferrer" }, "Runbook ↗") : null,
          alert.has_rule && page.data.can.includes("manage") ? element("a", { href: rulesAdminUrl(`${alert.rule}/change/`) }, "Edit rule") : null),
        problem));
  } else {
    node.append(
      head,
      element("div", { class: "alert-now" }, value, element("p", { class: "muted", "data-beyond": true })),
      svg("svg", { class: "alert-spark", "data-chart": true, "aria-hidden": "true", height: ROW_CHART.height, width: ROW_CHART.width }),
      element("div", { class: "alert-progress" }, element("p", {}, element("span", { "data-state": true }), element("span", { class: "muted", "data-fires": true })),
        svg("svg", { class: "progress", viewBox: "0 0 100 6", preserveAspectRatio: "none", "aria-hidden": "true", "data-bar": true }, svg("rect", { width: 0, height: 6, rx: 1 }))),
      element("div", { class: "alert-end" },
        stateOf(alert) === "firing" ? element("button", { type: "button", class: "button primary", on: { click: () => acknowledge(page, alert, "", show) } }, "Acknowledge") : null,
        silenceButton(alert, page, () => "", show), problem));
  }
  return node;
}

// Draw what changes: the value each time, durations each second, the chart with new data.
export function updateCard(node, alert, page, { withChart = true } = {}) {
  const { number, unit } = inUnit(alert.value, alert.unit);
  setText(find("[data-number]", node), number);
  setText(find("[data-unit]", node), unit);
  setText(find("[data-beyond]", node), beyond(alert));
  const now = page.isDisconnected ? page.data.now : page.now(); // of the last known state
  if (node.classList.contains("is-large")) {
    drawFacts(find("[data-facts]", node), facts(alert, now));
    if (withChart) drawContext(find("[data-context]", node), alert);
    if (alert.context) {
      find("[data-link]", node).href = alert.context.chart_url;
      find("[data-link]", node).hidden = !alert.context.chart_url;
    }
    const chart = find("[data-chart]", node);
    if (withChart) drawChart(chart, alert, now, { width: chart.clientWidth, height: CHART_HEIGHT });
    return;
  }
  drawProgress(node, alert, now);
  const chart = find("[data-chart]", node);
  if (withChart) drawChart(chart, alert, now, { ...ROW_CHART, width: chart.clientWidth }); // on a phone, that of the card
}

function facts(alert, now) {
  const rows = [];
  if (alert.started_at) {
    const fired = Date.parse(alert.started_at);
    rows.push(["Firing", elapsed(now - fired), `, since ${since(fired, now)}`]);
  } else {
    rows.push(["Pending", elapsed(now - Date.parse(alert.since)), alert.for_seconds ? ` of ${length(alert.for_seconds)}` : ""]);
  }
  const falls = ["lt", "le"].includes(alert.comparison);
  const clears = alert.clear_threshold ?? alert.threshold;
  rows.push([falls ? "Lowest" : "Peak", valueText(alert.peak, alert.unit), clears === null ? "" : ` · clears ${falls ? "above" : "below"} ${thresholdText(clears, alert.unit)}`]);
  if (alert.silence) rows.push(["Silenced", silencedText(alert, now), ""]);
  if (alert.acknowledged_at) {
    rows.push(["Acknowledged", `by ${alert.acknowledged_by ?? "somebody"}`, ` since ${since(Date.parse(alert.acknowledged_at), now)}${alert.note ? `: “${alert.note}”` : ""}`]);
  }
  return rows;
}

function drawFacts(target, rows) {
  while (target.children.length > rows.length) target.lastChild.remove();
  rows.forEach(([name, value, rest], index) => {
    const row = target.children[index] ?? target.appendChild(element("div", {}, element("dt"), element("dd", {}, element("b"), element("span"))));
    setText(find("dt", row), name);
    setText(find("b", row), value);
    setText(find("span", row), rest);
  });
}

const silencedText = (alert, now) => (alert.silenced_until ? `until ${since(Date.parse(alert.silenced_until), now)}` : "without an end");

// What stands beside how long the alert is pending or firing: what people did, or when it fires, or since when.
function besideText(alert, begin, now) {
  if (alert.silence) return `silenced ${silencedText(alert, now)}`;
  if (alert.acknowledged_at) return `acknowledged by ${alert.acknowledged_by ?? "somebody"}`;
  return alert.state === "pending" && alert.fires_at ? `fires at ${timeOfDay(Date.parse(alert.fires_at))}` : `since ${since(begin, now)}`;
}

function drawProgress(node, alert, now) {
  const begin = Date.parse(alert.started_at ?? alert.since);
  const target = (alert.for_seconds ?? 0) * 1000;
  const passed = now - begin;
  const isPending = alert.state === "pending";
  setText(find("[data-state]", node), `${alert.state} ${elapsed(passed)}${isPending && target ? ` of ${length(alert.for_seconds)}` : ""}`);
  setText(find("[data-fires]", node), besideText(alert, begin, now));
  const share = isPending ? Math.min(100, target ? (100 * passed) / target : 100) : 100;
  find("[data-bar] rect", node).setAttribute("width", share.toFixed(1));
}

function silenceButton(alert, page, reason, show) {
  if (alert.silence) {
    return element("button", { type: "button", class: "button", on: { click: () => endSilence(page, { id: alert.silence }, show) } }, "End silence");
  }
  const run = (choice) => silence(page, alert, choice, reason(), show);
  const menu = element("div", { class: "popover menu", role: "menu", hidden: true });
  const arrow = element("button", { type: "button", class: "button", "aria-label": `Silence ${describe(alert)}: other durations`, "aria-haspopup": "menu", "aria-expanded": "false" }, "▾");
  const root = element("span", { class: "silence-button" },
    element("button", { type: "button", class: "button", "data-silence": true, on: { click: () => run(DEFAULT_SILENCE) } }, "Silence 1 h"), arrow, menu);
  const panel = disclosure(arrow, menu, { onOpen: () => find("button", menu).focus() });
  menu.append(...SILENCES.filter(({ whileFiring }) => !whileFiring || alert.state === "firing").map((choice) =>
    element("button", { type: "button", role: "menuitem", on: { click: () => {
      panel.close(true);
      run(choice);
    } } }, `Silence ${choice.name}`)));
  menu.append(element("button", { type: "button", role: "menuitem", on: { click: () => {
    panel.close();
    page.topics.emit("describe-silence", alert);
  } } }, "Other…"));
  menu.addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const items = [...menu.children];
    items[(items.indexOf(document.activeElement) + step + items.length) % items.length].focus();
  });
  return root;
}
