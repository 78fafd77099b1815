// The silences: those in force and those to come, how to end one, and a form for a new one.

import { disclosure } from "../page/disclosure.js";
import { element, find, setText } from "../page/dom.js";
import { perFrame } from "../page/scheduling.js";
import { addFreely, endSilence } from "../alerts/actions.js";
import { elapsed, since } from "../alerts/words.js";

export function mount(root, page) {
  const form = find("form", root);
  const problem = find(".form-problem", form);
  const show = (text) => {
    problem.hidden = !text;
    setText(problem, text);
  };
  const panel = disclosure(find("[data-new]", root), form, {
    onOpen() {
      show("");
      const { rule } = form.elements;
      const chosen = rule.value;
      rule.replaceChildren(new Option("All rules", ""), ...page.data.rules.map(({ id, name }) => new Option(name, id)));
      rule.value = chosen;
      rule.focus();
    },
  });
  page.topics.on("describe-silence", (alert) => {
    if (!panel.isOpen) panel.open();
    const [label] = Object.entries(alert.labels);
    form.elements.rule.value = alert.rule;
    form.elements.label.value = label ? label.join("=") : "";
    form.elements.reason.focus();
    root.scrollIntoView({ block: "nearest" });
  });
  find("[data-cancel]", form).addEventListener("click", () => panel.close(true));
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const { rule, label, seconds, reason } = form.elements;
    const [name, ...rest] = label.value.split("=").map((part) => part.trim());
    if (label.value.trim() && !(name && rest.length)) return show("The label must be like model=llama-3-70b.");
    if (!rule.value && !label.value.trim()) return show("Choose a rule or a label: this would silence every alert.");
    const matchers = { ...(rule.value ? { rule: [rule.value] } : {}), ...(name ? { [name]: [rest.join("=")] } : {}) };
    const end = seconds.value ? new Date(page.now() + Number(seconds.value) * 1000).toISOString() : null;
    if (!(await addFreely(page, { matchers, ends_at: end, reason: reason.value.trim() }, (text) => show(text.replace(/^matchers has an unknown name/, "The label is not known"))))) return undefined;
    panel.close(true);
    form.reset();
    return undefined;
  });
  const draw = perFrame(() => {
    const { silences } = page.data;
    const inForce = silences.filter(({ state }) => state === "in_force").length;
    const planned = silences.length - inForce;
    setText(find("[data-values]", root), `${inForce || "none"} now${planned ? ` · ${planned} planned` : ""}`);
    const list = find("[data-list]", root);
    if (list.matches(":focus-within") && list.children.length === silences.length) return;
    list.replaceChildren(...silences.map((silence) => item(silence, page, show)));
  });
  for (const topic of ["data", "figures"]) page.topics.on(topic, draw);
  draw();
}

function item(silence, page, show) {
  const now = page.now();
  const end = silence.in_force_until ?? silence.ends_at;
  const when = silence.state === "in_force"
    ? (end ? `until ${since(Date.parse(end), now)}` : "no end")
    : silence.next_at ? `in ${elapsed(Date.parse(silence.next_at) - now)}` : "";
  const matched = Object.entries(silence.matchers).map(([name, values]) => `${name} ${values.map((value) => nameOf(name, value, page)).join(" or ")}`);
  const details = [silence.recurrence, matched.join(", ") || "every alert", `by ${silence.by}`].filter(Boolean).join(" · ");
  return element("li", {},
    element("span", { class: "state-glyph silenced", "aria-hidden": "true" }),
    element("div", {}, element("b", {}, silence.reason), element("span", { class: "sub" }, details)),
    element("span", { class: "muted silence-end" }, when),
    element("button", { type: "button", class: "button", "aria-label": `End the silence: ${silence.reason}`, on: { click: () => endSilence(page, silence, show) } }, "End"));
}

function nameOf(matcher, value, page) {
  if (matcher === "rule") return page.data.rules.find(({ id }) => id === value)?.name ?? value;
  if (!value) return "(none)";
  return matcher === "alert" ? (page.data.alerts.find(({ id }) => String(id) === value)?.name ?? value) : value;
}
