// The table of rules: those that fire first, then those nearest to their threshold.

import { addRule, rulesAdminUrl } from "../page/api.js";
import { element, find, setText, svg } from "../page/dom.js";
import { hourAndMinute, valueText } from "../page/format.js";
import { perFrame } from "../page/scheduling.js";
import { condition, dayText, elapsed, glyph, group } from "../alerts/words.js";

const DAYS = 7;
const TICK = 2 / 3; // the threshold's place on the bar
const PHONE_RULES = 5;

export function mount(root, page) {
  const body = find("tbody", root);
  const more = find("[data-more]", root);
  let all = false;
  let order = []; // ids of the rules as they are shown: it changes only while neither pointer nor focus is in the table
  more.addEventListener("click", () => {
    all = true;
    root.classList.add("shows-all");
    draw();
  });
  const none = find("[data-none]", root);
  find("[data-defaults]", none)?.addEventListener("click", async ({ target }) => {
    target.disabled = true;
    const problem = find("[role=alert]", none);
    try {
      for (const rule of page.data.default_rules) await addRule(rule);
      await page.refresh();
    } catch ({ message }) {
      setText(problem, message);
      problem.hidden = false;
    }
    target.disabled = false;
  });
  const draw = perFrame(() => {
    const { rules_omitted: omitted } = page.data;
    const rules = root.matches(":hover, :focus-within") ? inOrder(page.data.rules, order) : page.data.rules;
    order = rules.map(({ id }) => id);
    setText(find("[data-values]", root), rules.length ? `${countText(rules.length + omitted, page.data.evaluation.rules)}, nearest to firing first` : "");
    const focused = document.activeElement?.closest("[data-rule]")?.getAttribute("data-rule");
    body.replaceChildren(...rules.map((rule) => row(rule, page)));
    if (focused) find(`[data-rule="${focused}"] a`, body)?.focus();
    if (omitted) body.append(element("tr", {}, element("td", { colspan: 5, class: "muted" }, `Not shown: ${omitted} rules. The administration lists all.`)));
    none.hidden = rules.length > 0;
    find("table", root).hidden = !none.hidden;
    more.hidden = all || rules.length <= PHONE_RULES;
    setText(more, `Show all ${rules.length} rules`);
  });
  for (const topic of ["data", "figures"]) page.topics.on(topic, draw);
  draw();
}

const countText = (all, enabled) => (enabled < all ? `${enabled} of ${all} enabled` : String(all));

function inOrder(rules, order) {
  const place = ({ id }) => (order.includes(id) ? order.indexOf(id) : order.length);
  return [...rules].sort((a, b) => place(a) - place(b));
}

function row(rule, page) {
  const state = !rule.enabled ? "disabled" : rule.not_judged && rule.state === "ok" ? "not-judged" : rule.state;
  const isFiring = rule.is_firing;
  const name = page.data.can.includes("manage") ? element("a", { href: rulesAdminUrl(`${rule.id}/change/`), class: "plain" }, rule.name) : rule.name;
  return element("tr", { class: `rule ${state}`, "data-rule": rule.id },
    element("th", { scope: "row" }, element("div", { class: "rule-name" }, glyph(state, rule.severity), element("span", {}, name, element("span", { class: "rule-condition" }, condition(rule, page))))),
    element("td", { class: "figure" },
      element("b", { class: isFiring ? rule.severity : "" }, rule.value === null ? "—" : valueText(rule.value, rule.unit)),
      element("span", { class: "sub" }, ...(state === "not-judged" ? [`not judged: ${rule.not_judged.split(". ")[0]}`] : state === "disabled" ? ["disabled"] : [group(rule.group, page)]))),
    element("td", { class: "rule-bar" }, bar(rule, isFiring)),
    element("td", { class: "rule-last" }, ...lastFired(rule, isFiring, page.now())),
    element("td", { class: "figure wide" }, days(rule, page.now())));
}

// The value as a share of its threshold, whose tick has the same place in all rows.
function bar(rule, isFiring) {
  const share = rule.share_of_threshold;
  const drawing = svg("svg", { class: `bullet ${isFiring ? rule.severity : ""}`, role: "img",
    "aria-label": share === null ? "share of the threshold unknown" : `${Math.round(100 * share)} % of the threshold` },
  svg("rect", { class: "track", x: 0, y: 4, width: "100%", height: 6, rx: 3 }));
  if (share !== null) drawing.append(svg("rect", { class: "fill", x: 0, y: 4, width: `${Math.min(100, 100 * TICK * share).toFixed(1)}%`, height: 6, rx: 3 }));
  drawing.append(svg("rect", { class: "tick", x: `${100 * TICK}%`, transform: "translate(-0.75)", y: 0, width: 1.5, height: 14 }));
  return drawing;
}

function lastFired(rule, isFiring, now) {
  const newest = rule.last_fired;
  if (isFiring && newest) {
    const mark = rule.state === "firing" ? "" : `, ${rule.state}`;
    return [element("b", { class: rule.severity }, "firing now"), element("span", { class: "sub" }, `since ${hourAndMinute(Date.parse(newest.from))}${mark}`)];
  }
  if (!newest) return [element("span", { class: "muted" }, "never")];
  const at = Date.parse(newest.from);
  const lasted = newest.to ? `, ${elapsed(Date.parse(newest.to) - Date.parse(newest.from))}` : "";
  return [dayText(at, now), element("span", { class: "sub" }, hourAndMinute(at) + (newest.silenced ? ", silenced" : lasted))];
}

// A bar for each of the last seven days in which the rule fired; faint where it was silenced.
function days(rule, now) {
  const drawing = svg("svg", { class: "days", viewBox: "0 0 63 16", role: "img" });
  let count = 0;
  for (let index = 0; index < DAYS; index += 1) {
    const start = new Date(now);
    start.setHours(0, 0, 0, 0);
    start.setDate(start.getDate() - (DAYS - 1 - index));
    const end = new Date(start);
    end.setDate(end.getDate() + 1);
    const fired = rule.fired.filter(({ from, to }) => Date.parse(from) < end.getTime() && (to === null || Date.parse(to) > start.getTime()));
    if (fired.length) count += 1;
    const kind = fired.length ? `${rule.severity} ${fired.every(({ silenced }) => silenced) ? "silenced" : ""}` : "none";
    drawing.append(svg("rect", { class: kind, x: index * 9 + 1, y: fired.length ? 1 : 14, width: 6, height: fired.length ? 14 : 1.5, rx: 1 }));
  }
  drawing.setAttribute("aria-label", `fired on ${count} of the last ${DAYS} days`);
  return drawing;
}
