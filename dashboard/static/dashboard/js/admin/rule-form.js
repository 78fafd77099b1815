// The form of a rule in the admin: statistics and labels follow the metric, and the panel beside the form follows the
// form. Without this script all are offered, and the button "Preview" judges the form.

import { embeddedJson, find, findAll, setText } from "../page/dom.js";

const DELAY_MS = 400;
const BACKTEST_DELAY_MS = 1_200; // it reads days

const form = find("#alertrule_form");
const holder = find(".rule-now");
const panel = find("[data-panel]", holder);
const metrics = embeddedJson("rule-metrics");
const past = find("[data-backtest]", holder);
let timer = null;
let running = null;
let backtestTimer = null;
let runningBacktest = null;

const choices = (name) => findAll(`input[name="${name}"]`, form);
const chosen = (name) => choices(name).find((input) => input.checked)?.value;

// Show the choices of these values. Those that are hidden are not sent.
function offer(name, isOffered) {
  for (const input of choices(name)) {
    const offered = isOffered(input.value);
    input.closest("label").parentElement.hidden = !offered;
    if (!offered) input.checked = false;
  }
}

const showRow = (name, shown) => find(`.field-${name}`, form).classList.toggle("not-applicable", !shown);

function followMetric(changed) {
  const metric = metrics[form.elements.metric.value];
  if (!metric) return;
  const isPercentile = (stat) => metric.stats.includes("p95") && /^p\d/.test(stat);
  offer("stat", (stat) => metric.stats.includes(stat) || isPercentile(stat));
  offer("group_by", (label) => metric.labels.includes(label));
  if (!chosen("stat")) for (const input of choices("stat")) input.checked = input.value === metric.stat;
  if (changed) for (const input of choices("group_by")) input.checked = metric.instance.includes(input.value);
  showRow("min_count", metric.of_requests);
  if (!metric.of_requests) form.elements.min_count.value = 1;
}

function followKind() {
  const kind = chosen("kind");
  const compared = form.elements.compare_to_seconds;
  if (kind === "change" && !compared.value) compared.value = compared.options[1].value;
  showRow("compare_to_seconds", kind === "change");
  for (const name of ["comparison", "threshold", "clear_threshold", "no_data"]) showRow(name, kind !== "no_data");
}

async function judge() {
  running?.abort();
  running = new AbortController();
  try {
    const response = await fetch(holder.dataset.now, { method: "POST", body: new FormData(form), signal: running.signal });
    if (!response.ok) throw new Error(response.statusText);
    show(await response.json());
  } catch (error) {
    if (error.name !== "AbortError") setText(find("[data-problem]", holder), `Not judged: ${error.message}`);
  }
}

function show({ html, words, errors }) {
  if (html) panel.innerHTML = html;
  panel.classList.toggle("stale", !html);
  setText(find("[data-problem]", holder), Object.values(errors).join(" "));
  for (const [name, text] of Object.entries(words)) setText(find(`#id_${name}_helptext > div`), text);
}

// When the rule would have fired. The chosen range is kept, because it is a field of the form.
async function backtest() {
  runningBacktest?.abort();
  runningBacktest = new AbortController();
  try {
    const { backtestOf } = holder.dataset;
    const response = await fetch(backtestOf, { method: "POST", body: new FormData(form), signal: runningBacktest.signal });
    if (!response.ok) throw new Error(response.statusText);
    const { html } = await response.json();
    const hadFocus = past.contains(document.activeElement);
    if (html) past.innerHTML = html;
    past.classList.toggle("stale", !html);
    if (html && hadFocus) find("select", past).focus();
  } catch (error) {
    if (error.name !== "AbortError") past.classList.add("stale");
  }
}

function changed(event) {
  if (event.target.name === "metric") followMetric(true);
  if (event.target.name === "kind") followKind();
  past.classList.add("stale");
  clearTimeout(backtestTimer);
  if (past.contains(event.target)) return backtest();
  backtestTimer = setTimeout(backtest, BACKTEST_DELAY_MS);
  panel.classList.add("stale");
  clearTimeout(timer);
  timer = setTimeout(judge, DELAY_MS);
}

form.addEventListener("input", changed);
find(".rule-preview", holder).remove();
followMetric(false);
followKind();
backtest();
document.documentElement.dataset.ready = "true";
